"""`ghostback outcomes`: how passes of a play end."""

from json import dumps
from typing import Annotated

import typer

from ghostback import convert
from ghostback.cli import plays, suite
from ghostback.cli.predict import Targets, WhatIfs
from ghostback.client import Client, YardsForecast
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2

app = typer.Typer()

AT_ARRIVAL = "models/pass-outcome-retrospective"
AT_CATCH = "models/yards-after-catch-retrospective"


@app.command()
def outcomes(
    play: suite.PlayName,
    target: Targets = None,
    what_ifs: WhatIfs = False,
    at_arrival: Annotated[
        bool, typer.Option("--at-arrival", help="By where everyone was when the ball came, not at the throw.")
    ] = False,
    model: suite.ModelName = "",
    ingest: suite.Ingest = "",
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """Tell how likely passes are caught and intercepted, and yards after the catch: at the throw, by ghosts.

    By default the pass to the receiver it was thrown to. With --json all that was measured is there.

    Example: ghostback outcomes 2024091500/55 --what-ifs
    """
    name = suite.play_name(play)
    wanted = suite.model_name(model) or (AT_ARRIVAL if at_arrival else "")

    async def ask(client: Client) -> tuple[Play, pb.PredictPassOutcomesResponse, YardsForecast]:
        known = convert.play_from_message((await plays.metadata(client, name)).play)
        targets = [each.participant_id for each in known.eligible_receivers()] if what_ifs else target or []
        response = await client.predict_pass_outcomes(name, targets, wanted)
        arrived = response.setting == source_pb2.SETTING_RETROSPECTIVE
        return known, response, await client.predict_yards_after_catch(name, targets, AT_CATCH if arrived else "")

    known, response, runs = suite.run(suite.addresses({"ingest": ingest, "predict": predict}), ask)
    if json:
        typer.echo(dumps(suite.fields(response) | {"yards_after_catch": suite.fields(runs.message)}, indent=2))
        return
    ghosts = f", ghosts of {response.ghost_model_version}" if response.ghost_model_version else ""
    typer.echo(f"{response.model_version}, {runs.model_version}{ghosts}")
    run_of = {each.target_id: each for each in runs.targets}
    thrown_to = known.forward_pass.target_id if known.forward_pass else ""
    names = {each.participant_id: f"{each.display_name}, {each.position}" for each in known.participants}
    suite.show_table(
        ("target", "", "name", "caught", "intercepted", "air yards", "after catch", "separation", "closing yd/s"),
        [
            (
                each.target_id,
                "thrown to" if each.target_id == thrown_to else "what if",
                names[each.target_id],
                f"{each.completion_probability:.0%}",
                f"{each.interception_probability:.0%}",
                f"{each.measurements.air_yards:.0f}",
                f"{run_of[each.target_id].yards.mean:.1f}",
                f"{each.measurements.target_separation:.1f}",
                f"{each.measurements.closing_speed:.1f}",
            )
            for each in sorted(response.forecasts, key=lambda each: -each.completion_probability)
        ],
    )
