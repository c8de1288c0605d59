"""A pass at the moment of its release: what feature sets are computed from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Play
from ghostback.tracks import Tracks
from services.features.feature_sets import FeatureSet
from services.features.targets import Target

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moment:
    """A play, its tracks around the pass, and whom to compute for.

    Attributes:
        play: the play.
        tracks: from the first observed step to the horizon.
        feature_set: what is computed.
        targets: the receivers taken as the target.
        defender_ids: the defenders.
    """

    play: Play
    tracks: Tracks
    feature_set: FeatureSet
    targets: tuple[Target, ...]
    defender_ids: tuple[str, ...]

    @property
    def direction(self) -> int:
        """+1 or -1: the way the offense moves along x."""
        return self.play.offense_direction

    @property
    def anchor(self) -> Points:
        """(n_defenders, 2) yards, where each defender is at the release."""
        places: Points = self.tracks.position[self.rows(self.defender_ids), self.feature_set.observed - 1]
        return places.reshape(-1, 2)

    def rows(self, participant_ids: tuple[str, ...]) -> NDArray[np.intp]:
        """Their rows in the tracks."""
        return np.array([self.tracks.row(name) for name in participant_ids], np.intp)

    def turned(self, places: Points) -> Points:
        """Places on the field (..., 2) as they are when the offense moves toward +x."""
        return places if self.direction > 0 else np.array([FIELD_LENGTH, FIELD_WIDTH]) - places

    def time_to_arrival(self, target: Target) -> Points:
        """(n_steps, 1) seconds until the ball arrives; 0 from then on."""
        steps = np.arange(1 - self.feature_set.observed, self.feature_set.horizon + 1)
        return np.maximum(target.air_steps - steps, 0)[:, None] / self.feature_set.rate
