"""`ghostback decision`: what a pass to each receiver was worth."""

from typing import Annotated

import typer

from ghostback import convert
from ghostback.cli import plays, suite
from ghostback.client import Client
from ghostback.play import Play
from ghostback.score.v1 import statistics_service_pb2 as pb

app = typer.Typer()


@app.command()
def decision(
    play: suite.PlayName,
    frame: Annotated[
        list[int] | None, typer.Option(help="Rate at this frame, before the throw, too; several are given one by one.")
    ] = None,
    ingest: suite.Ingest = "",
    score: suite.Score = "",
    json: suite.Json = False,
) -> None:
    """Tell what a pass to each eligible receiver was worth, in points, and what the choice left on the field.

    By default as the ball left the hand. Values lie in their range with 90%, as far as that hangs on the defenders.

    Example: ghostback decision 2024091500/55 --frame 35
    """
    name = suite.play_name(play)

    async def ask(client: Client) -> tuple[Play, pb.RateDecisionResponse]:
        known = convert.play_from_message((await plays.metadata(client, name)).play)
        return known, await client.rate_decision(name, frame or [])

    known, response = suite.run(suite.addresses({"ingest": ingest, "score": score}), ask)
    if json:
        suite.show_json(response)
        return
    typer.echo(f"{response.points_profile}, {', '.join(response.model_versions)}")
    names = {each.participant_id: f"{each.display_name}, {each.position}" for each in known.participants}
    for each in response.decisions:
        typer.echo(f"\nframe {each.frame}")
        suite.show_table(
            ("receiver", "", "points", "90%", "best", "caught", "intercepted", "air yards", "after catch"),
            [
                (
                    names[option.target_id],
                    "thrown to" if option.target_id == each.chosen_target_id else "",
                    f"{option.value:+.2f}",
                    f"{option.value_low:+.2f} to {option.value_high:+.2f}",
                    f"{option.best_probability:.0%}",
                    f"{option.completion_probability:.0%}",
                    f"{option.interception_probability:.0%}",
                    f"{option.air_yards:.0f}",
                    f"{option.yards_after_catch:.1f}",
                )
                for option in each.options
            ],
        )
        typer.echo(each.explanation)
