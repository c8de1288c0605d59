"""What is trained is what is served."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import tritonclient.grpc.aio as triton_grpc

from deploy.triton import launcher
from deploy.triton.launcher import Triton
from services.features import feature_sets
from services.predict import registry, repository
from services.predict.triton import ModelServer
from simulator.game import simulate_game
from training import boost, export, fit
from training.fit import Options
from training.networks.step_trees import StepTrees
from training.scenes import Scenes, feature_set_of, of_plays
from training.zoo import ZOO


@dataclass(frozen=True)
class Served:
    """A Triton and its model repository."""

    triton: Triton
    repository: Path


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, triton_environment: Path) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("triton")
    (folder / "models").mkdir()
    async with launcher.running(triton_environment, folder / "models", folder / "log") as triton:
        yield Served(triton, folder / "models")


@pytest.fixture(scope="module")
def passes() -> Scenes:
    return Scenes.concatenate(of_plays(simulate_game(61, 60).plays, "live", 0))


@pytest.mark.parametrize("name", ["social_cnn_lstm", "scene_transformer", "lightgbm_steps"])
async def test_triton_answers_as_torch_does(name: str, served: Served, passes: Scenes) -> None:
    torch.manual_seed(5)
    network = ZOO[name].build()
    if isinstance(network, StepTrees):
        boost.fit(network, Scenes.concatenate([passes, passes]), passes, 0.1, Options())
    version = registry.discover(feature_sets.FEATURE_SETS).get("ghosting", ZOO[name].version)
    repository.write(served.repository, version)
    export.export_onnx(network, feature_set_of("live"), served.repository / version.id / "1" / "model.onnx")
    address = served.triton.ports.grpc_address
    async with triton_grpc.InferenceServerClient(address) as client:
        await client.load_model(version.id)
    server = ModelServer(address, served.repository, 10.0)
    version.state = registry.State.READY
    answer = await server.infer(version, passes.inputs)
    await server.close()
    displacement, covariance = fit.predict(network, passes)
    np.testing.assert_allclose(answer["displacement"], displacement, atol=1e-4)
    if covariance is not None:
        np.testing.assert_allclose(answer["covariance"], covariance, atol=1e-4)
