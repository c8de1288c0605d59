"""A model plugin's folder, around its artifact: golden example, tally of the training inputs, metrics, manifest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import tomlkit
from numpy.typing import NDArray

from services.features.feature_sets import FeatureSet
from services.predict.rollouts import drift
from services.predict.rollouts.tally import Tally

ARTIFACT = "model.onnx"
MAX_BATCH = 256

Tensors = Mapping[str, NDArray[np.float32]]


class NotExported(RuntimeError):
    """The artifact does not answer as the trained model does."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a plugin is.

    Attributes:
        name: of the model.
        version: PEP 440.
        task: what it answers.
        description: a sentence without its full stop.
        tolerance: largest difference of the golden example's answer, in the unit of the outputs.
    """

    name: str
    version: str
    task: str
    description: str
    tolerance: float


def run(path: Path, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
    """What an artifact answers, by output, to tensors (n_rows, ...)."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    n = len(next(iter(inputs.values())))
    parts = [
        session.run(None, {name: values[rows] for name, values in inputs.items()})
        for rows in np.array_split(np.arange(n), n // MAX_BATCH + 1)
    ]
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def write(
    folder: Path,
    identity: Identity,
    feature_set: FeatureSet,
    golden: Tensors,
    expected: Tensors,
    trained_on: Tensors,
    metrics: Mapping[str, object],
    provenance: Mapping[str, str],
) -> None:
    """Write everything around an artifact that is in the folder already.

    Args:
        folder: the plugin's package.
        identity: what it is.
        feature_set: of its inputs.
        golden: inputs (n_rows, ...) of the golden example.
        expected: the trained model's own answer to them, by output.
        trained_on: inputs that it was fitted to; they are counted, to tell drift against.
        metrics: the report on held-out games.
        provenance: `data`, `command` and `trained_with`.

    Raises:
        NotExported: the artifact's answer differs from the trained model's.
    """
    answers = run(folder / ARTIFACT, golden)
    for name, answer in expected.items():
        difference = float(np.abs(answers[name] - answer).max())
        if difference > identity.tolerance:
            raise NotExported(f"{name} of {folder / ARTIFACT} differs by {difference:.4f} from the trained model's")
    known = {f"input.{name}": values for name, values in golden.items()}
    known |= {f"output.{name}": answers[name] for name in expected}
    np.savez(folder / "golden.npz", allow_pickle=False, **known)
    (folder / "inputs.json").write_text(_counted(trained_on).model_dump_json() + "\n")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    shapes = {name: answer.shape[1:] for name, answer in expected.items()}
    manifest = _manifest(folder, identity, feature_set, shapes, provenance)
    (folder / "manifest.toml").write_text(tomlkit.dumps(manifest))
    (folder / "__init__.py").write_text(f'"""{identity.description}."""\n')


def _counted(inputs: Tensors) -> Tally:
    """Inputs, each row counted as predict counts a call."""
    n = len(next(iter(inputs.values())))
    shares = drift.histograms(dict(inputs))
    return Tally(calls=n, inputs={name: tuple(n * share for share in each) for name, each in shares.items()})


def _manifest(
    folder: Path,
    identity: Identity,
    feature_set: FeatureSet,
    outputs: Mapping[str, tuple[int, ...]],
    provenance: Mapping[str, str],
) -> dict[str, object]:
    return {
        "name": identity.name,
        "version": identity.version,
        "task": identity.task,
        "setting": feature_set.setting,
        "description": identity.description,
        "feature_set": feature_set.id,
        "feature_set_digest": feature_set.digest,
        "max_batch_size": MAX_BATCH,
        "inputs": [{"name": t.name, "dtype": "FP32", "shape": list(t.shape)} for t in feature_set.tensors],
        "outputs": [{"name": name, "dtype": "FP32", "shape": list(shape)} for name, shape in outputs.items()],
        "artifact": {"file": ARTIFACT, "sha256": _sha256(folder / ARTIFACT)},
        "golden": {"file": "golden.npz", "sha256": _sha256(folder / "golden.npz"), "tolerance": identity.tolerance},
        "training_inputs": {"file": "inputs.json", "sha256": _sha256(folder / "inputs.json")},
        "provenance": dict(provenance) | {"metrics": "metrics.json"},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
