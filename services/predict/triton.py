"""The way to Triton: models loaded and probed before use, and again after Triton was away."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import structlog
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from services.common.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from services.common.upstream import remaining_seconds
from services.predict import repository
from services.predict.registry import ModelVersion, State

Tensors = Mapping[str, NDArray[np.float32]]

_log = structlog.get_logger()
_LOAD_SECONDS = 30.0
_LOST = ("UNAVAILABLE", "NOT_FOUND", "INTERNAL")
"""Statuses with which Triton says that it, a model or a model's process is gone."""


class ModelServer:
    """One Triton server and the models it serves for us."""

    def __init__(self, address: str, model_repository: Path, timeout: float) -> None:
        """Connect lazily.

        Args:
            address: Triton's gRPC endpoint, `host:port`.
            model_repository: folder that Triton reads models from.
            timeout: deadline of a call where the caller set none, seconds.
        """
        self._address = address
        self._repository = model_repository
        self._timeout = timeout
        self._client = triton.InferenceServerClient(
            address, channel_args=[("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
        )
        self._loading: dict[str, asyncio.Lock] = {}

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
        if version.state is State.READY:
            try:
                return await self._infer(version, inputs)
            except InferenceServerException as error:
                if _code(error) not in _LOST:
                    raise self._error(error) from None
                _log.warning("model lost", model=version.id, error=str(error))
                version.state = State.VERIFIED
        await self.ensure_ready(version)
        try:
            return await self._infer(version, inputs)
        except InferenceServerException as error:
            raise self._error(error) from None

    async def ensure_ready(self, version: ModelVersion) -> None:
        """Load a version and compare its known answer, unless that was done.

        Raises:
            FailedPrecondition: the version cannot be loaded, or gives a wrong known answer.
            Unavailable: Triton does not answer.
        """
        async with self._loading.setdefault(version.id, asyncio.Lock()):
            if version.state is State.READY:
                return
            if version.state is State.FAILED:
                raise _unusable(version)
            await self._load(version)
            problem = await self._wrong_answer(version)
            if problem:
                version.fail(problem)
                raise _unusable(version)
            version.state = State.READY
            _log.info("model ready", model=version.id)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _load(self, version: ModelVersion) -> None:
        """Load afresh: Triton takes no notice of a load of what it believes to have."""
        timeout = remaining_seconds(_LOAD_SECONDS)
        await asyncio.to_thread(repository.write, self._repository, version)
        try:
            if await self._client.is_model_ready(version.id, client_timeout=timeout):
                await self._client.unload_model(version.id, client_timeout=timeout)
            await self._client.load_model(version.id, client_timeout=timeout)
        except InferenceServerException as error:
            if _code(error) != "INVALID_ARGUMENT":
                raise self._error(error) from None
            version.fail(f"Triton cannot load it: {error.message()}")
            raise _unusable(version) from None

    async def _wrong_answer(self, version: ModelVersion) -> str:
        """How the answer to the golden example differs from the known one; empty when it does not."""
        with np.load(version.golden) as golden:
            known = {name: golden[name] for name in golden.files}
        inputs = {name.removeprefix("input."): value for name, value in known.items() if name.startswith("input.")}
        try:
            answer = await self._infer(version, inputs)
        except InferenceServerException as error:
            raise self._error(error) from None
        for name, value in answer.items():
            difference = float(np.abs(value - known[f"output.{name}"]).max())
            if not difference <= version.manifest.golden.tolerance:
                return f"its answer {name} to the golden example is off by {difference:g}"
        return ""

    async def _infer(self, version: ModelVersion, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        """One call, whatever the number of rows; more rows than a batch holds are split."""
        size = version.manifest.max_batch_size
        rows = len(next(iter(inputs.values())))
        timeout = remaining_seconds(self._timeout)
        parts = await asyncio.gather(
            *(
                self._infer_batch(version, {name: value[i : i + size] for name, value in inputs.items()}, timeout)
                for i in range(0, rows, size)
            )
        )
        return {
            tensor.name: np.concatenate([part[tensor.name] for part in parts]) for tensor in version.manifest.outputs
        }

    async def _infer_batch(
        self, version: ModelVersion, inputs: Tensors, seconds: float
    ) -> dict[str, NDArray[np.float32]]:
        sent = []
        for tensor in version.manifest.inputs:
            value = np.ascontiguousarray(inputs[tensor.name], np.float32)
            sent.append(triton.InferInput(tensor.name, value.shape, tensor.dtype))
            sent[-1].set_data_from_numpy(value)
        result = await self._client.infer(
            version.id, sent, model_version=repository.TRITON_VERSION, client_timeout=seconds
        )
        answered = f"{result.get_response().model_name} {result.get_response().model_version}"
        if answered != f"{version.id} {repository.TRITON_VERSION}":
            raise InferenceServerException(f"{answered} answered for {version.id}", "StatusCode.INTERNAL")
        rows = len(next(iter(inputs.values())))
        outputs = {}
        for tensor in version.manifest.outputs:
            value = result.as_numpy(tensor.name)
            if value is None or value.shape != (rows, *tensor.shape) or not np.isfinite(value).all():
                shape = None if value is None else value.shape
                raise InferenceServerException(
                    f"{version.id} gave {tensor.name} of shape {shape} or not finite", "StatusCode.INTERNAL"
                )
            outputs[tensor.name] = value
        return outputs

    def _error(self, error: InferenceServerException) -> Unavailable | DeadlineExceeded:
        if _code(error) == "DEADLINE_EXCEEDED":
            return DeadlineExceeded("DEADLINE_EXCEEDED", f"Triton at {self._address} did not answer in time")
        return Unavailable(
            "MODEL_SERVER_UNAVAILABLE",
            f"the model server (Triton at {self._address}) does not answer: {_code(error)} {error.message()}",
            address=self._address,
        )


def _code(error: InferenceServerException) -> str:
    return (error.status() or "UNKNOWN").removeprefix("StatusCode.")


def _unusable(version: ModelVersion) -> FailedPrecondition:
    manifest = version.manifest
    return FailedPrecondition(
        "MODEL_VERSION_UNUSABLE",
        f"version {manifest.version} of model {manifest.name} cannot be used: {version.problem}",
        f"models/{manifest.name}/versions/{manifest.version}",
    )
