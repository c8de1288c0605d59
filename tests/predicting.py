"""A predict service with a Triton of its own, for tests of model versions that come and go."""

import asyncio
import shutil
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import tritonclient.grpc.aio as triton_grpc

from deploy.triton import launcher
from deploy.triton.launcher import Triton
from ghostback import wire
from ghostback.client import Addresses, Client
from ghostback.predict.v1 import predict_service_pb2 as pb
from tests.failures import Failure, failure
from tests.processes import Server, running

NOBODY = "127.0.0.1:1"
SECONDS = 30.0
TRITON_ENVIRONMENT = Path(__file__).parents[1] / ".venv-triton"


@dataclass(frozen=True)
class Predicting:
    """A running predict service and what it stands on."""

    client: Client
    server: Server
    triton: Triton
    repository: Path
    feature_sets: Path
    flags: tuple[str, ...]

    async def models(self, method: str, **fields: Any) -> Any:
        """Call ModelService."""
        request = wire.view(getattr(pb, f"{method}Request"))(**fields)
        return await getattr(self.client.models, method)(request, timeout=SECONDS)

    async def refused(self, method: str, **fields: Any) -> Failure:
        """Call ModelService in vain."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.models(method, **fields)
        return failure(error.value)

    async def version(self, version: str) -> Any:
        """What is said of a version of `ghosting`."""
        return (await self.models("GetModelVersion", name=name(version))).model_version

    async def is_in(self, version: str, state: pb.ModelVersionState.ValueType) -> bool:
        """Whether a version of `ghosting` is in a state."""
        return bool((await self.version(version)).state == state)

    async def is_answering(self) -> bool:
        """Whether predict has a call in hand."""
        page = (await asyncio.to_thread(urllib.request.urlopen, self.server.metrics)).read().decode()
        return 'in_flight{method="/ghostback.predict.v1.PredictService/PredictGhosts"} 1.0' in page

    async def loaded(self, version: str) -> bool:
        """Whether Triton has a version of `ghosting`."""
        async with triton_grpc.InferenceServerClient(self.triton.ports.grpc_address) as client:
            return bool(await client.is_model_ready(f"ghosting-{version}", "1"))


def name(version: str) -> str:
    """Resource name of a version of `ghosting`."""
    return f"models/ghosting/versions/{version}"


def uninstall(folder: Path, distribution: str) -> None:
    """Take a plugin out of its site folder."""
    shutil.rmtree(folder)
    shutil.rmtree(folder.parent / f"{distribution.replace('-', '_')}-0.1.dist-info")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def start(folder: Path) -> AsyncIterator[Predicting]:
    """A predict service that looks for plugins and probes its models five times a second."""
    repository, feature_sets = folder / "models", folder / "feature-sets"
    repository.mkdir()
    async with (
        launcher.running(TRITON_ENVIRONMENT, repository, folder / "log") as triton,
        running("services.features", f"--ingest={NOBODY}", f"--feature-sets={feature_sets}") as features,
    ):
        flags = (
            f"--features={features.address}",
            f"--triton={triton.ports.grpc_address}",
            f"--model-repository={repository}",
            "--rescan-seconds=0.2",
            "--probe-seconds=0.2",
        )
        async with running("services.predict", *flags) as server:
            async with Client(Addresses(NOBODY, NOBODY, server.address, NOBODY)) as client:
                yield Predicting(client, server, triton, repository, feature_sets, flags)
