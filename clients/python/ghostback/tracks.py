"""Dense tracks: where everyone is at evenly spaced times around a pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Play, Samples

Points = NDArray[np.float64]

_ENDS_OF_PARABOLAS = np.array([21.0, -13.0, -17.0, 9.0]) / 20.0
"""Slope, a step, at the last of four points of the parabola of least squares, the last point first: a
Savitzky-Golay filter that looks back only."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """Motion of a play's participants at evenly spaced times, in the play's own coordinates.

    Attributes:
        participant_ids: (n_participants) who; those with at least one sample in the time asked for.
        times: (n_steps,) seconds since pass forward.
        position: (n_participants, n_steps, 2) yards; NaN where it cannot be had.
        velocity: (n_participants, n_steps, 2) yards per second, from this position and those of the three
            steps before; from the first two known where a track begins later; 0 where there is no position.
            Reported speed and direction are not used: some feeds smooth them over samples still to come.
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
    before = len(_ENDS_OF_PARABOLAS) - 1
    times = start + np.arange(-before, round((stop - start) * rate) + 1) / rate
    frames = times * play.sample_rate + play.forward_pass.forward_frame
    owned, owners = _owned_samples(play, frames[0], frames[-1], max_gap * play.sample_rate)
    faced = np.radians(owned.orientation)
    values = np.stack((owned.x, owned.y, np.sin(faced), np.cos(faced)), axis=-1).astype(np.float64)
    ids, parts = [], []
    for i, participant in enumerate(play.participants):
        own = slice(*np.searchsorted(owners, (i, i + 1)))
        if own.start < own.stop:
            ids.append(participant.participant_id)
            parts.append(_at_frames(owned.frame[own], values[own], frames, max_gap * play.sample_rate))
    motion = np.stack(parts) if parts else np.empty((0, len(times), 4))
    facing = np.nan_to_num(motion[:, before:, 2:])
    length = np.linalg.norm(facing, axis=-1, keepdims=True)
    orientation = np.divide(facing, length, out=np.zeros_like(facing), where=length > 0)
    position = motion[..., :2]
    return Tracks(tuple(ids), times[before:], position[:, before:], rate * _slopes(position), orientation)


def _owned_samples(play: Play, first: float, last: float, margin: float) -> tuple[Samples, NDArray[np.intp]]:
    """Samples of the play's participants around some frames, and each one's participant, ordered by both."""
    tags = [(tag, i) for i, participant in enumerate(play.participants) for tag in participant.tag_ids]
    known = np.array([tag for tag, _ in tags], np.uint64)
    order = np.argsort(known)
    samples = play.samples.take((play.samples.frame >= first - margin) & (play.samples.frame <= last + margin))
    samples = samples.take(np.isin(samples.tag_id, known))
    owners = np.array([i for _, i in tags], np.intp)[order][np.searchsorted(known[order], samples.tag_id)]
    ordered = np.lexsort((samples.frame, owners))
    return samples.take(ordered), owners[ordered]


def _slopes(position: Points) -> Points:
    """Change a step (n, n_steps - 3, 2) of positions (n, n_steps, 2) at each step but the first three."""
    known = position.copy()
    for t in reversed(range(position.shape[1] - 2)):
        known[:, t] = np.where(np.isnan(known[:, t]), 2 * known[:, t + 1] - known[:, t + 2], known[:, t])
    windows = np.lib.stride_tricks.sliding_window_view(known, len(_ENDS_OF_PARABOLAS), axis=1)
    return np.nan_to_num(windows @ _ENDS_OF_PARABOLAS[::-1])


def _at_frames(known: NDArray[np.int32], motion: Points, frames: Points, max_gap: float) -> Points:
    """Position and orientation of one participant at (fractional) frames: (n_steps, 4); no position in long gaps."""
    unique, which = np.unique(known, return_inverse=True)
    if len(unique) < len(known):
        total = np.zeros((len(unique), motion.shape[1]))
        np.add.at(total, which, motion)
        known, motion = unique, total / np.bincount(which)[:, None]
    after = np.clip(np.searchsorted(known, frames - 1e-6), 0, len(known) - 1)
    before = np.clip(np.searchsorted(known, frames + 1e-6, side="right") - 1, 0, len(known) - 1)
    gap = (known[after] - known[before]).astype(np.float64)
    share = np.divide(frames - known[before], gap, out=np.zeros_like(gap), where=gap > 0)[:, None]
    values: Points = (1 - share) * motion[before] + share * motion[after]
    outside = (frames < known[0] - 1e-6) | (frames > known[-1] + 1e-6)
    values[outside | (gap > max_gap + 1e-6), :2] = np.nan
    return values
