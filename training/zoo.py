"""The model versions that are built in: what each is, and how it is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training import boost, fit
from training.fit import Options
from training.networks.base import SceneNetwork
from training.networks.physics import ConstantAcceleration, ConstantVelocity
from training.networks.scene_transformer import SceneTransformer
from training.networks.step_trees import StepTrees
from training.networks.tiled import CnnLstm, Lstm, Separate, Tiled
from training.scenes import Scenes

MODELS = {"live": "ghosting", "retrospective": "ghosting-retrospective"}
"""Name of the model of each setting; its versions are the entries below."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A built-in model version.

    Attributes:
        name: of the network, and of the plugin's package.
        version: PEP 440.
        description: what it is.
        build: makes the network.
        learning_rate: highest of the schedule; 0 for networks with nothing to learn.
        fit: fits it to training scenes, chosen by validation scenes.
    """

    name: str
    version: str
    description: str
    build: Callable[[], SceneNetwork]
    learning_rate: float = 2e-3
    fit: Callable[[Any, Scenes, Scenes, float, Options], object] = fit.fit


ZOO = {
    entry.name: entry
    for entry in (
        Entry("constant_velocity", "0.1.0", "Everybody goes on at his velocity", ConstantVelocity, 0.0),
        Entry(
            "constant_acceleration",
            "0.2.0",
            "Everybody goes on at his velocity and, for a moment, at his acceleration",
            ConstantAcceleration,
            0.0,
        ),
        Entry(
            "lightgbm_steps",
            "0.3.0",
            "Gradient-boosted trees for each step's departure from constant velocity",
            StepTrees,
            0.1,
            boost.fit,
        ),
        Entry("lstm", "0.4.0", "A simple LSTM, tiled: the baseline of the paper", lambda: Tiled(Lstm())),
        Entry("cnn_lstm_joint", "1.0.0", "Defender CNN-LSTM, both coordinates jointly", lambda: Tiled(CnnLstm())),
        Entry("cnn_lstm", "1.1.0", "Defender CNN-LSTM, a network for each coordinate", lambda: Tiled(Separate())),
        Entry(
            "social_cnn_lstm",
            "1.2.0",
            "Defender CNN-LSTM with social pooling over the other defensive backs",
            lambda: Tiled(CnnLstm(social=True)),
        ),
        Entry(
            "scene_transformer",
            "2.0.0",
            "Set transformer over all players and the ball, steering a rollout with bounded acceleration",
            SceneTransformer,
            1.5e-3,
        ),
    )
}
"""Every built-in version, by name, the plainest first."""
