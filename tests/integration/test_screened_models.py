"""Models may take their inputs from feature sets that only the features service knows."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ghostback.client import Addresses, Client
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.features.feature_sets import TensorSpec
from services.features.screening import screened
from services.features.screening.screened import Provenance, ScreenedSet
from simulator.game import simulate_game
from tests.plugins import plugin
from tests.predicting import NOBODY, Predicting, name, start, until
from tests.processes import running

SCREENED = ScreenedSet(
    name="ghosting-screened",
    version=1,
    description="a defender's velocity",
    setting="retrospective",
    rate=10.0,
    observed=5,
    horizon=10,
    row="defender",
    tensors=(TensorSpec("features", (2,), ("defender_vx yd/s", "defender_vy yd/s")),),
    mean=(0.0, 0.0),
    scale=(1.0, 1.0),
    provenance=Provenance(("games/1", "games/2"), 900, 7, "a test", 200, 1.0, 1.01),
)
VELOCITY = np.array([[1, 2], [0, -3]], np.float32)
RUN_ON = (
    {"features": VELOCITY},
    {"displacement": VELOCITY[:, None] * np.arange(1, 11, dtype=np.float32)[:, None] / 10},
)
"""What a model of defenders who run on is asked, and what it answers."""


@pytest.fixture(scope="module")
def play() -> Play:
    return next(play for play in simulate_game(31, 6).plays if play.forward_pass)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the import path of processes started here."""
    site = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield site


@pytest.fixture(scope="module")
async def predicting(tmp_path_factory: pytest.TempPathFactory, site: Path) -> AsyncIterator[Predicting]:
    async with start(tmp_path_factory.mktemp("predict")) as started:
        yield started


async def test_a_model_of_a_screened_feature_set_is_served_once_features_knows_the_set(
    predicting: Predicting, site: Path, play: Play
) -> None:
    plugin("0.8.0", run_on(), *RUN_ON, SCREENED).install(site, "of_screened", "screened-models")
    await predicting.models("RescanModels")
    unknown = await predicting.version("0.8.0")
    assert unknown.state == pb.MODEL_VERSION_STATE_FAILED
    assert unknown.state_description == "needs feature set ghosting-screened@1, which is not known here"
    write_screened(predicting.feature_sets)
    await predicting.models("RescanModels")
    prediction = await predicting.client.predict_ghosts(play, model=name("0.8.0"))
    batch = screened.compute(play, SCREENED)
    for ghost, velocity in zip(prediction.ghosts, batch.tensors["features"], strict=True):
        way = ghost.path[-1] - ghost.path[0]
        np.testing.assert_allclose(way, batch.direction * velocity * (len(ghost.path) - 1) / 10, atol=1e-3)


async def test_a_plugin_waits_for_a_features_service_that_is_not_up_yet(predicting: Predicting, site: Path) -> None:
    plugin("0.14.0", run_on(), *RUN_ON, SCREENED).install(site, "waits", "waiting-models")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = (f"--features=127.0.0.1:{port}", *predicting.flags[1:])
    async with running("services.predict", *flags) as server, Client(Addresses(predict=server.address)) as client:
        early = replace(predicting, client=client)
        version = await early.version("0.14.0")
        assert version.state == pb.MODEL_VERSION_STATE_DISCOVERED
        assert version.state_description.startswith("needs feature set ghosting-screened@1: features at ")
        write_screened(predicting.feature_sets)
        async with running(
            "services.features", f"--ingest={NOBODY}", f"--port={port}", f"--feature-sets={predicting.feature_sets}"
        ):
            await until(lambda: early.is_in("0.14.0", pb.MODEL_VERSION_STATE_VERIFIED))


def write_screened(folder: Path) -> None:
    """Have features know the screened set."""
    folder.mkdir(exist_ok=True)
    (folder / f"{SCREENED.id}.json").write_text(screened.to_document(SCREENED))


def run_on() -> bytes:
    """An ONNX model of defenders who run on as they did for ten steps."""
    value = {
        "features": helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", 2]),
        "displacement": helper.make_tensor_value_info("displacement", TensorProto.FLOAT, ["rows", 10, 2]),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["features", "axis"], ["velocity"]),
        helper.make_node("Mul", ["velocity", "seconds"], ["displacement"]),
    ]
    seconds = np.repeat(np.arange(1, 11, dtype=np.float32)[:, None] / 10, 2, axis=1)
    constants = [numpy_helper.from_array(seconds, "seconds"), numpy_helper.from_array(np.array([1]), "axis")]
    graph = helper.make_graph(nodes, "run_on", [value["features"]], [value["displacement"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
