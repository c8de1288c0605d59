"""Whether each sample can follow the last fit one of its tag."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.ingest.policies import Policy, Reason


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


@dataclass(frozen=True, slots=True)
class Motion:
    """What is compared of n samples.

    Attributes:
        frame: (n,) frames.
        x: (n,) yards.
        y: (n,) yards.
        moving: (n,) which report that they move.
    """

    frame: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    moving: NDArray[np.bool_]

    def take(self, part: slice) -> "Motion":
        """Some of the samples."""
        return Motion(self.frame[part], self.x[part], self.y[part], self.moving[part])


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is possible for each tag.

    Attributes:
        reach: (n_tags,) yards that it moves in a frame at most.
        late: (n_tags,) frames by which a sample may come too late.
        player: (n_tags,) which are of players.
    """

    reach: NDArray[np.float64]
    late: NDArray[np.float64]
    player: NDArray[np.bool_]


def check(
    rows: NDArray[np.intp], motion: Motion, last: LastFit, bounds: Bounds, policy: Policy
) -> tuple[NDArray[np.uint8], LastFit]:
    """The `Reason` (n,) of samples that cannot follow their tag's last fit one, and the last fit ones.

    Args:
        rows: (n,) the samples' tags, ascending, and for each tag in order of arrival.
        motion: of the samples.
        last: of the samples before these.
        bounds: of the tags.
        policy: which faults are held back.
    """
    reasons = np.zeros(len(rows), np.uint8)
    if not len(rows):
        return reasons, last
    frame, x, y = motion.frame, motion.x, motion.y
    first = np.diff(rows, prepend=-1) != 0
    since, from_x, from_y = np.roll(frame, 1), np.roll(x, 1), np.roll(y, 1)
    since[first], from_x[first], from_y[first] = last.frame[rows[first]], last.x[rows[first]], last.y[rows[first]]
    passed, moved = frame - since, (x - from_x) ** 2 + (y - from_y) ** 2
    with np.errstate(invalid="ignore"):
        too_far = moved > (bounds.reach[rows] * passed) ** 2
    suspect = (since >= 0) & ((passed <= 0) | too_far | ((moved == 0) & motion.moving))

    ends = np.append(np.flatnonzero(first)[1:], len(rows)) - 1
    after = LastFit(last.frame.copy(), last.x.copy(), last.y.copy())
    after.frame[rows[ends]], after.x[rows[ends]], after.y[rows[ends]] = frame[ends], x[ends], y[ends]
    for row in np.unique(rows[suspect]):
        own = slice(*np.searchsorted(rows, [row, row + 1]))
        then = int(last.frame[row]), float(last.x[row]), float(last.y[row])
        bound = float(bounds.reach[row]), float(bounds.late[row]), bool(bounds.player[row])
        reasons[own], then = _check_one(motion.take(own), suspect[own], then, bound, policy)
        after.frame[row], after.x[row], after.y[row] = then
    return reasons, after


def _check_one(
    motion: Motion,
    suspect: NDArray[np.bool_],
    then: tuple[int, float, float],
    bound: tuple[float, float, bool],
    policy: Policy,
) -> tuple[NDArray[np.uint8], tuple[int, float, float]]:
    """The reason of each sample of one tag, and the last fit one at the end.

    Where the sample before is fit and the latest, only a suspect one can be unfit; so walk from
    suspect to suspect.
    """
    reach, late, player = bound
    reasons = np.zeros(len(suspect), np.uint8)
    suspects = np.flatnonzero(suspect)
    i = 0
    while i < len(suspect):
        passed = int(motion.frame[i]) - then[0]
        if then[0] >= 0 and passed:
            moved = (motion.x[i] - then[1]) ** 2 + (motion.y[i] - then[2]) ** 2
            if passed < -late and policy.finds(Reason.CLOCK_BACKWARDS):
                reasons[i] = Reason.CLOCK_BACKWARDS
            elif -late <= passed < 0 and policy.finds(Reason.OUT_OF_ORDER):
                reasons[i] = Reason.OUT_OF_ORDER
            elif moved > (reach * passed) ** 2:
                reasons[i] = Reason.DISPLACEMENT
            elif player and moved == 0 and motion.moving[i] and passed > 0 and policy.finds(Reason.FROZEN):
                reasons[i] = Reason.FROZEN
        if not reasons[i] and (then[0] < 0 or passed > 0):
            later = suspects[np.searchsorted(suspects, i, side="right") :]
            i = int(later[0]) - 1 if len(later) else len(suspect) - 1
            then = int(motion.frame[i]), float(motion.x[i]), float(motion.y[i])
        i += 1
    return reasons, then
