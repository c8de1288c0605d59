"""Triton's model repository: one model for each model version, the same for CPU and GPU."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkdtemp

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from services.predict.manifest import TensorDeclaration
from services.predict.registry import ModelVersion

TRITON_VERSION = "1"
"""Version directory of every model: a model version of ours is a Triton model of its own."""

_QUEUE_DELAY_MICROSECONDS = 500


def write(repository: Path, version: ModelVersion) -> None:
    """Put a model version into the repository: written aside, then renamed into place.

    Raises:
        OSError: the repository cannot be written.
    """
    aside = Path(mkdtemp(prefix=".new-", dir=repository))
    aside.chmod(0o755)
    (aside / TRITON_VERSION).mkdir()
    shutil.copyfile(version.artifact, aside / TRITON_VERSION / "model.onnx")
    (aside / "config.pbtxt").write_text(text_format.MessageToString(config_of(version)))
    place = repository / version.id
    if place.exists():
        shutil.rmtree(place)
    aside.rename(place)


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
