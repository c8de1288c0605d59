"""The way to Triton: models loaded and probed before use, and again after Triton was away."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import structlog
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from prometheus_client import Counter
from tritonclient.utils import InferenceServerException

from services.common import interceptor, tracing
from services.common.errors import DeadlineExceeded, DomainError, FailedPrecondition, Unavailable
from services.common.upstream import remaining_seconds
from services.predict import registry, repository
from services.predict.golden import Tensors
from services.predict.joining import Joiner
from services.predict.manifest import Manifest, ManifestError
from services.predict.registry import ModelVersion, State

_log = structlog.get_logger()
_RECOVERIES = Counter("ghostback_model_recoveries_total", "Times that a model was lost and put right.", ["model"])
_LOAD_SECONDS = 30.0
_LIVE_SECONDS = 1.0
_LOADED = (State.READY, State.DRAINING)
"""States in which Triton has the model."""
_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
"""Statuses that say nothing of the model, only that Triton did not answer."""
_SPOILED = "DATA_LOSS"
"""Our own status for outputs that are no answer."""
_LOST = ("UNAVAILABLE", "NOT_FOUND", "INTERNAL")
"""Statuses with which Triton says that it, a model or a model's process is gone."""


class ModelServer:
    """One Triton server and the models it serves for us."""

    def __init__(self, address: str, model_repository: Path, timeout: float, drain_seconds: float = 10.0) -> None:
        """Connect lazily.

        Args:
            address: Triton's gRPC endpoint, `host:port`.
            model_repository: folder that Triton reads models from.
            timeout: deadline of a call where the caller set none, seconds.
            drain_seconds: how long a version that is to be unloaded waits for its calls to end.
        """
        self._address = address
        self._repository = model_repository
        self._timeout = timeout
        self._drain_seconds = drain_seconds
        self._client = triton.InferenceServerClient(
            address, channel_args=[("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        )
        self._preparing: dict[ModelVersion, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: dict[str, ModelVersion] = {}
        self._joiners: WeakKeyDictionary[ModelVersion, Joiner] = WeakKeyDictionary()

    async def infer(self, version: ModelVersion, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        """Outputs of a model version, by name.

        A version that Triton does not have (any more) is loaded and probed first.

        Args:
            version: the model version.
            inputs: by name, (n_rows, ...).

        Raises:
            FailedPrecondition: the version cannot be loaded, or gives a wrong known answer.
            Unavailable: Triton does not answer.
            DeadlineExceeded: the caller's deadline passed.
        """
        with version.in_use():
            if version.state in _LOADED:
                try:
                    return await self._infer(version, inputs)
                except InferenceServerException as error:
                    if _code(error) not in _LOST:
                        raise self._error(error) from None
                    self._lose(version, f"{_code(error)} {error.message()}")
            await self.ensure_ready(version)
            try:
                return await self._infer(version, inputs)
            except InferenceServerException as error:
                raise self._error(error) from None

    async def check(self) -> None:
        """Ask Triton whether it lives.

        Raises:
            Unavailable: it does not answer.
        """
        try:
            await self._client.is_server_live(client_timeout=_LIVE_SECONDS)
        except InferenceServerException as error:
            raise self._unavailable(f"{_code(error)} {error.message()}") from None

    async def ensure_ready(self, version: ModelVersion) -> None:
        """Have a version loaded and its known answer compared, unless that was done.

        The work goes on when the caller gives up, so that callers in a hurry find it done next time.

        Raises:
            FailedPrecondition: the version cannot be loaded, or gives a wrong known answer.
            Unavailable: Triton does not answer, or is still loading.
        """
        if version.state in _LOADED:
            return
        if version.state in (State.DISCOVERED, State.FAILED):
            raise _unusable(version)
        await self._prepared(version)

    async def reload(self, version: ModelVersion) -> None:
        """Load a version anew, also one that failed when it was loaded.

        Raises:
            FailedPrecondition: the version was refused, cannot be loaded, or gives a wrong known answer.
            Unavailable: Triton does not answer, or is still loading.
        """
        version.state, version.problem = version.verdict
        if version.state is not State.VERIFIED:
            raise _unusable(version)
        await self._prepared(version, anew=True)

    async def unload(self, version: ModelVersion) -> None:
        """Let a version's calls end, and unload it; when it is asked for again, it is loaded again.

        The work goes on when the caller gives up.

        Raises:
            Unavailable: Triton does not answer.
        """
        await asyncio.shield(self._start(self._unload(version)))

    async def _unload(self, version: ModelVersion) -> None:
        self._kept.pop(version.id, None)
        failed = version.state is State.FAILED
        if not failed:
            version.state = State.DRAINING
            with suppress(TimeoutError):
                await asyncio.wait_for(version.idle.wait(), self._drain_seconds)
        try:
            async with repository.locked(self._repository, version.id):
                await asyncio.to_thread(repository.remove, self._repository, version)
                if await self._is_loaded(version):
                    await self._client.unload_model(version.id, client_timeout=_LOAD_SECONDS)
        except OSError as error:
            raise self._unwritable(error) from None
        except InferenceServerException as error:
            raise self._unavailable(f"{_code(error)} {error.message()}") from None
        finally:
            if not failed:
                version.state = State.VERIFIED
        _log.info("model unloaded", model=version.id)

    async def replace(self, version: ModelVersion) -> None:
        """Have a version take the place of an earlier one of its id: loaded if that was, unloaded if it cannot be.

        Raises:
            FailedPrecondition: the version cannot be loaded, or gives a wrong known answer.
            Unavailable: Triton does not answer, or is still loading.
        """
        if version.state is not State.VERIFIED:
            await self.unload(version)
        elif self._kept.pop(version.id, None):
            await self._prepared(version)

    async def keep(self, seconds: float) -> None:
        """Ask every loaded version for its known answer, again and again, and load those anew that are lost.

        They are asked one after the other, evenly over the time, so that callers do not notice.
        """
        while True:
            versions = list(self._kept.values())
            pause = seconds / max(1, len(versions))
            await asyncio.sleep(pause)
            await asyncio.gather(*(self._look_after(each, i * pause) for i, each in enumerate(versions)))

    async def _look_after(self, version: ModelVersion, after: float) -> None:
        await asyncio.sleep(after)
        try:
            if version.state in _LOADED:
                if problem := await self._sign_of_loss(version):
                    self._lose(version, problem)
                else:
                    return
            if not repository.holds(self._repository, version):
                _log.info("model unloaded by another replica", model=version.id)
                self._kept.pop(version.id, None)
                return
            await self._prepared(version)
        except DomainError as error:
            _log.warning("model not recovered", model=version.id, problem=error.message)

    async def _sign_of_loss(self, version: ModelVersion) -> str:
        try:
            return await self._probe(version)
        except InferenceServerException as error:
            return "" if _code(error) == "DEADLINE_EXCEEDED" else f"{_code(error)} {error.message()}"

    def _lose(self, version: ModelVersion, problem: str) -> None:
        if version.state in _LOADED:
            _log.warning("model lost", model=version.id, problem=problem)
            version.state, version.problem = State.VERIFIED, f"Triton lost it: {problem}"

    async def _prepared(self, version: ModelVersion, anew: bool = False) -> None:
        task = self._preparing.get(version)
        if task is None or task.done() or anew:
            task = self._preparing[version] = self._start(self._prepare(version, anew))
        try:
            await asyncio.wait_for(asyncio.shield(task), remaining_seconds(self._timeout))
        except TimeoutError:
            raise self._unavailable(f"it is still loading {version.id}") from None

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop loading and unloading, close the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _prepare(self, version: ModelVersion, anew: bool) -> None:
        """Load a version unless Triton serves this very one already, as it does for another replica."""
        interceptor.deadline.set(None)
        lost = version.problem
        if version.state is not State.FAILED:
            version.state = State.LOADING
        if version.replaces:
            with suppress(TimeoutError):
                await asyncio.wait_for(version.replaces.idle.wait(), self._drain_seconds)
            version.replaces = None
        try:
            async with repository.locked(self._repository, version.id):
                version.example = await asyncio.to_thread(registry.check_files, version)
                changed = await asyncio.to_thread(repository.write, self._repository, version)
                problem = await self._load_and_probe(version, changed or anew)
        except ManifestError as error:
            problem = str(error)
        except OSError as error:
            raise self._unwritable(error) from None
        except InferenceServerException as error:
            raise self._unavailable(f"{_code(error)} {error.message()}") from None
        finally:
            if version.state is State.LOADING:
                version.state = State.VERIFIED
        if problem:
            version.fail(problem)
            raise _unusable(version)
        version.state, version.problem = State.READY, ""
        self._kept[version.id] = version
        if lost:
            version.recoveries, version.recovery = version.recoveries + 1, lost
            _RECOVERIES.labels(version.id).inc()
        _log.info("model ready", model=version.id, recovered_from=lost)

    async def _load_and_probe(self, version: ModelVersion, changed: bool) -> str:
        """What is wrong with a version; empty when it is loaded and its known answer is right.

        A model that Triton believes to have is unloaded first, or Triton takes no notice of the load.
        """
        if await self._is_loaded(version):
            if not changed and not await self._probe(version):
                return ""
            await self._client.unload_model(version.id, client_timeout=_LOAD_SECONDS)
        try:
            await self._client.load_model(version.id, client_timeout=_LOAD_SECONDS)
        except InferenceServerException as error:
            if _code(error) in _AWAY:
                raise
            return f"Triton cannot load it: {error.message()}"
        return await self._probe(version)

    async def _is_loaded(self, version: ModelVersion) -> bool:
        """Whether Triton believes so; it does of a model whose process crashed."""
        ready: bool = await self._client.is_model_ready(
            version.id, repository.TRITON_VERSION, client_timeout=_LOAD_SECONDS
        )
        return ready

    async def _probe(self, version: ModelVersion) -> str:
        """How the answer to the golden example differs from the known one; empty when it does not."""
        inputs, known = version.example
        try:
            answer = await self._infer(version, inputs)
        except InferenceServerException as error:
            if _code(error) in _AWAY:
                raise
            return f"it does not answer the golden example: {error.message()}"
        for name, value in known.items():
            difference = float(np.abs(answer[name] - value).max())
            if not difference <= version.manifest.golden.tolerance:
                return f"its answer {name} to the golden example is off by {difference:g}"
        return ""

    async def _infer(self, version: ModelVersion, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        """One call, whatever the number of rows; it may go to Triton together with others."""
        joiner = self._joiners.get(version)
        if joiner is None:
            send = partial(self._send, version.id, version.manifest)
            joiner = self._joiners[version] = Joiner(send, version.manifest.max_batch_size)
        taken = {tensor.name: inputs[tensor.name] for tensor in version.manifest.inputs}
        try:
            with tracing.calling("inference.GRPCInferenceService/ModelInfer", model=version.id):
                outputs = await joiner.infer(taken, remaining_seconds(self._timeout))
        except TimeoutError:
            raise InferenceServerException("the time is up", "StatusCode.DEADLINE_EXCEEDED") from None
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise InferenceServerException(f"{version.id} gave {name} that is not finite", f"StatusCode.{_SPOILED}")
        return outputs

    async def _send(
        self, model: str, manifest: Manifest, inputs: Tensors, seconds: float
    ) -> dict[str, NDArray[np.float32]]:
        """One request to Triton."""
        sent = []
        for tensor in manifest.inputs:
            value = np.ascontiguousarray(inputs[tensor.name], np.float32)
            sent.append(triton.InferInput(tensor.name, value.shape, tensor.dtype))
            sent[-1].set_data_from_numpy(value)
        result = await self._client.infer(
            model,
            sent,
            model_version=repository.TRITON_VERSION,
            client_timeout=seconds,
            headers=tracing.headers(recorded=True),
        )
        answered = f"{result.get_response().model_name} {result.get_response().model_version}"
        if answered != f"{model} {repository.TRITON_VERSION}":
            raise InferenceServerException(f"{answered} answered for {model}", "StatusCode.INTERNAL")
        rows = len(next(iter(inputs.values())))
        outputs = {}
        for tensor in manifest.outputs:
            value = result.as_numpy(tensor.name)
            if value is None or value.shape != (rows, *tensor.shape):
                shape = None if value is None else value.shape
                raise InferenceServerException(f"{model} gave {tensor.name} of shape {shape}", f"StatusCode.{_SPOILED}")
            outputs[tensor.name] = value
        return outputs

    def _error(self, error: InferenceServerException) -> Unavailable | DeadlineExceeded | FailedPrecondition:
        if _code(error) == _SPOILED:
            return FailedPrecondition("MODEL_OUTPUT_INVALID", error.message(), "model")
        if _code(error) == "DEADLINE_EXCEEDED":
            return DeadlineExceeded("DEADLINE_EXCEEDED", f"Triton at {self._address} did not answer in time")
        return self._unavailable(f"{_code(error)} {error.message()}")

    def _unwritable(self, error: OSError) -> Unavailable:
        return self._unavailable(f"its model repository cannot be written: {error}")

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            "MODEL_SERVER_UNAVAILABLE",
            f"the model server (Triton at {self._address}) does not answer: {why}",
            address=self._address,
        )


def _code(error: InferenceServerException) -> str:
    return (error.status() or "UNKNOWN").removeprefix("StatusCode.")


def _unusable(version: ModelVersion) -> FailedPrecondition:
    manifest = version.manifest
    return FailedPrecondition(
        "MODEL_VERSION_UNUSABLE",
        f"version {manifest.version} of model {manifest.name} cannot be used: {version.problem}",
        version.name,
    )
