"""A pass at its release, as the defenders meet it: what candidate features are computed from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Participant, ParticipantKind, Play
from ghostback.tracks import Tracks, resample
from services.features import feature_sets, tensors
from services.features.targets import Target
from services.features.tensors import FeatureBatch

Points = NDArray[np.float64]

FIELD = np.array([FIELD_LENGTH, FIELD_WIDTH])
_ROWS_LIKE = {"live": "ghosting-kinematics-live@2", "retrospective": "ghosting-kinematics@2"}
SNAPS = frozenset({"ball_snap", "autoevent_ballsnap"})


@dataclass(frozen=True, slots=True)
class Bodies:
    """Motion of some over the observed steps, the last at the throw; the offense moves toward +x.

    Attributes:
        position: (n, n_steps, 2) yards.
        velocity: (n, n_steps, 2) yards per second.
        acceleration: (n, n_steps, 2) yards per second squared.
        orientation: (n, n_steps, 2) unit vectors the chests face; 0 where not reported.
    """

    position: Points
    velocity: Points
    acceleration: Points
    orientation: Points

    def take(self, rows: Sequence[int] | NDArray[np.intp]) -> Self:
        """The chosen ones; all NaN for a row of -1."""
        rows = np.asarray(rows, np.intp)
        taken = {f.name: getattr(self, f.name)[rows] for f in fields(self)}
        for value in taken.values():
            value[rows < 0] = np.nan
        return replace(self, **taken)


@dataclass(frozen=True)
class Throw:
    """A pass at its release, thrown to one target.

    Motion over the observed steps is taken from the play without its samples after the release, so
    nothing computed from it can know the future. Places are turned so that the offense moves toward +x.

    Attributes:
        play: the whole play.
        target: the target, with the paths of receiver and ball in the play's own coordinates.
        defender_ids: (n_defenders) whom to compute for.
        people: (n_people) participants whose motion is known.
        bodies: their motion.
        at_snap: (n_people, 2) yards, where they were at the snap; NaN where it is not known.
        step: seconds between steps.
        snap_seconds: from snap to throw; NaN when not known.
    """

    play: Play
    target: Target
    defender_ids: tuple[str, ...]
    people: tuple[Participant, ...]
    bodies: Bodies
    at_snap: Points
    step: float
    snap_seconds: float

    def rows(self, participant_ids: Sequence[str]) -> NDArray[np.intp]:
        """Rows of some people; -1 for those whose motion is not known."""
        known = {person.participant_id: row for row, person in enumerate(self.people)}
        return np.array([known.get(name, -1) for name in participant_ids], np.intp)

    @cached_property
    def defenders(self) -> Bodies:
        """The defenders, (n_defenders, ...)."""
        return self.bodies.take(self.rows(self.defender_ids))

    @cached_property
    def receiver(self) -> Bodies:
        """The targeted receiver, (1, ...)."""
        return self.bodies.take(self.rows([self.target.participant_id]))

    @cached_property
    def passer(self) -> Bodies:
        """Who throws, (1, ...)."""
        assert self.play.forward_pass is not None  # noqa: S101
        return self.bodies.take(self.rows([self.play.forward_pass.thrower_id]))

    @cached_property
    def ball(self) -> Bodies:
        """The ball, (1, ...); the passer where it has no tag."""
        row = self.rows([self.play.ball.participant_id]) if self.play.ball else np.array([-1])
        return self.bodies.take(row) if row[0] >= 0 else self.passer

    @cached_property
    def defense(self) -> NDArray[np.intp]:
        """Rows of all defenders on the field."""
        return self._players(lambda p: p.team_id != self.play.offense_team)

    @cached_property
    def other_receivers(self) -> NDArray[np.intp]:
        """Rows of the eligible receivers who are not the target."""
        eligible = {p.participant_id for p in self.play.eligible_receivers()} - {self.target.participant_id}
        return self._players(lambda p: p.participant_id in eligible)

    def nearest(self, among: NDArray[np.intp], to: Points, rank: int) -> NDArray[np.intp]:
        """The rows of those who are `rank`-th nearest at the throw to places (n, 2), -1 where there are too few.

        Who stands in the very place is not counted.
        """
        if len(among) == 0:
            return np.full(len(to), -1, np.intp)
        distance = np.linalg.norm(self.bodies.position[among, -1] - to[:, None], axis=-1)
        distance[~(distance > 0)] = np.inf
        order = np.argsort(distance, axis=1)
        if rank > order.shape[1]:
            return np.full(len(to), -1, np.intp)
        chosen = order[:, rank - 1]
        near = np.isfinite(distance[np.arange(len(to)), chosen])
        return np.where(near, among[chosen], -1)

    def turned(self, places: Points) -> Points:
        """Places on the field (..., 2) as they are when the offense moves toward +x."""
        return places if self.play.offense_direction > 0 else FIELD - places

    @cached_property
    def line_of_scrimmage(self) -> float:
        """Yards from the offense's own end line; NaN when not known."""
        line = self.play.situation.line_of_scrimmage
        if not line:
            return float("nan")
        return line if self.play.offense_direction > 0 else FIELD_LENGTH - line

    @cached_property
    def air_seconds(self) -> float:
        """Seconds from the throw to arrival."""
        return self.target.air_steps * self.step

    @cached_property
    def landing(self) -> Points:
        """(2,) yards, where the ball arrives."""
        return self.turned(self.target.ball[-1])

    def ahead(self, path: Points, steps: int) -> Points:
        """(2,) yards: where a path of the target is some steps after the throw, or at arrival if that is sooner."""
        n_observed = self.bodies.position.shape[1]
        return self.turned(path[n_observed - 1 + min(steps, self.target.air_steps)])

    def _players(self, chosen: Callable[[Participant], bool]) -> NDArray[np.intp]:
        rows = [i for i, p in enumerate(self.people) if p.kind is ParticipantKind.PLAYER and chosen(p)]
        return np.array(rows, np.intp)


def throws(
    play: Play, setting: str, target_ids: Sequence[str] = (), defender_ids: Sequence[str] = ()
) -> tuple[FeatureBatch, Iterator[Throw]]:
    """The throws of a play to some targets, and the batch of their rows without tensors.

    Args:
        play: the play, with samples.
        setting: `live` or `retrospective`; what is known of receiver and ball after the throw.
        target_ids: participants to take as the target; empty means the actual one.
        defender_ids: defenders to compute for; empty means every defensive back.

    Raises:
        InvalidInput: a target is not eligible, or a defender unknown.
        FailedPrecondition: the play has no pass, or lacks samples where they are needed.
    """
    feature_set = feature_sets.get(_ROWS_LIKE[setting])
    batch = tensors.compute(play, feature_set, target_ids, defender_ids)
    assert play.forward_pass is not None  # noqa: S101
    step, release = 1.0 / feature_set.rate, play.forward_pass.forward_frame
    past = replace(play, samples=play.samples.take(play.samples.frame <= release))
    tracks = resample(past, (1 - feature_set.observed) * step, 0.0, feature_set.rate)
    people = tuple(p for p in play.participants if p.participant_id in tracks)
    bodies = _bodies(tracks, [tracks.row(p.participant_id) for p in people], play.offense_direction, step)
    snap = next((event.frame for event in play.events if event.name in SNAPS and event.frame <= release), None)
    seconds = np.nan if snap is None else (release - snap) / play.sample_rate
    at_snap = np.full((len(people), 2), np.nan)
    if snap is not None:
        lined_up = resample(past, -seconds, -seconds)
        for row, person in enumerate(people):
            if person.participant_id in lined_up:
                at_snap[row] = lined_up.position[lined_up.row(person.participant_id), 0]
        if play.offense_direction < 0:
            at_snap = FIELD - at_snap
    defenders = batch.defender_ids[: len(batch.defender_ids) // len(batch.targets)]
    made = (Throw(play, target, defenders, people, bodies, at_snap, step, float(seconds)) for target in batch.targets)
    return replace(batch, tensors={}), made


def _bodies(tracks: Tracks, rows: Sequence[int], direction: int, step: float) -> Bodies:
    """Motion of some rows of tracks that end at the throw, carried on at the last velocity where samples end before."""
    position, velocity = tracks.position[rows].copy(), direction * tracks.velocity[rows]
    if direction < 0:
        position = FIELD - position
    for t in range(1, position.shape[1]):
        ended = np.isnan(position[:, t, 0])
        velocity[ended, t] = velocity[ended, t - 1]
        position[ended, t] = position[ended, t - 1] + velocity[ended, t] * step
    return Bodies(position, velocity, np.gradient(velocity, step, axis=1), direction * tracks.orientation[rows])
