"""Triton loses models while nobody calls; predict notices, puts it right and tells."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import tritonclient.grpc.aio as triton_grpc

from deploy.triton import launcher
from deploy.triton.launcher import Triton
from ghostback import wire
from ghostback.client import Addresses, Client
from ghostback.predict.v1 import predict_service_pb2 as pb
from tests.predicting import NOBODY, TRITON_ENVIRONMENT, until
from tests.processes import Server, running

NAME = "models/ghosting/versions/2.0.0"


@dataclass(frozen=True)
class Predicting:
    """A predict service and its log."""

    client: Client
    server: Server

    async def version(self) -> Any:
        """What is said of the default version."""
        request = wire.view(pb.GetModelVersionRequest)(name=NAME)
        return (await self.client.models.GetModelVersion(request)).model_version

    async def recovered(self, times: int = 0) -> Any:
        """Wait until the default version was put right so many times and is ready; what is said of it then."""

        async def ready() -> bool:
            version = await self.version()
            return bool(version.recovery_count >= times and version.state == pb.MODEL_VERSION_STATE_READY)

        await until(ready)
        version = await self.version()
        assert not times or version.recovery_count == times
        return version


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    (folder / "models").mkdir()
    return folder


@pytest.fixture(scope="module")
async def triton(folder: Path) -> AsyncIterator[Triton]:
    """One that does not stop by itself once a model of it crashed."""
    async with launcher.running(TRITON_ENVIRONMENT, folder / "models", folder / "log") as started:
        yield started
        with suppress(ProcessLookupError):
            started.process.kill()


@pytest.fixture(scope="module")
async def predicting(folder: Path, triton: Triton) -> AsyncIterator[Predicting]:
    flags = (
        f"--features={NOBODY}",
        f"--triton={triton.ports.grpc_address}",
        f"--model-repository={folder / 'models'}",
        "--probe-seconds=0.2",
    )
    async with running("services.predict", *flags) as server:
        async with Client(Addresses(predict=server.address)) as client:
            yield Predicting(client, server)


async def test_a_stub_process_that_crashed_is_replaced(triton: Triton, predicting: Predicting) -> None:
    before = (await predicting.recovered()).recovery_count
    for stub in stubs(triton.process.pid):
        os.kill(stub, signal.SIGKILL)
    version = await predicting.recovered(before + 1)
    assert "Triton lost it" in version.recovery_description
    assert "model lost" in predicting.server.log.read_text()
    async with triton_grpc.InferenceServerClient(triton.ports.grpc_address) as client:
        assert await client.is_model_ready("ghosting-2.0.0", "1")


async def test_a_model_that_triton_lost_is_loaded_again(triton: Triton, predicting: Predicting) -> None:
    before = (await predicting.recovered()).recovery_count
    async with triton_grpc.InferenceServerClient(triton.ports.grpc_address) as client:
        await client.unload_model("ghosting-2.0.0")
        await predicting.recovered(before + 1)
        assert await client.is_model_ready("ghosting-2.0.0", "1")


async def test_a_triton_that_restarts_is_given_its_models_again_and_a_killed_one_leaves_no_process(
    folder: Path, triton: Triton, predicting: Predicting
) -> None:
    before = (await predicting.recovered()).recovery_count
    triton.process.kill()
    await triton.process.wait()

    async def noticed() -> bool:
        version = await predicting.version()
        return "Triton lost it" in version.state_description

    await until(noticed)
    async with launcher.running(TRITON_ENVIRONMENT, folder / "models", folder / "log", triton.ports) as again:
        version = await predicting.recovered(before + 1)
        assert version.state_description == ""
        models = [psutil.Process(pid) for pid in stubs(again.process.pid)]
        again.process.kill()
        await again.process.wait()
    assert models
    _, alive = psutil.wait_procs(models, timeout=10)
    assert not alive


def stubs(server: int) -> list[int]:
    """The processes in which a Triton server runs its models."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().rpartition(")")
        except OSError:
            continue
        if "(triton_python_b" in name and int(rest.split()[1]) == server:
            found.append(int(process.name))
    return found
