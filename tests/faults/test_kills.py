"""Processes are killed; nothing acked is lost, the reason is told, and it works again afterwards."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import numpy as np
import pytest

from deploy.local import suite
from deploy.triton import launcher
from ghostback import convert, wire
from ghostback.client import Addresses, Client
from ghostback.features.v1 import features_service_pb2 as features_pb
from ghostback.ingest.v1 import ingest_service_pb2 as ingest_pb
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as predict_pb
from simulator.game import SimulatedGame, simulate_game
from tests.failures import failure
from tests.processes import running, spawn

TRITON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-triton"


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(21, 6)


def client_of(ingest: str) -> Client:
    return Client(Addresses(ingest, ingest, ingest, ingest))


async def test_a_second_ingest_on_the_same_database_says_so(tmp_path: Path) -> None:
    database = f"--database-url=sqlite:///{tmp_path / 'ingest.db'}"
    async with running("services.ingest", database):
        second = await spawn("services.ingest", database, log=tmp_path / "log")
        assert await second.wait() == 1
    said = (tmp_path / "log").read_text()
    assert "another server" in said
    assert "Traceback" not in said


async def test_a_dead_upstream_is_named(tmp_path: Path, game: SimulatedGame) -> None:
    nobody = "127.0.0.1:1"
    async with running("services.features", f"--ingest={nobody}") as features:
        async with Client(Addresses(nobody, features.address, nobody, nobody)) as client:
            request = wire.view(features_pb.ComputeFeaturesRequest)(feature_set="featureSets/ghosting-kinematics@2")
            request.source.name = game.plays[0].name
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await client.features.ComputeFeatures(request, timeout=5)
            told = failure(error.value)
            assert (told.code, told.reason) == ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
            assert f"ingest at {nobody}" in told.message


async def test_predict_tells_that_triton_is_down_and_works_again_when_it_returns(
    tmp_path: Path, game: SimulatedGame
) -> None:
    repository, ports = tmp_path / "models", launcher.Ports.free()
    repository.mkdir()
    play = next(play for play in game.plays if play.forward_pass)
    async with running("services.features", "--ingest=127.0.0.1:1") as features:
        flags = (f"--features={features.address}", f"--triton={ports.grpc_address}", f"--model-repository={repository}")
        async with running("services.predict", *flags) as predict:
            nobody = "127.0.0.1:1"
            async with Client(Addresses(nobody, nobody, predict.address, nobody)) as client:
                await told_that_triton_is_down(client, play)
                for _ in range(2):
                    async with launcher.running(TRITON_ENVIRONMENT, repository, tmp_path / "log", ports) as triton:
                        assert (await client.predict_ghosts(play)).ghosts
                        triton.process.kill()
                        await triton.process.wait()
                        await told_that_triton_is_down(client, play)


async def told_that_triton_is_down(client: Client, play: Play) -> None:
    request = wire.view(predict_pb.PredictGhostsRequest)()
    request.source.play.CopyFrom(convert.play_to_message(play))
    started = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.predict.PredictGhosts(request, timeout=5)
    told = failure(error.value)
    assert (told.code, told.reason) == ("UNAVAILABLE", "MODEL_SERVER_UNAVAILABLE")
    assert "Triton at" in told.message
    assert time.monotonic() - started < 5


async def test_a_crashed_model_process_in_triton_is_healed(tmp_path: Path, game: SimulatedGame) -> None:
    play = next(play for play in game.plays if play.forward_pass)
    async with suite.running(tmp_path, TRITON_ENVIRONMENT) as started, Client(started.addresses) as client:
        before = await client.predict_ghosts(play)
        for process in Path("/proc").glob("[0-9]*"):
            name = (process / "comm").read_text() if (process / "comm").exists() else ""
            parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1] if name else ""
            if name.startswith("triton_python_b") and parent == str(started.processes["triton"].pid):
                os.kill(int(process.name), signal.SIGKILL)
        after = await client.predict_ghosts(play)
        for one, other in zip(before.ghosts, after.ghosts, strict=True):
            np.testing.assert_allclose(one.path, other.path, atol=1e-5)
        started.processes["triton"].kill()


async def test_when_one_part_dies_the_others_stop_and_the_reason_is_printed(tmp_path: Path) -> None:
    flags = (f"--folder={tmp_path / 'state'}", f"--triton={TRITON_ENVIRONMENT}", "--json")
    process = await spawn("deploy.local", *flags, log=tmp_path / "log")
    try:
        pids = await started_pids(tmp_path / "state", process)
        second = await spawn("deploy.local", *flags, log=tmp_path / "second")
        assert await second.wait() == 1
        assert "a suite runs in" in (tmp_path / "second").read_text()
        assert "Traceback" not in (tmp_path / "second").read_text()
        os.kill(pids["features"], signal.SIGKILL)
        assert await asyncio.wait_for(process.wait(), 40) == 1
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert "features was killed by SIGKILL" in (tmp_path / "log").read_text()
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]


async def test_sigterm_stops_everything(tmp_path: Path) -> None:
    flags = (f"--folder={tmp_path / 'state'}", f"--triton={TRITON_ENVIRONMENT}")
    process = await spawn("deploy.local", *flags, log=tmp_path / "log")
    pids = await started_pids(tmp_path / "state", process)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 40) == 0
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]


async def started_pids(folder: Path, process: asyncio.subprocess.Process) -> dict[str, int]:
    """Wait until the suite is up; pid of each service."""
    async with asyncio.timeout(60):
        while not (folder / "suite.json").exists():
            assert process.returncode is None
            await asyncio.sleep(0.05)
    return {
        name: json.loads((folder / f"{name}.ready").read_text())["pid"]
        for name in ("ingest", "features", "predict", "score")
    }


async def test_an_empty_stream_is_no_error(tmp_path: Path) -> None:
    async with running("services.ingest", f"--database-url=sqlite:///{tmp_path / 'ingest.db'}") as server:
        async with client_of(server.address) as client:

            async def nothing() -> AsyncIterator[ingest_pb.StreamTagsRequest]:
                for each in ():
                    yield each

            assert [response async for response in client.ingest.StreamTags(nothing())] == []
