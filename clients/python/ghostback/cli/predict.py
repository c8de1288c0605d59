"""`ghostback predict`: the ghosts of a play."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer

from ghostback import convert
from ghostback.cli import plays, suite
from ghostback.client import Client, Prediction
from ghostback.tracking.v1 import source_pb2

app = typer.Typer()

Targets = Annotated[list[str] | None, typer.Option("--target", metavar="ID", help="A receiver; may be repeated.")]
WhatIfs = Annotated[bool, typer.Option("--what-ifs", help="For every eligible receiver.")]


@app.command()
def predict(
    play: suite.PlayName,
    target: Targets = None,
    what_ifs: WhatIfs = False,
    defender: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A defender; may be repeated. By default all backs.")
    ] = None,
    model: suite.ModelName = "",
    ingest: suite.Ingest = "",
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """Draw the ghosts of a play: where each defensive back would have gone, had the ball gone to a receiver.

    By default for the receiver it was thrown to. With --json the paths are there, 0.1 s a step.

    Example: ghostback predict 2024091500/55 --what-ifs
    """
    name = suite.play_name(play)
    where = suite.addresses({"predict": predict} | ({"ingest": ingest} if what_ifs else {}))
    prediction = suite.run(
        where, lambda client: ghosts(client, name, target or [], what_ifs, suite.model_name(model), defender)
    )
    message = prediction.message
    if json:
        suite.show_json(message)
        return
    setting = suite.word(source_pb2.Setting, message.setting)
    served = f"{message.rollout}, {message.arm}" if message.rollout else message.arm
    typer.echo(f"{prediction.model_version}, {setting}" + (f" ({served})" if served else ""))
    actual = {each.participant_id for each in prediction.targets if each.actual}
    suite.show_table(
        ("target", "", "defender", "from x, y", "to x, y", "yards", "seconds"),
        [
            (
                each.target_id,
                "thrown to" if each.target_id in actual else "what if",
                each.defender_id,
                "{:.1f}, {:.1f}".format(*each.path[0]),
                "{:.1f}, {:.1f}".format(*each.path[-1]),
                f"{np.linalg.norm(np.diff(each.path, axis=0), axis=1).sum():.1f}",
                f"{(len(each.path) - 1) / 10:.1f}",
            )
            for each in prediction.ghosts
        ],
    )
    for who, why in prediction.skipped.items():
        typer.echo(f"left out {who}: {why}")


async def ghosts(
    client: Client,
    play: str,
    targets: Sequence[str],
    what_ifs: bool,
    model: str,
    defenders: Sequence[str] | None = None,
) -> Prediction:
    """The ghosts of a play for the targets, or for every eligible receiver."""
    if what_ifs:
        known = convert.play_from_message((await plays.metadata(client, play)).play)
        targets = [each.participant_id for each in known.eligible_receivers()]
    return await client.predict_ghosts(play, targets, defenders or [], model)
