"""Score judges the arms of a rollout on the plays that are over, whatever is restarted meanwhile."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from deploy.triton import launcher
from ghostback import feed, wire
from ghostback.client import Addresses, Client
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Play
from ghostback.predict.v1 import rollout_service_pb2 as pb
from ghostback.score.v1 import score_service_pb2 as score_pb
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.score.evaluation import passes
from simulator.game import SimulatedGame, simulate_game
from tests.processes import running

GAMES = [simulate_game(seed, 8) for seed in (71, 72, 73, 74)]
SERVICE = pb.DESCRIPTOR.services_by_name["RolloutService"]
SECONDS = 60.0


@dataclass
class Judged:
    """The services, each at a port of its own that it keeps when it is started again, and a rollout in shadow."""

    flags: dict[str, list[str]]
    stacks: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        self.stacks[name] = AsyncExitStack()
        await self.stacks[name].enter_async_context(running(f"services.{name}", *self.flags[name]))

    async def stop(self, name: str) -> None:
        await self.stacks.pop(name).aclose()

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.flags[name][0].removeprefix('--port=')}"

    async def play(self, game: SimulatedGame) -> None:
        """A game is played while everything runs."""
        async with Client(Addresses(ingest=self.address("ingest"))) as client:
            await client.update_game(game.game)
            async for _ in feed.stream(client, game.plays):
                pass

    async def rollouts(self, method: str, request: Any) -> Any:
        async with grpc.aio.insecure_channel(self.address("predict")) as channel:
            return await getattr(wire.stub(SERVICE, channel), method)(request, timeout=SECONDS, wait_for_ready=True)

    async def judged(self, rollout: str, n: int) -> pb.Rollout:
        """The rollout once so many plays were judged."""
        async with grpc.aio.insecure_channel(self.address("predict")) as channel:
            request = wire.view(pb.WatchRolloutRequest)(name=rollout)
            async for response in wire.stub(SERVICE, channel).WatchRollout(
                request, timeout=SECONDS, wait_for_ready=True
            ):
                if response.rollout.arms[1].judged_count >= n:
                    return response.rollout
        raise AssertionError("the rollout ended")


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def with_target(game: SimulatedGame) -> Sequence[Play]:
    return [play for play in passes(game.plays) if play.forward_pass and play.forward_pass.target_id]


@pytest.fixture(scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory, triton_environment: Path) -> AsyncIterator[Judged]:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "models").mkdir()
    async with launcher.running(triton_environment, folder / "models", folder / "log") as triton:
        names = ("ingest", "features", "predict", "score")
        at = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(4), strict=True)}
        flags = {name: [f"--port={address.split(':')[1]}"] for name, address in at.items()}
        flags["ingest"] += [f"--database-url=sqlite:///{folder / 'ingest.db'}", "--drain-seconds=0.1"]
        flags["features"] += [f"--ingest={at['ingest']}"]
        flags["predict"] += [
            f"--features={at['features']}",
            f"--triton={triton.ports.grpc_address}",
            f"--model-repository={folder / 'models'}",
            f"--database-url=sqlite:///{folder / 'predict.db'}",
        ]
        flags["score"] += [f"--ingest={at['ingest']}", f"--predict={at['predict']}", "--judge-seconds=0.1"]
        judged = Judged(flags)
        for name in names:
            await judged.start(name)
        yield judged
        for name in tuple(judged.stacks):
            await judged.stop(name)


async def test_a_stream_from_another_service_ends_quietly_when_its_time_is_over(tmp_path: Path) -> None:
    async with running("services.ingest", f"--database-url=sqlite:///{tmp_path / 'ingest.db'}") as server:
        judged = Judged({"ingest": [f"--port={server.address.split(':')[1]}"]})
        await judged.play(GAMES[0])
        ingest = Upstream("ingest", server.address, INGEST_SERVICE, ServiceSettings())
        request = wire.view(ingest_service_pb2.WatchPlaysRequest)()
        told = [response.play.name async for response in ingest.stream("WatchPlays", request, 1.0)]
        await ingest.close()
    assert told == [play.name for play in GAMES[0].plays]


async def test_an_evaluation_is_of_the_version_in_service_alone_and_no_evidence(suite: Judged) -> None:
    await suite.play(GAMES[0])
    step = wire.view(pb.RolloutStep)(weights=[wire.view(pb.ArmWeight)(arm="physics", percent=50)])
    step.dwell.seconds = 3600
    policy = wire.view(pb.RolloutPolicy)(
        model="models/ghosting",
        mode=pb.ROLLOUT_MODE_AB,
        arms=[wire.view(pb.Arm)(name="physics", version="0.1.0")],
        steps=[step],
    )
    created = await suite.rollouts("CreateRollout", wire.view(pb.CreateRolloutRequest)(policy=policy))
    addresses = Addresses(**{name: suite.address(name) for name in ("ingest", "features", "predict", "score")})
    async with Client(addresses) as client:
        *_, result = [update async for update in client.evaluate_model(GAMES[0].game.name)]
    assert isinstance(result, score_pb.EvaluateModelResult)
    assert result.model_version == created.rollout.arms[0].model_version
    assert {score.trajectory_count for score in result.scores} != {0}
    request = wire.view(pb.GetRolloutRequest)(name=created.rollout.name)
    rollout = (await suite.rollouts("GetRollout", request)).rollout
    assert [arm.call_count for arm in rollout.arms] == [0, 0]
    await suite.rollouts("RollBackRollout", wire.view(pb.RollBackRolloutRequest)(name=created.rollout.name))


async def start_shadow(suite: Judged) -> str:
    policy = wire.view(pb.RolloutPolicy)(
        model="models/ghosting",
        mode=pb.ROLLOUT_MODE_SHADOW,
        arms=[wire.view(pb.Arm)(name="physics", version="0.1.0")],
        guardrails=[wire.view(pb.Guardrail)(kind=kind, limit=0.05, min_plays=10_000) for kind in ("ade", "ts")],
    )
    created = await suite.rollouts("CreateRollout", wire.view(pb.CreateRolloutRequest)(policy=policy))
    return str(created.rollout.name)


async def test_plays_that_end_during_a_rollout_are_judged_once_each_whatever_is_restarted(suite: Judged) -> None:
    await suite.play(GAMES[0])
    name = await start_shadow(suite)

    await suite.play(GAMES[1])
    n = len(with_target(GAMES[1]))
    rollout = await suite.judged(name, n)
    assert n > 0
    assert rollout.arms[1].judged_count == n, "plays that were over before the rollout were judged too"
    ade = next(reading for reading in rollout.readings if reading.kind == "ade")
    assert (ade.count, ade.estimate > 0.2) == (n, True), "physics is not found much worse than the scene transformer"

    await suite.stop("score")
    await suite.start("score")
    await suite.stop("predict")
    await suite.play(GAMES[2])
    await suite.start("predict")
    n += len(with_target(GAMES[2]))
    assert (await suite.judged(name, n)).arms[1].judged_count == n

    await suite.stop("ingest")
    await suite.start("ingest")
    await suite.play(GAMES[3])
    n += len(with_target(GAMES[3]))
    assert (await suite.judged(name, n)).arms[1].judged_count == n
