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

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Samples


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
        frames: frames of a play, counted from 0.
    """

    speed: float = 12.47
    displacement: float = 1.247
    off_field: float = 10.0
    frames: int = 131_072


class Roster:
    """The tags of a play.

    Attributes:
        tags: (n_tags,) every tag, ascending.
        player: (n_tags,) which are of players.
    """

    def __init__(self, tags: Mapping[int, bool]) -> None:
        """Make a roster of tags, and whether each is of a player."""
        self.tags = np.array(sorted(tags), np.uint64)
        self.player = np.array([tags[tag] for tag in sorted(tags)], bool)

    def rows_of(self, tag_id: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Place (n,) of each tag in `tags`, -1 for a stranger."""
        if not len(self.tags):
            return np.full(len(tag_id), -1)
        rows = np.minimum(np.searchsorted(self.tags, tag_id), len(self.tags) - 1)
        return np.where(self.tags[rows] == tag_id, rows, -1)


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of one or several plays, one after another.

    Attributes:
        player: (n_tags,) which are of players.
        rate: (n_tags,) frames per second.
    """

    player: NDArray[np.bool_]
    rate: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LastFit:
    """The last fit sample of each tag of a roster.

    Attributes:
        frame: (n_tags,) its frame, -1 before the first.
        x: (n_tags,) yards.
        y: (n_tags,) yards.
    """

    frame: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @classmethod
    def none(cls, n_tags: int) -> "LastFit":
        """Before the first sample."""
        return cls(np.full(n_tags, -1), np.full(n_tags, np.nan), np.full(n_tags, np.nan))


def by_tag_and_frame(rows: NDArray[np.intp], frame: NDArray[np.int32]) -> tuple[NDArray[np.intp], bool]:
    """The order (n,) of samples by tag, then frame, then arrival, and whether each tag and frame stands once.

    Args:
        rows: (n,) the samples' tags, -1 for an unknown one.
        frame: (n,) their frames.
    """
    first, width = int(frame.min(initial=0)), int(frame.max(initial=0)) - int(frame.min(initial=0)) + 1
    n_slots = (int(rows.max(initial=-1)) + 2) * width
    if n_slots <= 16 * len(rows):
        slots = np.full(n_slots, -1)
        slots[(rows + 1) * width + (frame - first)] = np.arange(len(rows))
        order = slots[slots >= 0]
        if len(order) == len(rows):
            return order, True
    keys = rows * 2**32 + frame
    order = np.argsort(keys, kind="stable")
    return order, bool((np.diff(keys[order]) > 0).all())


def clean(
    samples: Samples,
    rows: NDArray[np.intp],
    order: NDArray[np.intp],
    known: NDArray[np.bool_],
    tags: Tags,
    last: LastFit,
    limits: Limits,
) -> tuple[NDArray[np.uint8], LastFit]:
    """Judge samples, the next ones of a feed or of several.

    A sample that breaks several rules gets the first reason in the order unknown tag, range, not
    finite, angle, off field, speed, displacement. Displacement is measured to the tag's last fit
    sample, so one sample far off does not take those after it along; a sample that is not later
    than that one is not measured.

    Args:
        samples: n rows.
        rows: (n,) their tags, -1 for an unknown one.
        order: (n,) the samples by tag, then frame.
        known: (n,) samples that were judged before; they are left out and count as fit.
        tags: what is known of the tags.
        last: of the samples before these.
        limits: the bounds.

    Returns:
        The `Reason` of each row (n,), and the last fit samples.
    """
    reasons = np.zeros(len(samples), np.uint8)

    def mark(wrong: NDArray[np.bool_], reason: Reason) -> None:
        if wrong.any():
            reasons[wrong & (reasons == Reason.FIT)] = reason

    optional = (samples.speed, samples.acceleration, samples.distance, samples.orientation, samples.direction)
    player = np.append(tags.player, False)[rows]
    edge = limits.off_field
    with np.errstate(invalid="ignore"):
        mark(rows < 0, Reason.UNKNOWN_TAG)
        mark((samples.frame < 0) | (samples.frame >= limits.frames), Reason.RANGE)
        mark((samples.speed < 0) | (samples.distance < 0), Reason.RANGE)
        mark(~np.isfinite(samples.x + samples.y), Reason.NOT_FINITE)
        for column in optional:
            mark(np.isinf(column), Reason.NOT_FINITE)
        for angle in (samples.orientation, samples.direction):
            mark((angle < 0) | (angle > 360), Reason.ANGLE)
        mark((samples.x < -edge) | (samples.x > FIELD_LENGTH + edge), Reason.OFF_FIELD)
        mark((samples.y < -edge) | (samples.y > FIELD_WIDTH + edge), Reason.OFF_FIELD)
        mark(player & (samples.speed > limits.speed), Reason.SPEED)

    reasons[known] = Reason.FIT
    measured = order[(player & (reasons == Reason.FIT) & ~known)[order]]
    too_far, last = _too_far(
        rows[measured],
        samples.frame[measured].astype(np.int64),
        samples.x[measured].astype(float),
        samples.y[measured].astype(float),
        last,
        limits.displacement * 10.0 / tags.rate,
    )
    reasons[measured[too_far]] = Reason.DISPLACEMENT
    return reasons, last


def _too_far(
    rows: NDArray[np.intp],
    frame: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    last: LastFit,
    limit: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], LastFit]:
    """Which samples (n,) lie too far from their tag's last fit one, and the last fit ones.

    Args:
        rows: (n,) their tags, ascending, and for each tag:
        frame: (n,) their frames, ascending.
        x: (n,) yards.
        y: (n,) yards.
        last: of the samples before these.
        limit: (n_tags,) yards that each tag moves in a frame at most.
    """
    too_far = np.zeros(len(rows), bool)
    if not len(rows):
        return too_far, last
    first = np.diff(rows, prepend=-1) != 0
    since, from_x, from_y = np.roll(frame, 1), np.roll(x, 1), np.roll(y, 1)
    since[first], from_x[first], from_y[first] = last.frame[rows[first]], last.x[rows[first]], last.y[rows[first]]
    passed = frame - since
    suspect = (since >= 0) & ((passed < 0) | ((x - from_x) ** 2 + (y - from_y) ** 2 > (limit[rows] * passed) ** 2))

    ends = np.append(np.flatnonzero(first)[1:], len(rows)) - 1
    after = LastFit(last.frame.copy(), last.x.copy(), last.y.copy())
    after.frame[rows[ends]], after.x[rows[ends]], after.y[rows[ends]] = frame[ends], x[ends], y[ends]
    for row in np.unique(rows[suspect]):
        own = slice(*np.searchsorted(rows, [row, row + 1]))
        then = int(last.frame[row]), float(last.x[row]), float(last.y[row])
        far, then = _too_far_of_one(frame[own], x[own], y[own], suspect[own], then, limit[row])
        too_far[own] = far
        after.frame[row], after.x[row], after.y[row] = then
    return too_far, after


def _too_far_of_one(
    frame: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    suspect: NDArray[np.bool_],
    then: tuple[int, float, float],
    limit: float,
) -> tuple[NDArray[np.bool_], tuple[int, float, float]]:
    """Which samples of one tag lie too far from the last fit one, and the last fit one at the end.

    Where the sample before is fit, only a suspect one can be too far; so walk from suspect to suspect.
    """
    too_far = np.zeros(len(frame), bool)
    suspects = np.flatnonzero(suspect)
    i = 0
    while i < len(frame):
        elapsed = int(frame[i]) - then[0]
        if then[0] >= 0 and elapsed > 0:
            too_far[i] = (x[i] - then[1]) ** 2 + (y[i] - then[2]) ** 2 > (limit * elapsed) ** 2
        if not too_far[i] and (then[0] < 0 or elapsed > 0):
            later = suspects[np.searchsorted(suspects, i, side="right") :]
            i = int(later[0]) - 1 if len(later) else len(frame) - 1
            then = int(frame[i]), float(x[i]), float(y[i])
        i += 1
    return too_far, then
