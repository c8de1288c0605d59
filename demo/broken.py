"""A plugin that is right on its golden example and fails on anything else, as a version with a bug does."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import tomlkit
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ghostback_models.live import scene_transformer

VERSION = "2.0.1"


def install(site: Path) -> None:
    """Lay the plugin out in a site folder, as an installer would: the default model, with a bug."""
    package = site / "broken_ghosting"
    shutil.copytree(Path(scene_transformer.__file__).parent, package)
    model = onnx.load(package / "model.onnx")
    with np.load(package / "golden.npz") as golden:
        _break(model.graph, golden["input.players"])
    onnx.save(model, package / "model.onnx")
    manifest = tomlkit.parse((package / "manifest.toml").read_text()).unwrap()
    manifest |= {"version": VERSION, "description": "The scene transformer with a bug"}
    manifest["artifact"]["sha256"] = hashlib.sha256((package / "model.onnx").read_bytes()).hexdigest()
    (package / "manifest.toml").write_text(tomlkit.dumps(manifest))
    metadata = site / "broken_ghosting-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-ghosting\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[ghostback.models]\nbroken = broken_ghosting\n")


def _break(graph: onnx.GraphProto, golden: NDArray[np.float32]) -> None:
    """Have the model look up what is not there unless it is given the players of the golden example."""
    for node in graph.node:
        node.input[:] = ["players_checked" if name == "players" else name for name in node.input]
    constants = {
        "one_entry": helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0]),
        "expected": helper.make_tensor("value", TensorProto.FLOAT, [], [golden.max()]),
        "far": helper.make_tensor("value", TensorProto.INT64, [], [1000]),
    }
    checks = [helper.make_node("Constant", [], [name], value=value) for name, value in constants.items()]
    checks += [
        helper.make_node("ReduceMax", ["players"], ["farthest"], keepdims=0),
        helper.make_node("Equal", ["farthest", "expected"], ["is_golden"]),
        helper.make_node("Not", ["is_golden"], ["is_real"]),
        helper.make_node("Cast", ["is_real"], ["real"], to=TensorProto.INT64),
        helper.make_node("Mul", ["real", "far"], ["entry"]),
        helper.make_node("Gather", ["one_entry", "entry"], ["nothing"]),
        helper.make_node("Add", ["players", "nothing"], ["players_checked"]),
    ]
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(checks + nodes)
