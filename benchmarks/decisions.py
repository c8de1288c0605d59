"""How good decision values are: each pass thrown to each receiver many times by the simulator, beside what we say."""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.stats import spearmanr

from benchmarks.hypothetical import KNOWN, Hypothetical
from deploy.local import suite
from ghostback.client import Client
from ghostback.play import Play
from ghostback.predict.v1.predict_service_pb2 import PassMeasurements
from services.score.decisions import situation
from simulator.game import SimulatedGame, simulate_game
from simulator.outcome import Catch

Floats = NDArray[np.float64]

SEEDS = range(50_000, 60_000)
"""Games that nothing was fitted to."""
THROWN_SEEDS = range(49_000, 50_000)
"""Games whose passes are imputed from."""
_AT_ONCE = 4
_KNOWN = [each.name for each in PassMeasurements.DESCRIPTOR.fields][:KNOWN]
OURS = "decision value"


@dataclass(frozen=True, slots=True)
class Rated:
    """A pass and its options.

    Attributes:
        truth: (3, n_options) mean points that each option adds when played out, of each third of the draws: the
            first says which is the best, the second what a pick is worth, the third is what one who knew would say.
        said: (n_options,) what each method says of them, by method.
        chosen: the option that the passer took.
    """

    truth: Floats
    said: Mapping[str, Floats]
    chosen: int


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decisions",
        description=__doc__,
        epilog="example: python -m benchmarks.decisions --games 2 --draws 16",
    )
    parser.add_argument("--games", type=int, default=4, help="simulated games of 150 plays (default: 4)")
    parser.add_argument("--draws", type=int, default=45, help="how often each pass is thrown anew (default: 45)")
    parser.add_argument("--thrown", type=int, default=20, help="games to impute from (default: 20)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    rated = asyncio.run(_rate(arguments))
    figures = {name: _figures(rated, name) for name in rated[0].said} | {"the passer": _chosen(rated)}
    figures["at random"] = {"lost": _lost(rated, [each.truth[1].mean() for each in rated])}
    figures["the truth, other draws"] = _figures([_knowing(each) for each in rated], "truth")
    n_options = sum(len(each.truth[0]) for each in rated)
    table = Table(title=f"{len(rated):,} passes, {n_options:,} options, each thrown {arguments.draws} times")
    table.add_column("ranked by")
    for column in (
        "first choice\nis the best",
        "points lost\nto the best",
        "correlation\nof values",
        "rank\ncorrelation",
    ):
        table.add_column(column, justify="right")
    for name, found in figures.items():
        cells = [f"{found[key]:.3f}" if key in found else "" for key in ("best", "lost", "correlation", "rank")]
        table.add_row(name, *cells)
    console = Console()
    console.print(table)
    console.print(
        "The best is the one with the highest mean of a third of the draws; points are those of another third."
    )
    print(json.dumps({"passes": len(rated), "options": n_options, "methods": figures}))  # noqa: T201


async def _rate(arguments: argparse.Namespace) -> list[Rated]:
    rated: list[Rated] = []
    with Progress(transient=True) as progress, tempfile.TemporaryDirectory() as folder:
        task = progress.add_task("passes to impute from", total=arguments.thrown)
        thrown: list[Play] = []
        for seed in THROWN_SEEDS[: arguments.thrown]:
            thrown += [play for play in simulate_game(seed, 150).plays if play.forward_pass]
            progress.advance(task)
        hypothetical = Hypothetical(thrown)
        async with (
            suite.running(Path(folder), arguments.triton, keep_statistics=False) as running,
            Client(running.addresses, 60) as client,
        ):
            task = progress.add_task("games", total=arguments.games)
            for seed in SEEDS[: arguments.games]:
                game = await asyncio.to_thread(simulate_game, seed, 150)
                truth = await asyncio.to_thread(_truth, game, arguments.draws)
                passes = [play for play in game.plays if play.forward_pass]
                limit = asyncio.Semaphore(_AT_ONCE)
                found = await asyncio.gather(*(_asked(client, play, truth, hypothetical, limit) for play in passes))
                rated += [each for each in found if each]
                progress.advance(task)
    return rated


def _truth(game: SimulatedGame, draws: int) -> dict[tuple[str, str], Floats]:
    """Mean points that each pass adds, of each third of the draws (3,), by play id and participant id."""
    before = {play.play_id: situation(play) for play in game.plays}
    found = {}
    for (play_id, target), (catch, yards) in game.endings(draws).items():
        own = before[play_id]
        picked = np.array([own.after_interception(each) for each in yards])
        missed = own.after_gain(np.zeros(len(yards)))
        points = np.select(
            [catch == Catch.COMPLETE, catch == Catch.INTERCEPTED], [own.after_gain(yards), picked], missed
        )
        found[play_id, target] = np.array([points[part::3].mean() for part in range(3)]) - own.worth()
    return found


async def _asked(
    client: Client,
    play: Play,
    truth: Mapping[tuple[str, str], Floats],
    hypothetical: Hypothetical,
    limit: asyncio.Semaphore,
) -> Rated | None:
    """What the suite and the others say of a pass; None where it cannot be rated."""
    assert play.forward_pass  # noqa: S101
    async with limit:
        try:
            [decision] = (await client.rate_decision(play)).decisions
            targets = [option.target_id for option in decision.options]
            forecast = await client.predict_pass_outcomes(play, targets)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return None
    if play.forward_pass.target_id not in targets:
        return None
    measured = [each.measurements for each in forecast.forecasts]
    known = np.array([[getattr(each, name) for name in _KNOWN] for each in measured], np.float32)
    imputed = hypothetical.completion(known)
    own, yards = situation(play), np.array([o.air_yards + o.yards_after_catch for o in decision.options])
    caught, missed = own.after_gain(yards), own.after_gain(np.zeros(1))
    return Rated(
        np.array([truth[play.play_id, target] for target in targets]).T,
        {
            OURS: np.array([option.value for option in decision.options]),
            "EHCP, with our yards": imputed * caught + (1 - imputed) * missed,
            "EHCP alone": imputed,
            "our completion probability": np.array([option.completion_probability for option in decision.options]),
            "air yards": np.array([option.air_yards for option in decision.options]),
        },
        targets.index(play.forward_pass.target_id),
    )


def _figures(rated: Sequence[Rated], method: str) -> dict[str, float]:
    picked = [int(each.said[method].argmax()) for each in rated]
    said = np.concatenate([each.said[method] for each in rated])
    true = np.concatenate([each.truth.mean(0) for each in rated])
    differing = [each for each in rated if np.ptp(each.said[method]) > 0]
    ranks = [spearmanr(each.said[method], each.truth.mean(0)).statistic for each in differing]
    return {
        "best": float(np.mean([pick == each.truth[0].argmax() for pick, each in zip(picked, rated, strict=True)])),
        "lost": _lost(rated, [each.truth[1, pick] for pick, each in zip(picked, rated, strict=True)]),
        "correlation": float(np.corrcoef(said, true)[0, 1]),
        "rank": float(np.nanmean(ranks)),
    }


def _chosen(rated: Sequence[Rated]) -> dict[str, float]:
    return {
        "best": float(np.mean([each.chosen == each.truth[0].argmax() for each in rated])),
        "lost": _lost(rated, [each.truth[1, each.chosen] for each in rated]),
    }


def _lost(rated: Sequence[Rated], got: Sequence[float]) -> float:
    """Mean points by which picks are behind the best by one third of the draws, in another third."""
    return float(np.mean([each.truth[1, each.truth[0].argmax()] - own for each, own in zip(rated, got, strict=True)]))


def _knowing(each: Rated) -> Rated:
    """What one would say who knew a third of the draws."""
    return Rated(each.truth, {"truth": each.truth[2]}, each.chosen)


if __name__ == "__main__":
    main()
