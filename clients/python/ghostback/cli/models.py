"""`ghostback models`: look at the model versions there are, load and unload them, start a plugin."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ghostback import wire
from ghostback.cli import scaffold, suite
from ghostback.cli.failures import CommandError
from ghostback.client import Client
from ghostback.features.v1 import features_service_pb2 as features_pb
from ghostback.predict.v1 import predict_service_pb2 as pb

app = typer.Typer(no_args_is_help=True)

_SETS = {"live": "ghosting-kinematics-live", "retrospective": "ghosting-kinematics"}

Model = Annotated[str, typer.Argument(help="Such as ghosting.")]
Version = Annotated[str, typer.Argument(help="Such as 2.0.0.")]


@app.command("list")
def list_(
    model: Annotated[str, typer.Argument(help="Only versions of this model.")] = "",
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """List the model versions and the plugins that were refused. Example: ghostback models list ghosting."""
    parent = f"models/{model}" if model else ""
    versions = _call(predict, "ListModelVersions", page_size=1000, parent=parent)
    models = _call(predict, "ListModels", page_size=1000)
    if json:
        suite.show_json(versions, models)
        return
    serving = {each.serving_version for each in models.models}
    suite.show_table(
        ("model", "version", "state", "serves", "distribution", "why"),
        [
            (
                *_ids(each),
                _state(each),
                "yes" if each.name in serving else "",
                each.distribution,
                each.state_description or each.recovery_description,
            )
            for each in versions.model_versions
        ]
        + [("?", "?", "refused", "", each.plugin, each.description) for each in models.broken_plugins],
    )


@app.command()
def show(model: Model, version: Version, predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Show one model version. Example: ghostback models show ghosting 2.0.0."""
    _show(_call(predict, "GetModelVersion", name=_name(model, version)), json)


@app.command()
def load(model: Model, version: Version, predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Have a model version loaded and its known answer compared. Example: ghostback models load ghosting 1.2.0."""
    _show(_call(predict, "LoadModelVersion", name=_name(model, version)), json)


@app.command()
def unload(model: Model, version: Version, predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Unload a model version once its calls have ended. Example: ghostback models unload ghosting 1.2.0."""
    _show(_call(predict, "UnloadModelVersion", name=_name(model, version)), json)


@app.command()
def reload(model: Model, version: Version, predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Read a model version's plugin again and load it anew. Example: ghostback models reload ghosting 1.2.0."""
    _show(_call(predict, "ReloadModelVersion", name=_name(model, version)), json)


@app.command()
def rescan(predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Look for plugins that were installed or removed, now. Example: ghostback models rescan."""
    found = _call(predict, "RescanModels")
    if json:
        suite.show_json(found)
        return
    for word in ("added", "changed", "removed"):
        for name in getattr(found, f"{word}_model_versions"):
            typer.echo(f"{word} {name}")
    for each in found.broken_plugins:
        typer.echo(f"refused {each.plugin}: {each.description}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the model and of its distribution, such as acme-ghosting.")],
    into: Annotated[Path | None, typer.Option(help="Folder to make; by default one of that name.")] = None,
    setting: Annotated[
        Literal["live", "retrospective"], typer.Option(help="Whether it may use what only the future knows.")
    ] = "live",
    features: suite.Features = "",
) -> None:
    """Start a model plugin: a distribution with a tiny model, its training and its tests.

    Example: ghostback models new acme-ghosting
    """
    where = suite.addresses({"features": features})
    request = wire.view(features_pb.ListFeatureSetsRequest)(page_size=1000)

    async def ask(client: Client) -> Any:
        return await client.features.ListFeatureSets(request, timeout=suite.SECONDS)

    prefix = f"featureSets/{_SETS[setting]}@"
    sets = [each for each in suite.run(where, ask).feature_sets if each.name.startswith(prefix)]
    if not sets:
        raise CommandError(f"features knows no version of {_SETS[setting]}; name another suite with --features")
    folder = into or Path(name)
    scaffold.write(folder, name, setting, max(sets, key=lambda each: int(each.name.removeprefix(prefix))))
    typer.echo(f"{folder} is there; next: cd {folder} && pip install -e '.[train]' && python train.py")


def _call(predict: str, method: str, **fields: Any) -> Any:
    request = wire.view(getattr(pb, f"{method}Request"))(**fields)

    async def ask(client: Client) -> Any:
        return await getattr(client.models, method)(request, timeout=suite.SECONDS)

    return suite.run(suite.addresses({"predict": predict}), ask)


def _name(model: str, version: str) -> str:
    return f"models/{model}/versions/{version}"


def _ids(version: pb.ModelVersion) -> tuple[str, str]:
    _, model, _, number = version.name.split("/")
    return model, number


def _state(version: pb.ModelVersion) -> str:
    return suite.word(pb.ModelVersionState, version.state)


def _show(response: Any, json: bool) -> None:
    version = response.model_version
    if json:
        suite.show_json(version)
        return
    resources, batching = version.resources, version.batching
    device = suite.word(pb.ModelDevice, resources.device)
    rows = {
        "version": " ".join(_ids(version)),
        "state": _state(version),
        "why": version.state_description,
        "description": version.description,
        "distribution": version.distribution,
        "feature set": version.feature_set.removeprefix("featureSets/"),
        "takes": ", ".join(f"{each.name} {list(each.shape)}" for each in version.inputs),
        "gives": ", ".join(f"{each.name} {list(each.shape)}" for each in version.outputs),
        "runs on": f"{resources.instance_count} x {device} {resources.tensorrt_precision}",
        "batches": f"up to {batching.max_batch_size} rows, {batching.max_queue_delay_us} us",
        "artifact": version.artifact_sha256,
        "trained on": version.provenance.data,
        "trained by": f"{version.provenance.command}, {version.provenance.trained_with}",
        "needs Ghostback": version.minimum_ghostback,
        "recovered": f"{version.recovery_count} times: {version.recovery_description}" * bool(version.recovery_count),
    }
    for title, value in rows.items():
        if value:
            typer.echo(f"{title:16} {value}")
