"""Calls go on through everything that can happen to a rollout: none fails, and none is answered by the wrong arm."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import numpy as np
import pytest

from deploy.triton import launcher
from deploy.triton.launcher import Ports
from ghostback import wire
from ghostback.client import Addresses, Client
from ghostback.play import Play
from services.predict.servicer import PREDICT_SERVICE
from simulator.game import simulate_game
from tests.candidates import BETTER, CRASHING, MODEL, SLOW, STABLE, install
from tests.processes import running
from tests.rollouts import act, ask, create, first_step, pinned, until

CALLS = int(os.environ.get("GHOSTBACK_STORM_CALLS", "2000"))
IN_FLIGHT = 8
NOBODY = "127.0.0.1:1"
TRITON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-triton"
GUARDRAILS = [{"kind": "error-rate", "limit": 0.05}]


@dataclass
class Storm:
    """Calls until all is told and enough were made, and what came of them.

    Attributes:
        caller: has the stub that is called, as `Client` has.
        play: what is asked for.
        expected: first steps of the ghosts by version.
        arms: version of each arm, by rollout.
        over: when a rollout was over, by rollout; no call that began later may reach its candidate.
        failed: errors that callers saw.
        wrong: answers of the wrong arm, or that are not those of their version.
        answered: number of answers by rollout, arm and version.
    """

    caller: Any
    play: Play
    expected: dict[str, np.ndarray]
    arms: dict[str, dict[str, str]] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    told: bool = False
    reached: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def blow(self) -> None:
        while self.calls < CALLS or not self.told:
            self.calls += 1
            started = asyncio.get_running_loop().time()
            try:
                response, _ = await ask(self.caller, self.play, f"games/1/plays/{self.calls}")
            except grpc.aio.AioRpcError as error:
                self.failed.append(f"{error.code().name} {error.details()}")
            else:
                self.check(response, started)
            async with self.reached:
                self.reached.notify_all()

    def check(self, response: Any, started: float) -> None:
        version = response.model_version.rpartition("/")[2]
        told = f"{response.rollout} {response.arm} {version}"
        self.answered[told] = self.answered.get(told, 0) + 1
        right = np.allclose(first_step(response), self.expected[version], atol=1e-4)
        if response.rollout:
            right &= self.arms.get(response.rollout, {}).get(response.arm, version) == version
            right &= response.arm == "stable" or started < self.over.get(response.rollout, np.inf)
        if not right:
            self.wrong.append(told)

    async def at(self, share: float) -> None:
        async with self.reached:
            await self.reached.wait_for(lambda: self.calls >= share * CALLS)


async def test_no_call_fails_and_none_gets_the_wrong_arm_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    play = next(play for play in simulate_game(31, 6).plays if play.forward_pass)
    (tmp_path / "models").mkdir()
    ports = Ports.free()
    async with AsyncExitStack() as stack:
        tritons = [await _triton(stack, tmp_path, ports)]
        features = await stack.enter_async_context(running("services.features", f"--ingest={NOBODY}"))
        predict = await stack.enter_async_context(
            running(
                "services.predict",
                f"--features={features.address}",
                f"--triton={ports.grpc_address}",
                f"--model-repository={tmp_path / 'models'}",
                f"--database-url=sqlite:///{tmp_path / 'predict.db'}",
            )
        )
        client = await stack.enter_async_context(Client(Addresses(NOBODY, NOBODY, predict.address, NOBODY)))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(predict.address))
        await pinned(client)
        expected = {
            version: first_step((await ask(client, play, model=f"models/{MODEL}/versions/{version}"))[0])
            for version in (STABLE, BETTER)
        }
        without_retries = SimpleNamespace(predict=wire.stub(PREDICT_SERVICE, channel))
        storm = Storm(without_retries, play, expected)

        async def restart() -> None:
            tritons[-1].process.kill()
            await tritons[-1].process.wait()
            tritons.append(await _triton(stack, tmp_path, ports))

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(storm.blow())
            group.create_task(_story(storm, client, restart))
    assert storm.failed == []
    assert storm.wrong == []
    assert storm.calls >= CALLS
    assert len(tritons) == 2
    assert any("candidate 2.0" in told for told in storm.answered), storm.answered


async def _triton(stack: AsyncExitStack, folder: Path, ports: Ports) -> launcher.Triton:
    log = folder / "triton.log"
    return await stack.enter_async_context(launcher.running(TRITON_ENVIRONMENT, folder / "models", log, ports))


async def _story(storm: Storm, client: Client, restart: Callable[[], Awaitable[None]]) -> None:
    def note(rollout: Any) -> str:
        storm.arms[rollout.name] = {arm.arm: arm.model_version.rpartition("/")[2] for arm in rollout.arms}
        return str(rollout.name)

    def ended(name: str) -> None:
        storm.over[name] = asyncio.get_running_loop().time()

    await storm.at(0.05)
    name = note(await create(client, percent=40))
    await storm.at(0.15)
    await act(client, "PromoteRollout", name, full=True)
    await storm.at(0.2)
    await act(client, "RollBackRollout", name)
    ended(name)
    for share, version, budget in ((0.25, CRASHING, "1s"), (0.45, SLOW, "0.03s")):
        await storm.at(share)
        name = note(await create(client, version=version, answer_budget=budget, guardrails=GUARDRAILS))
        await until(client, name, "ROLLED_BACK", 60)
        ended(name)
    await storm.at(0.65)
    name = note(await create(client, percent=40))
    await storm.at(0.7)
    await restart()
    await storm.at(0.9)
    await act(client, "RollBackRollout", name)
    ended(name)
    storm.told = True
