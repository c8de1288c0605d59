"""Triton's model repository: one model for each model version, the same for CPU and GPU."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from services.predict.manifest import TensorDeclaration
from services.predict.registry import ModelVersion

TRITON_VERSION = "1"
"""Version directory of every model: a model version of ours is a Triton model of its own."""

_QUEUE_DELAY_MICROSECONDS = 500


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
            shutil.rmtree(place)
        entry.rename(place)
    return True


def config_of(version: ModelVersion) -> model_config_pb2.ModelConfig:
    """Triton's configuration of a model version.

    Its instance group names no kind of device: Triton takes the GPU where there is one.
    """
    return model_config_pb2.ModelConfig(
        name=version.id,
        backend="onnxruntime",
        max_batch_size=version.manifest.max_batch_size,
        input=list(_tensors(model_config_pb2.ModelInput, version.manifest.inputs)),
        output=list(_tensors(model_config_pb2.ModelOutput, version.manifest.outputs)),
        version_policy=model_config_pb2.ModelVersionPolicy(all=model_config_pb2.ModelVersionPolicy.All()),
        instance_group=[model_config_pb2.ModelInstanceGroup(count=1)],
        dynamic_batching=model_config_pb2.ModelDynamicBatching(max_queue_delay_microseconds=_QUEUE_DELAY_MICROSECONDS),
    )


def _tensors(kind: type, declared: Iterable[TensorDeclaration]) -> Iterable[object]:
    for tensor in declared:
        yield kind(name=tensor.name, data_type=f"TYPE_{tensor.dtype}", dims=tensor.shape)
