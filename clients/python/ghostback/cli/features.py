"""`ghostback features`: feature sets, and the features of a play."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ghostback import convert, wire
from ghostback.cli import suite
from ghostback.client import Client
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2

app = typer.Typer(no_args_is_help=True)

Set = Annotated[str, typer.Argument(metavar="SET", help="Such as ghosting-kinematics-live@2.")]


@app.command("list")
def list_(features: suite.Features = "", json: suite.Json = False) -> None:
    """List the feature sets. Example: ghostback features list."""
    request = wire.view(pb.ListFeatureSetsRequest)()
    where = suite.addresses({"features": features})
    found = suite.run(where, lambda client: suite.whole_list(client.features.ListFeatureSets, request))
    if json:
        suite.show_json(found)
        return
    suite.show_table(
        ("feature set", "setting", "steps", "what it is"),
        [
            (
                each.name.removeprefix("featureSets/"),
                suite.word(source_pb2.Setting, each.setting),
                f"{each.observed_steps} in, {each.horizon_steps} out, {each.step_rate_hz:g} a second",
                each.description,
            )
            for each in found.feature_sets
        ],
    )


@app.command()
def show(name: Set, features: suite.Features = "", json: suite.Json = False) -> None:
    """Show a feature set: its tensors, and what each holds. Example: ghostback features show ghosting-kinematics@2."""
    found = _ask(features, "GetFeatureSet", pb.GetFeatureSetRequest, name=_name(name)).feature_set
    if json:
        suite.show_json(found)
        return
    rows = {
        "feature set": found.name.removeprefix("featureSets/"),
        "description": found.description,
        "setting": suite.word(source_pb2.Setting, found.setting),
        "a row for each": suite.word(pb.TensorRow, found.tensor_row),
        "digest": found.digest,
    }
    for title, value in rows.items():
        typer.echo(f"{title:14} {value}")
    suite.show_table(
        ("tensor", "shape of a row", "entries"),
        [(each.name, str(list(each.shape)), ", ".join(each.entries)) for each in found.tensors],
    )


@app.command()
def compute(
    play: suite.PlayName,
    name: Set,
    target: Annotated[list[str] | None, typer.Option(metavar="ID", help="A receiver; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the tensors to this file, for numpy.load (.npz).")] = None,
    features: suite.Features = "",
    json: suite.Json = False,
) -> None:
    """Compute the features of a play. Example: ghostback features compute 2024091500/55 ghosting-kinematics@2."""
    response = _ask(
        *(features, "ComputeFeatures", pb.ComputeFeaturesRequest),
        source={"name": suite.play_name(play)},
        feature_set=_name(name),
        target_ids=target or [],
    )
    tensors = convert.tensors_from_messages(response.tensors)
    if out:
        np.savez_compressed(out, **tensors)  # type: ignore[arg-type]
    if json:
        suite.show_json(response)
        return
    typer.echo(f"{response.feature_set}, {len(response.rows)} rows, {len(response.targets)} targets")
    suite.show_table(
        ("tensor", "shape", "least", "mean", "most"),
        [
            (each, str(list(values.shape)), *(f"{f(values):.3f}" for f in (np.min, np.mean, np.max)))
            for each, values in tensors.items()
            if values.size
        ],
    )
    for each in response.skipped:
        typer.echo(f"left out {each.participant_id}: {each.description}")


def _ask(features: str, method: str, request: Any, **fields: Any) -> Any:
    async def ask(client: Client) -> Any:
        return await getattr(client.features, method)(wire.view(request)(**fields), timeout=suite.SECONDS)

    return suite.run(suite.addresses({"features": features}), ask)


def _name(text: str) -> str:
    return f"featureSets/{text.removeprefix('featureSets/')}"
