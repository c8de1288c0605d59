"""From a network to a model plugin's folder."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import torch
from onnx import compose
from onnxmltools.convert import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from torch import Tensor, nn

from services.features.feature_sets import FeatureSet
from training import plugin
from training.fit import predict
from training.networks.base import DEFENDERS, SceneNetwork
from training.networks.step_trees import DefenderFeatures, DeparturesAdded, StepTrees
from training.scenes import Float, Scenes, feature_set_of
from training.zoo import MODELS, Entry

OPSET = 18
GOLDEN_ROWS = 4
TOLERANCE = 1e-3
"""Largest difference of the golden example's answer, yards."""
_OUTPUTS = ("displacement", "covariance")
_NOT_NEEDED = ("nodes_hitrates", "nodes_missing_value_tracks_true")


def export_onnx(network: SceneNetwork, feature_set: FeatureSet, path: Path) -> None:
    """Write a network as ONNX with a free row axis, for all defenders of a scene."""
    network.defenders = DEFENDERS
    example = {tensor.name: torch.zeros(2, *tensor.shape) for tensor in feature_set.tensors}
    if isinstance(network, StepTrees):
        model = _with_trees(network, example)
    else:
        outputs = list(_OUTPUTS[: 2 if isinstance(network(**example), tuple) else 1])
        model = traced(network, example, outputs)
    onnx.save(model, path)


def traced(network: nn.Module, example: dict[str, Tensor], outputs: list[str], defenders: int = 1) -> onnx.ModelProto:
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
    first = traced(DefenderFeatures(), example, ["features", "velocity"])
    first = compose.add_prefix(first, "features/", rename_inputs=False, rename_outputs=False)
    trees = forest(boosters, "features", "departures", first.ir_version)
    last = traced(
        DeparturesAdded(tuple(network.trees)),
        {"departures": departures, "velocity": velocity},
        ["displacement"],
        DEFENDERS,
    )
    joined = compose.merge_models(first, trees, [("features", "features")], outputs=["departures", "velocity"])
    return compose.merge_models(joined, last, [(name, name) for name in ("departures", "velocity")])


def forest(boosters: list[lightgbm.Booster], given: str, told: str, ir_version: int) -> onnx.ModelProto:
    """All trees as one node of ONNX.

    Args:
        boosters: regressors of the same features.
        given: name of the input (n_rows, n_features).
        told: name of the output (n_rows, n_boosters).
        ir_version: of the models it is to be joined with.
    """
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
    node = onnx.helper.make_node(
        "TreeEnsembleRegressor",
        [given],
        [told],
        domain="ai.onnx.ml",
        n_targets=len(boosters),
        **parts,  # type: ignore[arg-type]
    )
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "trees",
        [value(given, onnx.TensorProto.FLOAT, [None, boosters[0].num_feature()])],
        [value(told, onnx.TensorProto.FLOAT, [None, len(boosters)])],
    )
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    model: onnx.ModelProto = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    return model


def run_onnx(path: Path, scenes: Scenes) -> tuple[Float, Float | None]:
    """Displacements (n, 11, 40, 2) yards, and covariances (n, 11, 40, 3), that an exported network gives."""
    answers = plugin.run(path, scenes.inputs)
    displacement, covariance = (answers.get(name) for name in _OUTPUTS)
    assert displacement is not None  # noqa: S101
    return displacement, covariance


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
    export_onnx(network, feature_set, folder / plugin.ARTIFACT)
    golden = golden.take(np.arange(min(GOLDEN_ROWS, len(golden))))
    answers = zip(_OUTPUTS, predict(network, golden), strict=True)
    plugin.write(
        folder,
        plugin.Identity(MODELS[setting], entry.version, "ghosting", entry.description, TOLERANCE),
        feature_set,
        golden.inputs,
        {name: answer for name, answer in answers if answer is not None},
        trained_on.take(~trained_on.what_if).inputs,
        metrics,
        provenance | {"trained_with": network.made_with},
    )
