"""From a fitted network to a model plugin's folder."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import tomlkit
import torch

from services.features import feature_sets
from training.dataset import FEATURE_SET, Rows
from training.network import DefenderCnnLstm

MAX_BATCH = 512
GOLDEN_ROWS = 8
TOLERANCE = 1e-3
"""Largest difference of the golden example's answer, yards."""


def export_onnx(network: DefenderCnnLstm, path: Path) -> None:
    """Write the network as ONNX with a free row axis."""
    feature_set = feature_sets.get(FEATURE_SET)
    names = [tensor.name for tensor in feature_set.tensors]
    network.eval()
    rows = torch.export.Dim("rows", min=1, max=4096)
    program = torch.onnx.export(
        network,
        tuple(torch.zeros(2, *tensor.shape) for tensor in feature_set.tensors),
        input_names=names,
        output_names=["displacement"],
        dynamic_shapes={name: {0: rows} for name in names},
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101
    program.save(str(path), external_data=False)


def run_onnx(path: Path, rows: Rows) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Displacements (n_rows, 40, 2) yards that the exported network gives."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = session.run(["displacement"], {"defender": rows.defender, "receiver": rows.receiver, "ball": rows.ball})
    result: np.ndarray[tuple[int, int, int], np.dtype[np.float32]] = outputs[0]
    return result


def write_plugin(
    folder: Path, network: DefenderCnnLstm, golden: Rows, metrics: dict[str, object], provenance: dict[str, str]
) -> None:
    """Write artifact, golden example, metrics and manifest.

    Args:
        folder: the plugin's package.
        network: the fitted network.
        golden: rows to answer; the first few are kept.
        metrics: the report on held-out games.
        provenance: `data` and `command`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export_onnx(network, folder / "model.onnx")
    golden = golden.take(np.arange(GOLDEN_ROWS))
    answer = run_onnx(folder / "model.onnx", golden)
    known = {f"input.{name}": getattr(golden, name) for name in ("defender", "receiver", "ball")}
    known["output.displacement"] = answer
    np.savez(folder / "golden.npz", allow_pickle=False, **known)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (folder / "manifest.toml").write_text(tomlkit.dumps(_manifest(folder, provenance)))


def _manifest(folder: Path, provenance: dict[str, str]) -> dict[str, object]:
    feature_set = feature_sets.get(FEATURE_SET)
    return {
        "name": "ghosting",
        "version": "1.0.0",
        "task": "ghosting",
        "setting": feature_set.setting,
        "description": "Defender CNN-LSTM: 1D-CNNs for defender, receiver and ball into an LSTM of 32 units; "
        "five steps observed, ten predicted, tiled to forty",
        "feature_set": feature_set.id,
        "feature_set_digest": feature_set.digest,
        "max_batch_size": MAX_BATCH,
        "inputs": [{"name": t.name, "dtype": "FP32", "shape": list(t.shape)} for t in feature_set.tensors],
        "outputs": [{"name": "displacement", "dtype": "FP32", "shape": [feature_set.horizon, 2]}],
        "artifact": {"file": "model.onnx", "sha256": _sha256(folder / "model.onnx")},
        "golden": {"file": "golden.npz", "sha256": _sha256(folder / "golden.npz"), "tolerance": TOLERANCE},
        "provenance": provenance | {"metrics": "metrics.json", "trained_with": f"torch {torch.__version__}"},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
