"""The provider's state: the game and the play that a contract's calls are about."""

from collections.abc import Mapping, Sequence

from ghostback import feed
from ghostback.client import Client
from ghostback.contract.document import ContractError
from ghostback.play import Play, PlayState

SEED = 6
PLAYS = 12


def values(given: Sequence[str]) -> dict[str, str]:
    """Values of variables.

    Args:
        given: each `name=value`.

    Raises:
        ContractError: one is not of that form.
    """
    for each in given:
        if "=" not in each:
            raise ContractError(f"{each} is not of the form NAME=VALUE")
    return dict(each.split("=", 1) for each in given)


async def simulate(client: Client) -> dict[str, str]:
    """Stream a small simulated game, always the same; gives the state that it makes.

    Raises:
        ContractError: the simulator is not installed.
    """
    try:
        from simulator.game import simulate_game
    except ImportError:
        raise ContractError(
            "the simulator comes with the suite and is not installed here; name a play with --set play=games/G/plays/P"
        ) from None
    simulated = simulate_game(SEED, PLAYS)
    await client.update_game(simulated.game)
    async for _ in feed.stream(client, simulated.plays):
        pass
    return of_plays(simulated.plays)


async def look_up(client: Client, given: Mapping[str, str]) -> dict[str, str]:
    """The state as ingest has it: of the play or the game that is given, or of the first game with a pass."""
    if "play" in given:
        game = given.get("game") or given["play"].partition("/plays/")[0]
        return of_plays([play async for play in client.list_plays(game)], given["play"])
    games = [given["game"]] if "game" in given else [each.name async for each in client.list_games()]
    for game in games:
        state = of_plays([play async for play in client.list_plays(game)])
        if "play" in state:
            return state
    return {}


def of_plays(plays: Sequence[Play], name: str = "") -> dict[str, str]:
    """What the plays of a game give to contracts.

    Returns:
        `game`; `play`, a pass that is over, or the play that is named; `run`, a play that is over and had no pass;
        and of the play `target`, `other_target` (another eligible receiver) and `defender` (a defensive back).
        What there is none of is left out.
    """
    over = [play for play in plays if play.state is PlayState.COMPLETE]
    passes = [play for play in over if play.forward_pass and play.forward_pass.target_id]
    found = {"run": [play.name for play in over if not play.forward_pass]}
    for play in [play for play in over if play.name == name] if name else passes[:1]:
        target = play.forward_pass.target_id if play.forward_pass else ""
        others = [each.participant_id for each in play.eligible_receivers() if each.participant_id != target]
        found |= {"game": [play.name.partition("/plays/")[0]], "play": [play.name]}
        found |= {"target": [target] if target else [], "other_target": others}
        found["defender"] = [each.participant_id for each in play.defensive_backs()]
    return {variable: names[0] for variable, names in found.items() if names}
