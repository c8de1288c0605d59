"""Which samples are fit for use: the cleaning rules.

Source of the limits: Cheong, Zeng, Tyagi, "Prediction of Defensive Player Trajectories in NFL Games
with Defender CNN-LSTM Model", MIT Sloan Sports Analytics Conference 2021: no player runs faster
than 12.47 yd/s, or moves more than 1.247 yd between samples 0.1 s apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, ParticipantKind, Play, Samples


class Reason(IntEnum):
    """Why a sample is not fit; numbered as `QuarantineReason` of the contract. 0 is fit."""

    FIT = 0
    NOT_FINITE = 1
    UNKNOWN_TAG = 2
    CONFLICTING_DUPLICATE = 3
    OFF_FIELD = 4
    SPEED = 5
    DISPLACEMENT = 6
    ANGLE = 7
    RANGE = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is taken for real.

    Attributes:
        speed: highest reported speed of a player, yards per second.
        displacement: farthest a player moves in 0.1 s, yards.
        off_field: how far beyond the field's edge a sample may lie, yards. Players do run out of bounds;
            trajectories that leave the field during a pass are left out later, by features.
    """

    speed: float = 12.47
    displacement: float = 1.247
    off_field: float = 10.0


@dataclass(frozen=True, slots=True)
class Roster:
    """The tags of a play.

    Attributes:
        known: (n_tags,) every tag.
        players: (n_player_tags,) those of players.
    """

    known: NDArray[np.uint64]
    players: NDArray[np.uint64]

    @classmethod
    def of(cls, play: Play) -> "Roster":
        """The roster of a play."""
        known = [tag for p in play.participants for tag in p.tag_ids]
        players = [tag for p in play.participants if p.kind is ParticipantKind.PLAYER for tag in p.tag_ids]
        return cls(np.array(known, np.uint64), np.array(players, np.uint64))


LastGood = Mapping[int, tuple[int, float, float]]
"""Frame and position of each player tag's last fit sample."""


def clean(
    samples: Samples, roster: Roster, sample_rate: float, last_good: LastGood, limits: Limits
) -> tuple[NDArray[np.uint8], dict[int, tuple[int, float, float]]]:
    """Judge samples, the next ones of a feed.

    A sample that breaks several rules gets the first reason in the order unknown tag, range, not
    finite, angle, off field, speed, displacement. Displacement is measured to the tag's last fit
    sample, so one sample far off does not take those after it along; a sample that is not later
    than that one is not measured.

    Args:
        samples: n rows.
        roster: the play's tags.
        sample_rate: frames per second.
        last_good: of the samples before these.
        limits: the bounds.

    Returns:
        The `Reason` of each row (n,), and the last fit sample of each player tag.
    """
    reasons = np.zeros(len(samples), np.uint8)

    def mark(wrong: NDArray[np.bool_], reason: Reason) -> None:
        reasons[wrong & (reasons == Reason.FIT)] = reason

    optional = (samples.speed, samples.acceleration, samples.distance, samples.orientation, samples.direction)
    player = np.isin(samples.tag_id, roster.players)
    edge = limits.off_field
    with np.errstate(invalid="ignore"):
        mark(~np.isin(samples.tag_id, roster.known), Reason.UNKNOWN_TAG)
        mark((samples.frame < 0) | (samples.speed < 0) | (samples.distance < 0), Reason.RANGE)
        mark(~np.isfinite(samples.x) | ~np.isfinite(samples.y), Reason.NOT_FINITE)
        mark(np.any([np.isinf(column) for column in optional], axis=0), Reason.NOT_FINITE)
        for angle in (samples.orientation, samples.direction):
            mark((angle < 0) | (angle > 360), Reason.ANGLE)
        mark((samples.x < -edge) | (samples.x > FIELD_LENGTH + edge), Reason.OFF_FIELD)
        mark((samples.y < -edge) | (samples.y > FIELD_WIDTH + edge), Reason.OFF_FIELD)
        mark(player & (samples.speed > limits.speed), Reason.SPEED)

    last = dict(last_good)
    limit = limits.displacement * 10.0 / sample_rate
    candidates = np.flatnonzero(player & (reasons == Reason.FIT))
    order = candidates[np.lexsort((samples.frame[candidates], samples.tag_id[candidates]))]
    starts = np.flatnonzero(np.diff(samples.tag_id[order], prepend=np.uint64(0)) != 0)
    for rows in np.split(order, starts[1:]) if len(order) else []:
        tag = int(samples.tag_id[rows[0]])
        too_far, last[tag] = _too_far(
            samples.frame[rows], samples.x[rows].astype(float), samples.y[rows].astype(float), last.get(tag), limit
        )
        reasons[rows[too_far]] = Reason.DISPLACEMENT
    return reasons, last


def _too_far(
    frame: NDArray[np.int32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    last: tuple[int, float, float] | None,
    limit: float,
) -> tuple[NDArray[np.bool_], tuple[int, float, float]]:
    """Which samples of one tag, in order of frame, lie too far from the last fit one, and the last fit one."""
    too_far = np.zeros(len(frame), bool)
    if last is None:
        last = (int(frame[0]), x[0], y[0])
    frames, xs, ys = np.r_[last[0], frame], np.r_[last[1], x], np.r_[last[2], y]
    steps = np.diff(frames)
    if (steps >= 0).all() and (np.hypot(np.diff(xs), np.diff(ys)) <= limit * steps).all():
        return too_far, (int(frame[-1]), x[-1], y[-1])
    for i in range(len(frame)):
        passed = int(frame[i]) - last[0]
        if passed <= 0:
            continue
        too_far[i] = np.hypot(x[i] - last[1], y[i] - last[2]) > limit * passed
        if not too_far[i]:
            last = (int(frame[i]), x[i], y[i])
    return too_far, last
