"""The Triton server that runs without Docker or a GPU is a real one."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import tritonclient.grpc.aio as triton_grpc
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from deploy.triton import launcher

ENVIRONMENT = Path(__file__).parents[3] / ".venv-triton"
CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: 64
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ 2 ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ 2 ] }} ]
instance_group [ {{ count: 1 }} ]
version_policy {{ all {{ }} }}
dynamic_batching {{ }}
"""


def add_model(repository: Path, name: str, artifact: bytes | None = None) -> None:
    """A model that gives 2 x + 1."""
    vector = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", 2]) for n in "xy"}
    constants = [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in (("two", 2.0), ("one", 1.0))]
    nodes = [helper.make_node("Mul", ["x", "two"], ["z"]), helper.make_node("Add", ["z", "one"], ["y"])]
    graph = helper.make_graph(nodes, "line", [vector["x"]], [vector["y"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(artifact or model.SerializeToString())
    (repository / name / "config.pbtxt").write_text(CONFIG.format(name=name))
    onnx.checker.check_model(model)


@pytest.fixture
async def triton(tmp_path: Path) -> AsyncIterator[launcher.Triton]:
    (tmp_path / "models").mkdir()
    add_model(tmp_path / "models", "line")
    async with launcher.running(ENVIRONMENT, tmp_path / "models", tmp_path / "log") as started:
        yield started


async def ask(client: triton_grpc.InferenceServerClient, rows: int) -> np.ndarray:
    x = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    tensor = triton_grpc.InferInput("x", x.shape, "FP32")
    tensor.set_data_from_numpy(x)
    result = await client.infer("line", [tensor], model_version="1")
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * x + 1)


async def test_it_answers_and_a_broken_model_does_not_stop_the_others(triton: launcher.Triton, tmp_path: Path) -> None:
    async with triton_grpc.InferenceServerClient(triton.ports.grpc_address) as client:
        await client.load_model("line")
        await ask(client, 1)
        await ask(client, 64)
        add_model(tmp_path / "models", "broken", b"not a model")
        with pytest.raises(InferenceServerException):
            await client.load_model("broken")
        await ask(client, 3)


async def test_nothing_is_left_when_it_stops(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    add_model(tmp_path / "models", "line")
    async with launcher.running(ENVIRONMENT, tmp_path / "models", tmp_path / "log") as triton:
        async with triton_grpc.InferenceServerClient(triton.ports.grpc_address) as client:
            await client.load_model("line")
            await ask(client, 2)
        assert list(Path("/dev/shm").glob(f"triton{triton.ports.grpc}-*"))
    assert triton.process.returncode == 0
    assert not list(Path("/dev/shm").glob(f"triton{triton.ports.grpc}-*"))
    assert not list((tmp_path / "models").rglob("__pycache__"))


async def test_a_missing_environment_is_told_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(launcher.TritonError, match="make setup"):
        async with launcher.running(tmp_path / "none", tmp_path, tmp_path / "log"):
            pass


async def test_a_server_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(launcher.TritonError, match="at start"):
        async with launcher.running(ENVIRONMENT, tmp_path / "no-such-repository", tmp_path / "log"):
            pass
