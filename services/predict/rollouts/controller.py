"""Follows the store, and moves rollouts on by their evidence; every replica does, and the store says who was first."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from prometheus_client import Gauge
from pydantic import BaseModel

from services.common.errors import Aborted, DomainError, InvalidInput, NotFound, Violation
from services.predict.registry import ModelVersion, Registry, State
from services.predict.rollouts import guardrails, machine
from services.predict.rollouts.guardrails import Reading
from services.predict.rollouts.machine import Calls, Rollout
from services.predict.rollouts.policy import STABLE, Policy
from services.predict.rollouts.store import Event, Judgement, Store, outdated
from services.predict.rollouts.tally import Tally
from services.predict.routing import Router
from services.predict.triton import ModelServer

T = TypeVar("T")

LOOK_SECONDS = 0.5
_LOOKS_A_STEP = 4
"""What was counted is added and judged every fourth time, for that is some work; at once where an arm failed."""
ACTOR = "ghostback"
"""Who acts where the evidence decides."""

Transition = Callable[[Rollout, Calls, datetime], Rollout]

_log = structlog.get_logger()
_ACTIVE = Gauge("ghostback_rollouts_active", "1 for the state that a rollout is in.", ["model", "state"])


class Counts(Protocol):
    """What this replica counts."""

    def counted(self, rollout: str) -> Mapping[str, Tally]:
        """What was counted of each arm of a rollout since this replica started."""
        ...

    def keep(self, rollouts: set[str]) -> None:
        """Forget what was counted of all other rollouts."""
        ...


@dataclass(frozen=True)
class Standing:
    """A rollout with its evidence.

    Attributes:
        rollout: the rollout.
        tallies: of each arm, on all replicas.
        readings: of each arm beside stable.
    """

    rollout: Rollout
    tallies: Mapping[str, Tally]
    readings: Mapping[str, Sequence[Reading]]

    @property
    def calls(self) -> Calls:
        """Calls of each arm."""
        return {arm: tally.calls for arm, tally in self.tallies.items()}

    def evidence(self) -> str:
        """The readings and the tallies, as JSON; without what the models were given."""
        return _Evidence(
            readings={arm: list(readings) for arm, readings in self.readings.items()},
            tallies={arm: tally.model_copy(update={"inputs": {}}) for arm, tally in self.tallies.items()},
        ).model_dump_json()


class _Evidence(BaseModel):
    readings: dict[str, list[Reading]]
    tallies: dict[str, Tally]


class Controller:
    """Rollouts as this replica sees them."""

    def __init__(
        self,
        store: Store,
        router: Router,
        registry: Registry,
        model_server: ModelServer,
        counts: Counts,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self._router = router
        self._registry = registry
        self._model_server = model_server
        self._counts = counts
        self._clock = clock
        self._replica = uuid.uuid4().hex
        self._flushed: dict[str, Mapping[str, Tally]] = {}
        self._active: list[Rollout] = []
        self._pinned: set[str] = set()
        self._preparing: dict[ModelVersion, asyncio.Task[None]] = {}
        self._thread = ThreadPoolExecutor(1, "rollouts")
        self._stepping = asyncio.Lock()
        self.changed = asyncio.Condition()

    async def close(self) -> None:
        """Keep what was counted, and close the store."""
        for task in self._preparing.values():
            task.cancel()
        try:
            await self.step()
        except DomainError as error:
            _log.error("tallies not kept", problem=error.message)
        await asyncio.to_thread(self._thread.shutdown)
        self.store.close()

    async def run(self) -> None:
        """Follow, without end; while the store is away, plays go where they went."""
        for looks in itertools.count(1):
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await (self.step() if looks % _LOOKS_A_STEP == 0 or self._has_new_failures() else self.look())
            except DomainError as error:
                _log.error("rollouts not followed", problem=error.message)
            except Exception:
                _log.exception("rollouts not followed")

    async def look(self) -> None:
        """Take over what others changed."""
        async with self._stepping:
            await self._follow()
        async with self.changed:
            self.changed.notify_all()

    async def step(self) -> None:
        """Take over what others changed, add what was counted here, and do what the evidence asks for."""
        async with self._stepping:
            await self._pin()
            before, self._active = self._active, await self._follow()
            for rollout in {each.name: each for each in before + self._active}.values():
                await self._flush(rollout)
            for rollout in self._active:
                await self._judge(await self.standing(rollout))
            names = {rollout.name for rollout in self._active}
            self._counts.keep(names)
            self._flushed = {name: flushed for name, flushed in self._flushed.items() if name in names}
        async with self.changed:
            self.changed.notify_all()

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Use the store, on its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments))

    async def standing(self, rollout: Rollout) -> Standing:
        """A rollout with its evidence."""
        tallies = await self.do(self.store.tallies, rollout)
        policy, stable, versions = rollout.policy, tallies.get(STABLE, Tally()), self._versions(rollout)
        readings = {
            arm: guardrails.read(
                policy.guardrails,
                policy.alpha / len(policy.arms),
                stable,
                tallies.get(arm, Tally()),
                versions[arm].training if arm in versions else None,
            )
            for arm in policy.arms
        }
        return Standing(rollout, tallies, readings)

    async def create(self, policy: Policy, actor: str, reason: str) -> Rollout:
        """Start a rollout, once every version of it is loaded and gave its known answer.

        Raises:
            NotFound: there is no such model or version.
            FailedPrecondition: a version is unusable, or another rollout of the model is active.
            Unavailable: the model server or the database does not answer.
        """
        await self.step()
        versions = [self._router.stable(policy.model)]
        versions += [self._registry.get(policy.model, version) for version in policy.arms.values()]
        await asyncio.gather(*map(self._model_server.ensure_ready, versions))
        await self._pin()
        rollout = await self.do(self.store.create, policy, Event(actor, "create", reason), self._clock())
        await self.step()
        return rollout

    def problems(self, policy: Policy) -> list[str]:
        """Why a rollout would be refused now, as far as that is known without loading anything."""
        active = self._router.rollout(policy.model)
        problems = [f"{active.name} is active"] if active else []
        for version in policy.arms.values():
            try:
                found = self._registry.get(policy.model, version)
            except NotFound as error:
                problems.append(error.message)
                continue
            if found.state in (State.DISCOVERED, State.FAILED):
                problems.append(f"{found.id} cannot be used: {found.problem}")
        return problems

    async def act(self, name: tuple[str, int], etag: str, transition: Transition, event: Event) -> Rollout:
        """Do to a rollout what a person asks for.

        Raises:
            NotFound: there is no such rollout.
            Aborted: it was changed since the person saw it.
            FailedPrecondition: it is not in a state for that.
        """
        await self.step()
        rollout = await self.do(self.store.get, *name)
        if etag and etag != str(rollout.revision):
            raise outdated(rollout)
        standing, now = await self.standing(rollout), self._clock()
        after = transition(rollout, standing.calls, now).model_copy(update={"reason": event.reason})
        event = Event(event.actor, event.action, event.reason, standing.evidence())
        after = await self.do(self.store.change, rollout, after, event, now)
        await self.step()
        return after

    async def record(self, name: tuple[str, int], judgements: Sequence[Judgement]) -> int:
        """Record judgements, and do what they ask for; gives the number of new ones.

        Raises:
            NotFound: there is no such rollout.
            InvalidInput: it has no such arm.
        """
        rollout = await self.do(self.store.get, *name)
        violations = [
            Violation(f"judgements[{i}].arm", f"{each.arm!r} is not an arm of {rollout.name}")
            for i, each in enumerate(judgements)
            if each.arm not in rollout.policy.arms
        ]
        if violations:
            raise InvalidInput("ARM_UNKNOWN", violations)
        return await self.do(self.store.judge, rollout, judgements) if rollout.active else 0

    async def _pin(self) -> None:
        """Put versions that are ready into service where a model has none."""
        ready = {}
        for model in set(self._registry.names) - self._pinned:
            try:
                version = self._router.stable(model)
            except DomainError:
                continue
            if version.state is State.READY:
                ready[model] = version.manifest.version
        if ready:
            await self.do(self.store.pin, ready)
            self._pinned |= ready.keys()

    async def _follow(self) -> list[Rollout]:
        stable, rollouts = await self.do(self.store.in_service)
        self._router.follow(stable, rollouts)
        _ACTIVE.clear()
        for rollout in rollouts:
            _ACTIVE.labels(rollout.policy.model, rollout.state.value).set(1)
            for version in self._versions(rollout).values():
                if version.state is State.VERIFIED and version not in self._preparing:
                    self._preparing[version] = asyncio.create_task(self._prepare(version))
        return rollouts

    async def _prepare(self, version: ModelVersion) -> None:
        try:
            await self._model_server.ensure_ready(version)
        except DomainError as error:
            _log.warning("arm not ready", model=version.id, problem=error.message)
        finally:
            del self._preparing[version]

    def _has_new_failures(self) -> bool:
        return any(
            tally.errors > self._flushed.get(rollout.name, {}).get(arm, Tally()).errors
            for rollout in self._active
            for arm, tally in self._counts.counted(rollout.name).items()
        )

    async def _flush(self, rollout: Rollout) -> None:
        counted = self._counts.counted(rollout.name)
        if counted != self._flushed.get(rollout.name, {}):
            await self.do(self.store.count, self._replica, rollout, counted)
            self._flushed[rollout.name] = counted

    async def _judge(self, standing: Standing) -> None:
        rollout, now = standing.rollout, self._clock()
        unusable = {
            arm: f"{version.id} cannot be used: {version.problem}"
            for arm, version in self._versions(rollout).items()
            if version.state is State.FAILED
        }
        action, after = machine.follow(rollout, standing.readings, standing.calls, now, unusable)
        if not action:
            return
        why = after.reason or "; ".join(after.dropped.values()) or "every guardrail passes"
        event = Event(ACTOR, action, why, standing.evidence())
        try:
            await self.do(self.store.change, rollout, after.model_copy(update={"reason": why}), event, now)
        except Aborted:
            return
        _log.info("rollout moved on", rollout=rollout.name, action=action, reason=why)
        await self._follow()

    def _versions(self, rollout: Rollout) -> dict[str, ModelVersion]:
        """The versions of the arms that are installed here."""
        found = {}
        for arm, version in rollout.policy.arms.items():
            try:
                found[arm] = self._registry.get(rollout.policy.model, version)
            except NotFound:
                continue
        return found
