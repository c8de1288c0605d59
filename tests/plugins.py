"""Model plugins made for a test, as an installer would lay them out in a site folder."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import numpy as np
import onnx
import tomlkit
from numpy.typing import NDArray
from onnx import TensorProto, helper

from services.features import feature_sets
from services.features.feature_sets import FeatureSet

FEATURE_SET = feature_sets.get("ghosting-kinematics@2")
RELEASE = FEATURE_SET.observed

Arrays = Mapping[str, NDArray[np.float32]]


def follower(
    takes: str = "receiver", then: Sequence[onnx.NodeProto] = (), constants: Mapping[str, float] | None = None
) -> bytes:
    """An ONNX model whose ghosts go where the receiver is: the receiver's places after the release.

    Args:
        takes: name of its input.
        then: what makes `displacement` of these places, named `places`; nothing when not given.
        constants: numbers that `then` uses, by name.
    """
    shapes = {takes: list(FEATURE_SET.tensors[1].shape), "displacement": [FEATURE_SET.horizon, 2]}
    value = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", *shapes[n]]) for n in shapes}
    bounds = {"start": [RELEASE, 0], "end": [RELEASE + FEATURE_SET.horizon, 2], "axes": [1, 2]}
    initial = [helper.make_tensor(n, TensorProto.INT64, [2], v) for n, v in bounds.items()]
    initial += [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in (constants or {}).items()]
    nodes = [helper.make_node("Slice", [takes, *bounds], ["places" if then else "displacement"]), *then]
    graph = helper.make_graph(nodes, "follower", [value[takes]], [value["displacement"]], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def never_finite() -> bytes:
    """A follower that answers with infinity."""
    nodes = [
        helper.make_node("Sub", ["places", "places"], ["nothing"]),
        helper.make_node("Reciprocal", ["nothing"], ["displacement"]),
    ]
    return follower(then=nodes)


def slow(products: int) -> bytes:
    """A follower that multiplies some large matrices first, about a tenth of a second each."""
    size = helper.make_tensor("size", TensorProto.INT64, [2], [1200, 1200])
    nodes = [
        helper.make_node("ReduceMean", ["places"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "mean"], ["zero"]),
        helper.make_node("Constant", [], ["size"], value=size),
        helper.make_node("Expand", ["zero", "size"], ["product0"]),
        *(helper.make_node("MatMul", [f"product{i}", f"product{i}"], [f"product{i + 1}"]) for i in range(products)),
        helper.make_node("ReduceMax", [f"product{products}"], ["most"], keepdims=0),
        helper.make_node("Add", ["places", "most"], ["displacement"]),
    ]
    return follower(then=nodes)


def follow(inputs: Arrays) -> Arrays:
    """What the follower answers."""
    return {"displacement": inputs["receiver"][:, RELEASE:, :2]}


def random_inputs(names: tuple[str, ...], rows: int = 3) -> dict[str, NDArray[np.float32]]:
    """Rows of tensors of the feature set, a few yards and yards per second in size."""
    rng = np.random.default_rng(4)
    shapes = {tensor.name: tensor.shape for tensor in FEATURE_SET.tensors}
    return {name: rng.normal(0, 3, (rows, *shapes[name])).astype(np.float32) for name in names}


def npz(inputs: Arrays, outputs: Arrays) -> bytes:
    """A golden example."""
    buffer = io.BytesIO()
    arrays = {f"input.{n}": v for n, v in inputs.items()} | {f"output.{n}": v for n, v in outputs.items()}
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


@dataclass
class Plugin:
    """What a plugin consists of; change it, then install it."""

    manifest: dict[str, object]
    files: dict[str, bytes]

    def install(self, site: Path, package: str, distribution: str = "quick-models") -> Path:
        """Lay the plugin out in a site folder: its package, which must never be imported, and its metadata."""
        folder = site.joinpath(*package.split("."))
        folder.mkdir(parents=True)
        for parent in (folder, *folder.parents):
            if parent == site:
                break
            (parent / "__init__.py").write_text("raise SystemExit('a plugin was imported')\n")
        (folder / "manifest.toml").write_text(tomlkit.dumps(self.manifest))
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        metadata = site / f"{distribution.replace('-', '_')}-0.1.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1\n")
        points = metadata / "entry_points.txt"
        points.write_text(
            (points.read_text() if points.exists() else "[ghostback.models]\n") + f"{package}={package}\n"
        )
        return folder


def plugin(
    version: str = "2.0.0",
    artifact: bytes | None = None,
    inputs: Arrays | None = None,
    outputs: Arrays | None = None,
    feature_set: FeatureSet = FEATURE_SET,
) -> Plugin:
    """A sound plugin of the model `ghosting`: the follower, or the artifact given with its known answer."""
    inputs = inputs or random_inputs(("receiver",))
    outputs = outputs or follow(inputs)
    files = {"model.onnx": artifact or follower(), "golden.npz": npz(inputs, outputs)}
    manifest: dict[str, object] = {
        "name": "ghosting",
        "version": version,
        "task": "ghosting",
        "setting": "retrospective",
        "description": "made for a test",
        "feature_set": feature_set.id,
        "feature_set_digest": feature_set.digest,
        "max_batch_size": 64,
        "inputs": [{"name": n, "dtype": "FP32", "shape": list(v.shape[1:])} for n, v in inputs.items()],
        "outputs": [{"name": n, "dtype": "FP32", "shape": list(v.shape[1:])} for n, v in outputs.items()],
        "artifact": {"file": "model.onnx", "sha256": sha256(files["model.onnx"])},
        "golden": {"file": "golden.npz", "sha256": sha256(files["golden.npz"]), "tolerance": 1e-3},
        "provenance": {"data": "none", "command": "none", "metrics": "metrics.json", "trained_with": "nothing"},
    }
    return Plugin(manifest, files)


def sha256(content: bytes) -> str:
    """Lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def entry_points(site: Path) -> list[EntryPoint]:
    """The entry points of the distributions in a site folder."""
    return [point for found in distributions(path=[str(site)]) for point in found.entry_points]
