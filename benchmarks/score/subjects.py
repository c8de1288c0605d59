"""Whose paths are scored: the players', a model's, and of those who run on as they moved at the pass."""

from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ghostback.play import Play
from ghostback.tracks import resample
from services.common.errors import FailedPrecondition
from services.features import feature_sets, tensors
from services.predict import ghosts, registry
from services.predict.registry import ModelVersion, State
from services.score import trajectories
from services.score.spoiling import spoil

Paths = Mapping[str, NDArray[np.float64]]
"""Path of each defensive back from pass forward to arrival, (n_steps + 1, 2) yards."""
Subject = Callable[[Play], Paths]
"""Draws the paths of a pass to the receiver whom the play names as the target."""


class Model:
    """A plugin's model in this process, fed with the tensors that serving makes."""

    def __init__(self, version: ModelVersion) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(version.artifact, options)
        self._inputs = [tensor.name for tensor in version.manifest.inputs]
        self._feature_set = feature_sets.get(version.manifest.feature_set)
        self.id = version.id
        self.setting = version.manifest.setting

    def __call__(self, play: Play) -> Paths:
        """The ghosts of every defensive back."""
        batch = tensors.compute(play, self._feature_set)
        if not batch.defender_ids:
            return {}
        displacement = ghosts.of_pairs(self.infer(batch.tensors), batch.tensor_row, batch.slot)
        drawn = ghosts.paths(displacement, batch.anchor, batch.direction, batch.air_steps)
        return dict(zip(batch.defender_ids, drawn, strict=True))

    def infer(self, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The displacements the model answers with, row for row of the tensors of its feature set, yards."""
        output: NDArray[np.float32]
        (output,) = self._session.run([ghosts.OUTPUT], {name: inputs[name] for name in self._inputs})
        return output


def load(name: str) -> Model:
    """The model of a version such as `ghosting-1.0.0`, or of the highest usable version of a model such as `ghosting`.

    Raises:
        DomainError: no plugin brings it, or what it brings is broken.
    """
    found = registry.discover(feature_sets.FEATURE_SETS)
    version = found.versions.get(name) or found.usable(name)[-1]
    if version.state is State.FAILED:
        raise FailedPrecondition("MODEL_VERSION_UNUSABLE", f"{name} cannot be used: {version.problem}", name)
    return Model(version)


def actual(play: Play) -> Paths:
    """The players, as they moved."""
    return trajectories.actual(play).paths


def constant_velocity(play: Play) -> Paths:
    """Everyone runs on as he moved at pass forward."""
    steps = len(trajectories.actual(play).receiver)
    tracks = resample(play, 0.0, 0.0)
    seconds = np.arange(steps)[:, None] * trajectories.STEP_SECONDS
    return {
        back.participant_id: tracks.position[row, 0] + tracks.velocity[row, 0] * seconds
        for back in play.defensive_backs()
        if back.participant_id in tracks
        for row in [tracks.row(back.participant_id)]
    }


def spoiled(subject: Subject, fraction: float, seed: int) -> Subject:
    """The subject when some of the defenders start with random speed and direction."""
    return lambda play: subject(spoil(play, fraction, seed))
