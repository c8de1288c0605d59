"""Versions of a model `chaser` for rollouts: a sound one, and others that are sound only on their golden example."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.plugins import follow, follower, plugin, random_inputs

MODEL = "chaser"
STABLE, BETTER, CRASHING, SLOW, NOT_FINITE, REFUSED = "1.0", "2.0", "3.0", "4.0", "5.0", "6.0"
OFFSET = np.float32(0.5)
"""Yards by which the ghosts of every candidate differ from those of stable."""
_REAL = 1.0
"""Yards: players are farther away than this in a play, and nearer in a golden example."""


def install(site: Path) -> None:
    """Put all versions into a site folder."""
    inputs = {name: value * np.float32(0.01) for name, value in random_inputs(("receiver",)).items()}
    answers = {"displacement": follow(inputs)["displacement"] + OFFSET}
    wrong = {"displacement": answers["displacement"] + 1}
    for version, artifact, outputs in (
        (STABLE, follower(), follow(inputs)),
        (BETTER, _candidate(), answers),
        (CRASHING, _candidate(*_crash()), answers),
        (SLOW, _candidate(*_idle()), answers),
        (NOT_FINITE, _candidate(*_logarithm()), answers),
        (REFUSED, _candidate(), wrong),
    ):
        made = plugin(version, artifact, inputs, outputs)
        made.manifest["name"] = MODEL
        made.install(site, f"chaser_{version.replace('.', '_')}", "chaser-models")


def _candidate(*nodes: onnx.NodeProto) -> bytes:
    """A follower with an offset, to which nodes that make a scalar `nothing` add 0."""
    offset = helper.make_tensor("value", TensorProto.FLOAT, [], [OFFSET])
    nodes = nodes or (helper.make_node("Constant", [], ["nothing"], value=_scalar(0.0)),)
    return follower(
        then=[
            helper.make_node("Constant", [], ["offset"], value=offset),
            *nodes,
            helper.make_node("Add", ["places", "offset"], ["moved"]),
            helper.make_node("Constant", [], ["naught"], value=_scalar(0.0)),
            helper.make_node("Mul", ["nothing", "naught"], ["nought"]),
            helper.make_node("Add", ["moved", "nought"], ["displacement"]),
        ]
    )


def _crash() -> list[onnx.NodeProto]:
    """Looks up what is not there when it sees a play."""
    table = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.0])
    return [
        *_farthest(),
        helper.make_node("Greater", ["farthest", "real"], ["is_real"]),
        helper.make_node("Cast", ["is_real"], ["index"], to=TensorProto.INT64),
        helper.make_node("Constant", [], ["table"], value=table),
        helper.make_node("Gather", ["table", "index"], ["nothing"]),
    ]


def _logarithm() -> list[onnx.NodeProto]:
    """Takes the logarithm of a negative number when it sees a play."""
    return [
        *_farthest(),
        helper.make_node("Sub", ["real", "farthest"], ["left"]),
        helper.make_node("Log", ["left"], ["nothing"]),
    ]


def _idle(products: int = 3, size: int = 1000) -> list[onnx.NodeProto]:
    """Multiplies large matrices."""
    shape = helper.make_tensor("value", TensorProto.INT64, [2], [size, size])
    return [
        *_farthest(),
        helper.make_node("Sub", ["farthest", "farthest"], ["zero"]),
        helper.make_node("Constant", [], ["size"], value=shape),
        helper.make_node("Expand", ["zero", "size"], ["product0"]),
        *(helper.make_node("MatMul", [f"product{i}", f"product{i}"], [f"product{i + 1}"]) for i in range(products)),
        helper.make_node("ReduceMax", [f"product{products}"], ["nothing"], keepdims=0),
    ]


def _farthest() -> list[onnx.NodeProto]:
    return [
        helper.make_node("Abs", ["places"], ["far"]),
        helper.make_node("ReduceMax", ["far"], ["farthest"], keepdims=0),
        helper.make_node("Constant", [], ["real"], value=_scalar(_REAL)),
    ]


def _scalar(value: float) -> onnx.TensorProto:
    return helper.make_tensor("value", TensorProto.FLOAT, [], [value])
