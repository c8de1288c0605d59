"""From a network to a model plugin's folder."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxruntime
import tomlkit
import torch
from onnx import compose
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from torch import Tensor, nn

from services.features.feature_sets import FeatureSet
from services.predict.rollouts import drift
from services.predict.rollouts.tally import Tally
from training.fit import predict
from training.networks.base import DEFENDERS, SceneNetwork
from training.networks.step_trees import DefenderFeatures, DeparturesAdded, StepTrees
from training.scenes import Float, Scenes, feature_set_of
from training.zoo import MODELS, Entry

OPSET = 18
MAX_BATCH = 256
GOLDEN_ROWS = 4
TOLERANCE = 1e-3
"""Largest difference of the golden example's answer, yards."""
_OUTPUTS = {"displacement": 2, "covariance": 3}
_NOT_NEEDED = ("nodes_hitrates", "nodes_missing_value_tracks_true")


class NotExported(RuntimeError):
    """The exported network does not answer as the trained one does."""


def export_onnx(network: SceneNetwork, feature_set: FeatureSet, path: Path) -> None:
    """Write a network as ONNX with a free row axis, for all defenders of a scene."""
    network.defenders = DEFENDERS
    example = {tensor.name: torch.zeros(2, *tensor.shape) for tensor in feature_set.tensors}
    if isinstance(network, StepTrees):
        model = _with_trees(network, example)
    else:
        outputs = list(_OUTPUTS)[: 2 if isinstance(network(**example), tuple) else 1]
        model = _traced(network, example, outputs)
    onnx.save(model, path)


def _traced(network: nn.Module, example: dict[str, Tensor], outputs: list[str], defenders: int = 1) -> onnx.ModelProto:
    """A network as ONNX.

    Args:
        network: the network.
        example: its inputs, for two scenes.
        outputs: names of its outputs.
        defenders: how many rows of the inputs stand for one scene.
    """
    network.eval()
    rows = defenders * torch.export.Dim("rows", min=1, max=4096)
    program = torch.onnx.export(
        network,
        tuple(example.values()),
        input_names=list(example),
        output_names=outputs,
        opset_version=OPSET,
        dynamic_shapes={name: {0: rows} for name in example},
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101
    return program.model_proto


def _with_trees(network: StepTrees, example: dict[str, Tensor]) -> onnx.ModelProto:
    """Features, trees and what is made of their departures, as one graph."""
    features, velocity = DefenderFeatures()(**example)
    boosters = [booster for pair in network.trees.values() for booster in pair]
    departures = torch.zeros(len(features), len(boosters))
    graph = onnx.helper.make_graph(
        [_forest(boosters)],
        "trees",
        [onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [None, features.shape[1]])],
        [onnx.helper.make_tensor_value_info("departures", onnx.TensorProto.FLOAT, [None, len(boosters)])],
    )
    first = _traced(DefenderFeatures(), example, ["features", "velocity"])
    first = compose.add_prefix(first, "features/", rename_inputs=False, rename_outputs=False)
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    trees = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=first.ir_version)
    last = _traced(
        DeparturesAdded(tuple(network.trees)),
        {"departures": departures, "velocity": velocity},
        ["displacement"],
        DEFENDERS,
    )
    joined = compose.merge_models(first, trees, [("features", "features")], outputs=["departures", "velocity"])
    return compose.merge_models(joined, last, [(name, name) for name in ("departures", "velocity")])


def _forest(boosters: list[lightgbm.Booster]) -> onnx.NodeProto:
    """All trees as one node, with a target for each booster."""
    parts: dict[str, list[Any]] = defaultdict(list)
    for target, booster in enumerate(boosters):
        inputs = [("features", FloatTensorType([None, booster.num_feature()]))]
        converted = convert_lightgbm(booster, initial_types=inputs).graph.node[0]
        offset = 1 + parts["nodes_treeids"][-1] if target else 0
        for attribute in converted.attribute:
            values = onnx.helper.get_attribute_value(attribute)
            if attribute.name == "target_ids":
                values = [target] * len(values)
            elif attribute.name.endswith("treeids"):
                values = [offset + tree for tree in values]
            if isinstance(values, list) and attribute.name not in _NOT_NEEDED:
                parts[attribute.name] += values
    node: onnx.NodeProto = onnx.helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["departures"],
        domain="ai.onnx.ml",
        n_targets=len(boosters),
        **parts,  # type: ignore[arg-type]
    )
    return node


def run_onnx(path: Path, scenes: Scenes) -> tuple[Float, Float | None]:
    """Displacements (n, 11, 40, 2) yards, and covariances (n, 11, 40, 3), that an exported network gives."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parts = [
        session.run(None, scenes.take(rows).inputs)
        for rows in np.array_split(np.arange(len(scenes)), len(scenes) // MAX_BATCH + 1)
    ]
    joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
    return joined[0], joined[1] if len(joined) > 1 else None


def write_plugin(
    folder: Path,
    entry: Entry,
    setting: str,
    network: SceneNetwork,
    golden: Scenes,
    trained_on: Scenes,
    metrics: dict[str, object],
    provenance: dict[str, str],
) -> None:
    """Write artifact, golden example, metrics and manifest.

    Args:
        folder: the plugin's package.
        entry: the model version.
        setting: `live` or `retrospective`.
        network: the network.
        golden: scenes to answer; the first few are kept.
        trained_on: scenes that the network was fitted to; the inputs of those with the actual target are counted.
        metrics: the report on held-out games.
        provenance: `data` and `command`.

    Raises:
        NotExported: the artifact's answer differs from the network's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    feature_set = feature_set_of(setting)
    export_onnx(network, feature_set, folder / "model.onnx")
    golden = golden.take(np.arange(min(GOLDEN_ROWS, len(golden))))
    answers = zip(_OUTPUTS, run_onnx(folder / "model.onnx", golden), predict(network, golden), strict=True)
    known = {f"input.{name}": values for name, values in golden.inputs.items()}
    for name, answer, expected in answers:
        if answer is None or expected is None:
            continue
        difference = float(np.abs(answer - expected).max())
        if difference > TOLERANCE:
            raise NotExported(f"{name} of {folder / 'model.onnx'} differs by {difference:.4f} from the network's")
        known[f"output.{name}"] = answer
    np.savez(folder / "golden.npz", allow_pickle=False, **known)
    (folder / "inputs.json").write_text(_counted(trained_on.take(~trained_on.what_if)).model_dump_json() + "\n")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    outputs = [name for name in _OUTPUTS if f"output.{name}" in known]
    (folder / "manifest.toml").write_text(
        tomlkit.dumps(_manifest(folder, entry, feature_set, outputs, provenance | {"trained_with": network.made_with}))
    )
    (folder / "__init__.py").write_text(f'"""{entry.description}."""\n')


def _counted(scenes: Scenes) -> Tally:
    """The inputs of scenes, each counted as predict counts a call."""
    shares = drift.histograms(scenes.inputs)
    n = len(scenes)
    return Tally(calls=n, inputs={name: tuple(n * share for share in each) for name, each in shares.items()})


def _manifest(
    folder: Path, entry: Entry, feature_set: FeatureSet, outputs: list[str], provenance: dict[str, str]
) -> dict[str, object]:
    return {
        "name": MODELS[feature_set.setting],
        "version": entry.version,
        "task": "ghosting",
        "setting": feature_set.setting,
        "description": entry.description,
        "feature_set": feature_set.id,
        "feature_set_digest": feature_set.digest,
        "max_batch_size": MAX_BATCH,
        "inputs": [{"name": t.name, "dtype": "FP32", "shape": list(t.shape)} for t in feature_set.tensors],
        "outputs": [
            {"name": name, "dtype": "FP32", "shape": [DEFENDERS, feature_set.horizon, _OUTPUTS[name]]}
            for name in outputs
        ],
        "artifact": {"file": "model.onnx", "sha256": _sha256(folder / "model.onnx")},
        "golden": {"file": "golden.npz", "sha256": _sha256(folder / "golden.npz"), "tolerance": TOLERANCE},
        "training_inputs": {"file": "inputs.json", "sha256": _sha256(folder / "inputs.json")},
        "provenance": provenance | {"metrics": "metrics.json"},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
