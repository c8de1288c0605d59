"""Triton's model repository: one model for each model version, the same for CPU and GPU."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from services.predict.manifest import TensorDeclaration
from services.predict.registry import ModelVersion

TRITON_VERSION = "1"
"""Version directory of every model: a model version of ours is a Triton model of its own."""

_LOCK_SECONDS = 0.02


@asynccontextmanager
async def locked(repository: Path, model: str) -> AsyncIterator[None]:
    """Hold a model of the repository alone, among all tasks and replicas that share it.

    Raises:
        OSError: the repository cannot be written.
    """
    with (repository / f".{model}.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_SECONDS)
        yield


def write(repository: Path, version: ModelVersion) -> bool:
    """Put a model version into the repository: written aside, then renamed into place.

    Returns:
        Whether anything there had to change.

    Raises:
        OSError: the repository cannot be written.
    """
    files = {
        "config.pbtxt": text_format.MessageToString(config_of(version)).encode(),
        f"{TRITON_VERSION}/model.onnx": version.artifact.read_bytes(),
    }
    place = repository / version.id
    if all((place / name).is_file() and (place / name).read_bytes() == content for name, content in files.items()):
        return False
    with TemporaryDirectory(prefix=".new-", dir=repository) as aside:
        entry = Path(aside) / version.id
        for name, content in files.items():
            (entry / name).parent.mkdir(parents=True, exist_ok=True)
            (entry / name).write_bytes(content)
        if place.exists():
            place.rename(Path(aside) / "old")
        entry.rename(place)
    return True


def holds(repository: Path, version: ModelVersion) -> bool:
    """Whether a model version is in the repository, and so is meant to be loaded."""
    return (repository / version.id).is_dir()


def remove(repository: Path, version: ModelVersion) -> None:
    """Take a model version out of the repository: renamed aside, then deleted.

    Raises:
        OSError: the repository cannot be written.
    """
    with TemporaryDirectory(prefix=".old-", dir=repository) as aside, suppress(FileNotFoundError):
        (repository / version.id).rename(Path(aside) / version.id)


def config_of(version: ModelVersion) -> model_config_pb2.ModelConfig:
    """Triton's configuration of a model version, the same whatever Triton runs on.

    Where the manifest names no device, neither does the instance group: Triton takes the GPU where there is one.
    """
    declared = version.manifest
    config = model_config_pb2.ModelConfig(
        name=version.id,
        backend="onnxruntime",
        max_batch_size=declared.max_batch_size,
        input=list(_tensors(model_config_pb2.ModelInput, declared.inputs)),
        output=list(_tensors(model_config_pb2.ModelOutput, declared.outputs)),
        version_policy=model_config_pb2.ModelVersionPolicy(all=model_config_pb2.ModelVersionPolicy.All()),
        instance_group=[
            model_config_pb2.ModelInstanceGroup(
                count=declared.resources.instances, kind=f"KIND_{declared.resources.device.upper()}"
            )
        ],
        dynamic_batching=model_config_pb2.ModelDynamicBatching(
            max_queue_delay_microseconds=declared.batching.max_queue_delay_us,
            preferred_batch_size=declared.batching.preferred_sizes,
        ),
    )
    if declared.resources.tensorrt:
        config.optimization.execution_accelerators.gpu_execution_accelerator.add(
            name="tensorrt", parameters={"precision_mode": declared.resources.tensorrt}
        )
    return config


def _tensors(kind: type, declared: Iterable[TensorDeclaration]) -> Iterable[object]:
    for tensor in declared:
        yield kind(name=tensor.name, data_type=f"TYPE_{tensor.dtype}", dims=tensor.shape)
