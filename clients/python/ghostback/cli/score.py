"""`ghostback score`: scores of plays, of their ghosts, and of a model."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ghostback import wire
from ghostback.cli import suite
from ghostback.cli.failures import CommandError
from ghostback.cli.predict import Targets, WhatIfs, ghosts
from ghostback.client import Client
from ghostback.client import Progress as Done
from ghostback.score.v1 import score_service_pb2 as pb

app = typer.Typer(no_args_is_help=True)

Profile = Annotated[str, typer.Option(help="A score profile, such as catch-point@2; by default the default one.")]


@app.command()
def play(
    play: suite.PlayName,
    of_ghosts: Annotated[bool, typer.Option("--ghosts", help="Score the ghosts, not what players did.")] = False,
    target: Targets = None,
    what_ifs: WhatIfs = False,
    model: suite.ModelName = "",
    profile: Profile = "",
    ingest: suite.Ingest = "",
    predict: suite.Predict = "",
    score: suite.Score = "",
    json: suite.Json = False,
) -> None:
    """Score a play's defensive backs, or their ghosts; lower is better. Any of --target, --what-ifs, --model: ghosts.

    Example: ghostback score play 2024091500/55 --what-ifs
    """
    name, of_ghosts = suite.play_name(play), bool(of_ghosts or target or what_ifs or model)
    services = {"score": score} | ({"predict": predict} if of_ghosts else {}) | ({"ingest": ingest} if what_ifs else {})

    async def ask(client: Client) -> pb.ScorePlayResponse:
        if not of_ghosts:
            return await client.score_actual(name, _profile(profile))
        found = await ghosts(client, name, target or [], what_ifs, suite.model_name(model))
        return await client.score_ghosts(found, _profile(profile))

    response = suite.run(suite.addresses(services), ask)
    if json:
        suite.show_json(response)
        return
    whole = {each.target_id: each.score for each in response.plays}
    typer.echo(f"{response.score_profile}, {'ghosts' if of_ghosts else 'what players did'}")
    suite.show_table(
        ("target", "play", "defender", "score", "closing", "ratio", "superhuman", "yards"),
        [
            (
                each.target_id,
                f"{whole[each.target_id]:.4f}" if each.target_id in whole else "",
                each.defender_id,
                *(f"{value:.4f}" for value in (each.score, each.positional_convergence, each.distance_ratio)),
                str(each.superhuman_steps),
                f"{each.initial_distance:.1f}",
            )
            for each in response.trajectories
        ],
    )
    for each in response.skipped:
        typer.echo(f"left out {each.participant_id}: {each.description}")


@app.command()
def model(
    game: suite.GameName,
    model: suite.ModelName = "",
    profile: Annotated[list[str] | None, typer.Option(help="A score profile; may be repeated.")] = None,
    spoiled: Annotated[float, typer.Option(min=0, max=1, help="Also with this fraction of starts randomised.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the spoiling.")] = 0,
    score: suite.Score = "",
    json: suite.Json = False,
) -> None:
    """Score a model on every pass of a game, beside what players did. Example: ghostback score model 2024091500."""

    async def evaluate(client: Client) -> pb.EvaluateModelResult:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        profiles = [_profile(each) for each in profile or []]
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("passes", total=None)
            steps = client.evaluate_model(suite.game_name(game), suite.model_name(model), profiles, spoiled, seed)
            async for each in steps:
                if not isinstance(each, Done):
                    return each
                progress.update(bar, completed=each.done, total=each.total or None)
        raise CommandError("the evaluation ended without a result; `ghostback doctor` tells whether score is well")

    try:
        result = suite.run(suite.addresses({"score": score}), evaluate)
    except RuntimeError as error:
        raise CommandError(f"the evaluation failed: {error}") from None
    if json:
        suite.show_json(result)
        return
    typer.echo(result.model_version)
    suite.show_table(
        ("of", "profile", "trajectory score", "n", "play score", "n"),
        [
            (
                *(suite.word(pb.Subject, each.subject), each.score_profile.removeprefix("scoreProfiles/")),
                *(f"{each.mean_trajectory_score:.4f}", str(each.trajectory_count)),
                *(f"{each.mean_play_score:.4f}", str(each.play_count)),
            )
            for each in result.scores
        ],
    )
    for skipped in result.skipped:
        typer.echo(f"left out {skipped.play}: {skipped.description}")


@app.command()
def profiles(score: suite.Score = "", json: suite.Json = False) -> None:
    """List the score profiles. Example: ghostback score profiles."""
    request = wire.view(pb.ListScoreProfilesRequest)()
    where = suite.addresses({"score": score})
    found: Any = suite.run(where, lambda client: suite.whole_list(client.score.ListScoreProfiles, request))
    if json:
        suite.show_json(found)
        return
    suite.show_table(
        ("profile", "", "what it is"),
        [
            (each.name.removeprefix("scoreProfiles/"), "default" if each.default else "", each.description)
            for each in found.score_profiles
        ],
    )


def _profile(text: str) -> str:
    return f"scoreProfiles/{text.removeprefix('scoreProfiles/')}" if text else ""
