"""What Triton is given to read."""

import asyncio
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from services.features.feature_sets import FEATURE_SETS
from services.predict import registry, repository
from services.predict.manifest import Manifest
from services.predict.registry import ModelVersion
from tests import plugins


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    plugins.plugin("2.0.0").install(site, "one")
    return registry.discover(FEATURE_SETS, plugins.entry_points(site)).get("ghosting", "2.0.0")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_a_model_version_becomes_a_model_of_its_own_for_cpu_and_gpu_alike(version: ModelVersion, models: Path) -> None:
    assert repository.write(models, version)
    entry = models / "ghosting-2.0.0"
    assert (entry / "1" / "model.onnx").read_bytes() == plugins.follower()
    config = text_format.Parse((entry / "config.pbtxt").read_text(), pb.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("ghosting-2.0.0", "onnxruntime", 64)
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [("receiver", pb.TYPE_FP32, [45, 4])]
    assert [(t.name, t.data_type, list(t.dims)) for t in config.output] == [("displacement", pb.TYPE_FP32, [40, 2])]
    assert config.HasField("dynamic_batching")
    assert config.version_policy.HasField("all")
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, pb.ModelInstanceGroup.KIND_AUTO)]


def test_nothing_else_is_left_in_the_repository(version: ModelVersion, models: Path) -> None:
    repository.write(models, version)
    assert [path.relative_to(models).as_posix() for path in sorted(models.rglob("*"))] == [
        "ghosting-2.0.0",
        "ghosting-2.0.0/1",
        "ghosting-2.0.0/1/model.onnx",
        "ghosting-2.0.0/config.pbtxt",
    ]


@pytest.mark.parametrize("file", ["1/model.onnx", "config.pbtxt"])
def test_only_what_differs_is_written_again(file: str, version: ModelVersion, models: Path) -> None:
    repository.write(models, version)
    path = models / "ghosting-2.0.0" / file
    right = path.read_bytes()
    assert not repository.write(models, version)
    for spoil in (lambda: path.write_bytes(b"stale"), path.unlink):
        spoil()
        assert repository.write(models, version)
        assert path.read_bytes() == right


def test_what_the_manifest_says_of_devices_and_batches_is_told_to_triton(version: ModelVersion) -> None:
    said = {
        "resources": {"instances": 2, "device": "gpu", "tensorrt": "FP16"},
        "batching": {"max_queue_delay_us": 900, "preferred_sizes": [16, 32]},
    }
    version.manifest = Manifest.model_validate(version.manifest.model_dump() | said)
    config = repository.config_of(version)
    assert [(group.count, group.kind) for group in config.instance_group] == [(2, pb.ModelInstanceGroup.KIND_GPU)]
    assert config.dynamic_batching.max_queue_delay_microseconds == 900
    assert list(config.dynamic_batching.preferred_batch_size) == [16, 32]
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert (accelerator.name, dict(accelerator.parameters)) == ("tensorrt", {"precision_mode": "FP16"})


def test_a_model_that_is_taken_out_leaves_nothing(version: ModelVersion, models: Path) -> None:
    repository.write(models, version)
    assert repository.holds(models, version)
    for _ in range(2):
        repository.remove(models, version)
        assert not list(models.iterdir())
        assert not repository.holds(models, version)


async def test_one_at_a_time_works_on_a_model_and_others_go_on(models: Path) -> None:
    done = []

    async def work(model: str, name: str) -> None:
        async with repository.locked(models, model):
            done.append(name)

    async with repository.locked(models, "a"):
        waiting = asyncio.create_task(work("a", "second"))
        await asyncio.wait_for(work("b", "other model"), 5)
        assert not waiting.done()
        done.append("first")
    await asyncio.wait_for(waiting, 5)
    assert done == ["other model", "first", "second"]
