"""Dense tracks: where everyone is at evenly spaced times around a pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Play, Samples

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Motion of a play's participants at evenly spaced times, in the play's own coordinates.

    Attributes:
        participant_ids: (n_participants) who; those with at least one sample in the time asked for.
        times: (n_steps,) seconds since pass forward.
        position: (n_participants, n_steps, 2) yards; NaN where it cannot be had.
        velocity: (n_participants, n_steps, 2) yards per second, from reported speed and direction;
            by differences of position where those are not reported.
        orientation: (n_participants, n_steps, 2) unit vector the chest faces; 0 where not reported.
    """

    participant_ids: tuple[str, ...]
    times: NDArray[np.float64]
    position: Points
    velocity: Points
    orientation: Points

    def __contains__(self, participant_id: str) -> bool:
        return participant_id in self.participant_ids

    def row(self, participant_id: str) -> int:
        """Index of a participant.

        Raises:
            KeyError: the participant has no samples in this time.
        """
        try:
            return self.participant_ids.index(participant_id)
        except ValueError:
            raise KeyError(participant_id) from None


def resample(play: Play, start: float, stop: float, rate: float = 10.0, max_gap: float = 0.5) -> Tracks:
    """Tracks from start to stop, both included, whatever the rate of the feed.

    Several tags of one participant are averaged. Between samples the motion is interpolated
    linearly, unless they are farther apart than `max_gap`.

    Args:
        play: the play, with samples and a pass.
        start: first time, seconds since pass forward.
        stop: last time, seconds since pass forward.
        rate: steps per second of the result.
        max_gap: longest gap bridged, seconds.

    Raises:
        ValueError: the play has no pass.
    """
    if play.forward_pass is None:
        raise ValueError(f"{play.name} has no pass")
    times = start + np.arange(round((stop - start) * rate) + 1) / rate
    release = play.forward_pass.forward_frame
    margin = max_gap * play.sample_rate
    samples = play.samples
    near = (samples.frame >= release + start * play.sample_rate - margin) & (
        samples.frame <= release + stop * play.sample_rate + margin
    )
    samples = samples.take(near)
    ids, parts = [], []
    for participant in play.participants:
        own = samples.take(np.isin(samples.tag_id, np.array(participant.tag_ids, np.uint64)))
        if len(own):
            ids.append(participant.participant_id)
            parts.append(_resample_one(own, (times * play.sample_rate) + release, play.sample_rate, max_gap))
    position, velocity, orientation = (
        np.stack([part[i] for part in parts]) if parts else np.empty((0, len(times), 2)) for i in range(3)
    )
    return Tracks(tuple(ids), times, position, velocity, orientation)


def _resample_one(samples: Samples, frames: NDArray[Any], sample_rate: float, max_gap: float) -> tuple[Points, ...]:
    """Position, velocity and orientation of one participant at (fractional) frames: (n_steps, 2) each."""
    known, which = np.unique(samples.frame, return_inverse=True)
    count = np.bincount(which)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(which, values) / count

    def at_frames(x: NDArray[np.floating], y: NDArray[np.floating]) -> Points:
        return np.stack([np.interp(frames, known, x), np.interp(frames, known, y)], axis=-1)

    x, y = mean(samples.x), mean(samples.y)
    position = at_frames(x, y)
    position[~_covered(frames, known, max_gap * sample_rate)] = np.nan

    angle = np.radians(samples.direction)
    moved = _slopes(x, y, known / sample_rate)
    reported_x, reported_y = mean(samples.speed * np.sin(angle)), mean(samples.speed * np.cos(angle))
    missing = np.isnan(reported_x)
    velocity = at_frames(np.where(missing, moved[0], reported_x), np.where(missing, moved[1], reported_y))

    faced = np.radians(samples.orientation)
    facing = np.nan_to_num(at_frames(mean(np.nan_to_num(np.sin(faced))), mean(np.nan_to_num(np.cos(faced)))))
    length = np.linalg.norm(facing, axis=-1, keepdims=True)
    return position, velocity, np.divide(facing, length, out=np.zeros_like(facing), where=length > 0)


def _covered(frames: NDArray[Any], known: NDArray[Any], max_gap: float) -> NDArray[np.bool_]:
    """Which frames lie on a known one or between two that are at most `max_gap` frames apart."""
    after = np.searchsorted(known, frames - 1e-6)
    before = np.searchsorted(known, frames + 1e-6, side="right") - 1
    inside = (before >= 0) & (after < len(known))
    gap = known[np.minimum(after, len(known) - 1)] - known[np.maximum(before, 0)]
    bridged: NDArray[np.bool_] = inside & (gap <= max_gap + 1e-6)
    return bridged


def _slopes(x: NDArray[Any], y: NDArray[Any], seconds: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    if len(seconds) < 2:
        return np.zeros_like(x), np.zeros_like(y)
    return np.gradient(x, seconds), np.gradient(y, seconds)
