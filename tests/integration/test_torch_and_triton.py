"""What is trained is what is served."""

from pathlib import Path

import numpy as np
import torch
import tritonclient.grpc.aio as triton_grpc

from deploy.triton import launcher
from services.features import feature_sets
from services.predict import registry, repository
from services.predict.triton import ModelServer
from simulator.game import simulate_game
from training import export, train
from training.dataset import Rows, of_play
from training.network import DefenderCnnLstm


async def test_triton_answers_as_torch_does(tmp_path: Path, triton_environment: Path) -> None:

    plays = [play for play in simulate_game(61, 12).plays if play.forward_pass]
    rows = Rows.concatenate([part for part in map(of_play, plays) if part is not None])
    torch.manual_seed(5)
    network = DefenderCnnLstm()
    (version,) = registry.discover(feature_sets.FEATURE_SETS).usable("ghosting")
    (tmp_path / "models").mkdir()
    repository.write(tmp_path / "models", version)
    export.export_onnx(network, tmp_path / "models" / version.id / "1" / "model.onnx")
    async with launcher.running(triton_environment, tmp_path / "models", tmp_path / "log") as triton:
        async with triton_grpc.InferenceServerClient(triton.ports.grpc_address) as client:
            await client.load_model(version.id)
        server = ModelServer(triton.ports.grpc_address, tmp_path / "models", 10.0)
        version.state = registry.State.READY
        tensors = {"defender": rows.defender, "receiver": rows.receiver, "ball": rows.ball}
        answer = await server.infer(version, tensors)
        await server.close()
    np.testing.assert_allclose(answer["displacement"], train.predict(network, rows), atol=1e-4)
