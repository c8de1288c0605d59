"""Which samples are fit for use: the cleaning rules, each sample by itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Samples
from services.ingest import continuity
from services.ingest.continuity import Bounds, LastFit, Motion
from services.ingest.policies import Policy, Reason


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


def by_tag(rows: NDArray[np.intp], frame: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order (n,) of samples by tag, then arrival; and those (m,), in order of arrival, whose tag and frame recur.

    Args:
        rows: (n,) the samples' tags, up to 32,767 different ones; -1 for an unknown one.
        frame: (n,) their frames.
    """
    n, first = len(rows), int(frame.min(initial=0))
    width = int(frame.max(initial=0)) - first + 1
    n_slots = (int(rows.max(initial=-1)) + 2) * width
    if n_slots <= 16 * n:
        keys, slots = (rows + 1) * width + (frame - first), np.full(n_slots, -1)
        slots[keys] = np.arange(n)
        recurs_later = slots[keys] != np.arange(n)
        if not recurs_later.any():
            order = slots[slots >= 0]
            if ((np.diff(order) > 0) | (np.diff(rows[order]) > 0)).all():
                return order, np.empty(0, np.intp)
        slots[keys[recurs_later]] = -2
        shared = np.flatnonzero(slots[keys] == -2)
    else:
        keys = rows * 2**32 + frame
        ordered = np.argsort(keys, kind="stable")
        same = np.diff(keys[ordered]) == 0
        shared = np.union1d(ordered[1:][same], ordered[:-1][same])
    return np.argsort(rows.astype(np.int16), kind="stable"), shared


def clean(
    samples: Samples,
    rows: NDArray[np.intp],
    order: NDArray[np.intp],
    known: NDArray[np.bool_],
    tags: Tags,
    last: LastFit,
    policy: Policy,
) -> tuple[NDArray[np.uint8], LastFit]:
    """Judge samples, the next ones of a feed or of several.

    A sample that breaks several rules gets the first reason in the order unknown tag, range, not
    finite, angle, off field, speed, clock backwards, out of order, displacement, frozen. The last
    four are found by comparing with the tag's last fit sample, so one sample far off does not take
    those after it along. What the policy keeps is fit.

    Args:
        samples: n rows, in order of arrival.
        rows: (n,) their tags, -1 for an unknown one.
        order: (n,) the samples by tag, then arrival.
        known: (n,) samples that were judged before; they are left out and count as fit.
        tags: what is known of the tags.
        last: of the samples before these.
        policy: the bounds, and which faults are held back.

    Returns:
        The `Reason` of each row (n,), and the last fit samples.
    """
    reasons = np.zeros(len(samples), np.uint8)

    def mark(wrong: NDArray[np.bool_], reason: Reason) -> None:
        if policy.finds(reason) and wrong.any():
            reasons[wrong & (reasons == Reason.FIT)] = reason

    optional = (samples.speed, samples.acceleration, samples.distance, samples.orientation, samples.direction)
    player = np.append(tags.player, False)[rows]
    limits = policy.limits
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
    compared = order[((reasons == Reason.FIT) & ~known)[order]]
    found, last = continuity.check(
        rows[compared],
        Motion(
            samples.frame[compared].astype(np.int64),
            samples.x[compared].astype(float),
            samples.y[compared].astype(float),
            samples.speed[compared] > limits.frozen_speed,
        ),
        last,
        Bounds(
            np.where(tags.player & policy.finds(Reason.DISPLACEMENT), limits.displacement * 10.0 / tags.rate, np.inf),
            limits.late * tags.rate,
            tags.player,
        ),
        policy,
    )
    reasons[compared] = found
    return reasons, last
