"""Keeps the registry as the installed distributions are, while the service runs."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass

import structlog

from ghostback import wire
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common import names
from services.common.errors import DomainError, InvalidInput, NotFound
from services.common.upstream import Upstream
from services.features.feature_sets import FEATURE_SETS, FeatureSet, TensorSpec
from services.predict import registry
from services.predict.registry import Changes, ModelVersion, Registry
from services.predict.triton import ModelServer

_REST = 4
"""How long to rest after a look that was asked for, in times of what it took."""
_log = structlog.get_logger()
_ROWS = {pb.TENSOR_ROW_DEFENDER: "defender", pb.TENSOR_ROW_TARGET: "target", pb.TENSOR_ROW_PASS: "pass"}
_SETTINGS = {source_pb2.SETTING_LIVE: "live", source_pb2.SETTING_RETROSPECTIVE: "retrospective"}


@dataclass(frozen=True, slots=True)
class _ToldFeatureSet(FeatureSet):
    """A feature set that only the features service knows in full."""

    told_digest: str

    @property
    def digest(self) -> str:
        return self.told_digest


class Plugins:
    """The plugins that are installed, looked for again and again."""

    def __init__(self, models: Registry, model_server: ModelServer, features: Upstream) -> None:
        self._registry = models
        self._model_server = model_server
        self._features = features
        self._feature_sets = dict(FEATURE_SETS)
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[Changes] | None = None
        self._rested = 0.0
        self._work: set[asyncio.Task[None]] = set()

    async def rescan(self) -> Changes:
        """Look once and take over what is found; what is gone is unloaded when its calls have ended.

        All who ask before a look begins share it, and after each there is a rest: however many ask, looking takes
        only a part of the time.
        """
        self._next = self._next or asyncio.create_task(self._look_next())
        return await asyncio.shield(self._next)

    async def _look_next(self) -> Changes:
        clock = asyncio.get_running_loop().time
        async with self._looking:
            await asyncio.sleep(self._rested - clock())
            self._next, began = None, clock()
            changes = self._take(await self._look())
            self._rested = clock() + _REST * (clock() - began)
            return changes

    async def watch(self, seconds: float) -> None:
        """Look every so many seconds; what two looks in a row agree on is taken over.

        So an installation that is under way is not taken for a plugin that is gone or broken.
        """
        before: Registry = self._registry
        while True:
            await asyncio.sleep(seconds)
            try:
                async with self._looking:
                    found = await self._look()
                    if found.same_as(before) and not found.same_as(self._registry):
                        self._take(found)
                    before = found
            except Exception:
                _log.exception("plugins not looked for")

    async def _look(self) -> Registry:
        found = await asyncio.to_thread(registry.find, None, self._registry)
        needed = {each.manifest.feature_set for each in found.versions.values()}
        unanswered = {}
        for feature_set in sorted(needed - self._feature_sets.keys()):
            try:
                self._feature_sets[feature_set] = await self._ask(feature_set)
            except (InvalidInput, NotFound):
                continue
            except DomainError as error:
                unanswered[feature_set] = error.message
        await asyncio.to_thread(registry.check, found, self._feature_sets, unanswered)
        return found

    async def _ask(self, feature_set: str) -> FeatureSet:
        request = wire.view(pb.GetFeatureSetRequest)(name=names.feature_set(feature_set))
        told = (await self._features.call("GetFeatureSet", request)).feature_set
        name, _, version = feature_set.rpartition("@")
        return _ToldFeatureSet(
            name=name,
            version=int(version),
            description=told.description,
            setting=_SETTINGS[told.setting],
            rate=told.step_rate_hz,
            observed=told.observed_steps,
            horizon=told.horizon_steps,
            row=_ROWS[told.tensor_row],
            tensors=tuple(TensorSpec(each.name, tuple(each.shape), tuple(each.entries)) for each in told.tensors),
            told_digest=told.digest,
        )

    def _take(self, found: Registry) -> Changes:
        broken = self._registry.broken
        changes = self._registry.update(found)
        for plugin, problem in found.broken.items():
            if broken.get(plugin) != problem:
                _log.error("plugin refused", plugin=plugin, problem=problem)
        for event, versions in (("found", changes.added), ("changed", changes.changed), ("removed", changes.removed)):
            for each in versions:
                _log.info(f"model version {event}", model=each.id, state=each.state.value, problem=each.problem)
        self._in_background(self._retire(each) for each in changes.removed)
        self._in_background(self._model_server.replace(each) for each in changes.changed)
        return changes

    async def _retire(self, version: ModelVersion) -> None:
        try:
            await self._model_server.unload(version)
        finally:
            version.fail("its plugin was uninstalled")

    def _in_background(self, work: Iterable[Coroutine[None, None, None]]) -> None:
        for each in work:
            task = asyncio.create_task(_logged(each))
            self._work.add(task)
            task.add_done_callback(self._work.discard)


async def _logged(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except DomainError as error:
        _log.error("model not retired or replaced", problem=error.message)
