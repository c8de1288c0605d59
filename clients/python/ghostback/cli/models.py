"""`ghostback models`: look at the model versions there are, load and unload them."""

import typer

from ghostback import wire
from ghostback.cli import suite
from ghostback.client import Client
from ghostback.predict.v1 import predict_service_pb2 as pb

app = typer.Typer(help="Model plugins and their versions. Example: ghostback models list", no_args_is_help=True)


@app.callback()
def models() -> None:
    """Model plugins and their versions. Example: ghostback models list."""


@app.command("list")
def list_(predict: suite.Predict = "", json: suite.Json = False) -> None:
    """List the model versions. Example: ghostback models list --json."""

    async def ask(client: Client) -> pb.ListModelVersionsResponse:
        response: pb.ListModelVersionsResponse = await client.models.ListModelVersions(
            wire.view(pb.ListModelVersionsRequest)(page_size=1000)
        )
        return response

    response = suite.run(suite.addresses(predict), ask)
    if json:
        suite.show_json(response)
        return
    suite.show_table(
        ("version", "state", "distribution", "why"),
        [
            (
                version.name.removeprefix("models/"),
                state_of(version),
                version.distribution,
                version.state_description,
            )
            for version in response.model_versions
        ],
    )


def state_of(version: pb.ModelVersion) -> str:
    """The state of a model version in a word."""
    return pb.ModelVersionState.Name(version.state).removeprefix("MODEL_VERSION_STATE_").lower()
