"""What is done about whole trajectories when a play is read: swapped tags, wrong rates, gaps.

The store keeps samples as they came. What is made here is made anew at every reading, and always
the same, from the clean and the quarantined samples of a play.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ghostback.play import Samples
from services.ingest import rules
from services.ingest.continuity import LastFit
from services.ingest.policies import POLICIES, Action, Policy, Reason
from services.ingest.rules import Roster, Tags
from services.ingest.swaps import swapped_with

_SMOOTHED_OVER = 7
_PARABOLA = np.vander(np.arange(_SMOOTHED_OVER), 3)
_SMOOTHER = _PARABOLA @ np.linalg.pinv(_PARABOLA)
"""(7, 7): from values in a row to the parabola's through them."""
_FAST = 2.0
_FAST_STEPS = 20
_ANGLES = ("orientation", "direction")


@dataclass(frozen=True, slots=True)
class Repair:
    """Samples of a tag that were made or relabelled, at frames from `first` to `last`."""

    tag_id: int
    first: int
    last: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Trajectories:
    """A play's samples after cleaning.

    Attributes:
        samples: ordered by frame, then tag.
        repairs: what is not as it came.
        rejected: tags whose samples were left out, and why.
    """

    samples: Samples
    repairs: tuple[Repair, ...]
    rejected: dict[int, Reason]


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of a play.

    Attributes:
        clean: its clean samples, in order of arrival.
        quarantined: its quarantined ones.
        reasons: (n_quarantined,) their reasons.
        roster: its tags.
        rate: frames per second.
    """

    clean: Samples
    quarantined: Samples
    reasons: NDArray[np.uint8]
    roster: Roster
    rate: float


def mend(stored: Stored, policy: Policy) -> Trajectories:
    """Put swapped tags right, fill gaps, and leave out the trajectories that the policy rejects.

    A gap of at most `Limits.gap` is filled where the policy repairs gaps, or the faults that made
    it. Filled positions are interpolated and then smoothed with a Savitzky-Golay filter over the
    samples around them, which stay as they are.
    """
    samples, repairs = stored.clean, []
    rejected = _rejected_for_samples(stored, policy)
    if policy.finds(Reason.SWAPPED_TAGS):
        swapped, mended = _without_swaps(stored, policy)
        if policy.action(Reason.SWAPPED_TAGS) is Action.REPAIR:
            samples, repairs = mended, swapped
        else:
            rejected |= dict.fromkeys((repair.tag_id for repair in swapped), Reason.SWAPPED_TAGS)
    if policy.finds(Reason.SAMPLE_RATE):
        rejected |= dict.fromkeys(_wrongly_timed(samples, stored, policy), Reason.SAMPLE_RATE)
    filled: list[Samples] = []
    for tag, gaps in _gaps(samples, stored, policy).items():
        long = any(gap.last - gap.first + 1 > policy.limits.gap * stored.rate for gap in gaps)
        if policy.action(Reason.GAP) is Action.REJECT_TRAJECTORY and long:
            rejected.setdefault(tag, Reason.GAP)
        elif tag not in rejected:
            fills = [gap for gap in gaps if _is_filled(gap, stored, policy)]
            if fills:
                filled.append(_fill(samples.take(samples.tag_id == tag), fills))
                repairs += fills
    samples = Samples.concatenate([samples, *filled]) if filled else samples
    if rejected:
        samples = samples.take(~np.isin(samples.tag_id, np.array(list(rejected), np.uint64)))
    kept = tuple(repair for repair in repairs if repair.tag_id not in rejected)
    return Trajectories(samples.sorted_by_frame(), kept, rejected)


def kept_faults(stored: Stored, policy: Policy) -> Counter[Reason]:
    """Samples by the fault that they have, and that the policy keeps; and frames that are missing."""
    everything = Policy(POLICIES["strict"] | {Reason.OUT_OF_ORDER: Action.REJECT}, policy.limits)
    counts = Counter(Reason(reason) for reason in _judged(stored, stored.clean, everything).tolist() if reason)
    if not policy.finds(Reason.SWAPPED_TAGS):
        counts[Reason.SWAPPED_TAGS] = sum(r.last - r.first + 1 for r in _without_swaps(stored, policy)[0])
    if not policy.finds(Reason.SAMPLE_RATE):
        wrong = np.array(_wrongly_timed(stored.clean, stored, policy), np.uint64)
        counts[Reason.SAMPLE_RATE] = int(np.isin(stored.clean.tag_id, wrong).sum())
    for gaps in _gaps(stored.clean, stored, policy).values():
        counts[Reason.GAP] += sum(gap.last - gap.first + 1 for gap in gaps if not _is_filled(gap, stored, policy))
    return Counter(
        {reason: n for reason, n in counts.items() if n and (reason is Reason.GAP or not policy.finds(reason))}
    )


def _rejected_for_samples(stored: Stored, policy: Policy) -> dict[int, Reason]:
    """Tags with a quarantined sample whose fault costs the trajectory."""
    pairs = zip(stored.quarantined.tag_id.tolist(), stored.reasons.tolist(), strict=True)
    return {tag: Reason(reason) for tag, reason in pairs if policy.action(Reason(reason)) is Action.REJECT_TRAJECTORY}


def _judged(stored: Stored, samples: Samples, policy: Policy) -> NDArray[np.uint8]:
    """`Reason` of samples, were they to come now, and the first."""
    tags = Tags(stored.roster.player, np.full(len(stored.roster.tags), stored.rate))
    rows = stored.roster.rows_of(samples.tag_id)
    order, _ = rules.by_tag(rows, samples.frame)
    none = np.zeros(len(samples), bool)
    return rules.clean(samples, rows, order, none, tags, LastFit.none(len(stored.roster.tags)), policy)[0]


def _without_swaps(stored: Stored, policy: Policy) -> tuple[list[Repair], Samples]:
    """Where players' tags were swapped, and the samples with the right ones."""
    jumps = stored.quarantined.take(stored.reasons == Reason.DISPLACEMENT)
    if not len(jumps) and policy.finds(Reason.DISPLACEMENT):
        return [], stored.clean
    raw = Samples.concatenate([stored.clean, jumps]).sorted_by_frame()
    rows = stored.roster.rows_of(raw.tag_id)
    players = np.append(stored.roster.player, False)[rows]
    other = swapped_with(rows, raw, players, policy.limits.displacement * 10.0 / stored.rate)
    if (other == rows).all():
        return [], stored.clean
    right = replace(raw, tag_id=np.where(other == rows, raw.tag_id, stored.roster.tags[other]))
    right = right.take(_judged(stored, right, policy) == Reason.FIT)
    moved = other != rows
    return _runs(stored.roster.tags[other[moved]], raw.frame[moved], Reason.SWAPPED_TAGS), right


def _wrongly_timed(samples: Samples, stored: Stored, policy: Policy) -> list[int]:
    """Players' tags that move much more or less in a frame than their reported speed makes of it."""
    samples = samples.take(np.lexsort((samples.frame, samples.tag_id)))
    rows = stored.roster.rows_of(samples.tag_id)
    steps = np.flatnonzero(
        (np.diff(rows) == 0)
        & (np.diff(samples.frame) == 1)
        & np.append(stored.roster.player, False)[rows[1:]]
        & (samples.speed[1:] > _FAST)
    )
    moved = np.hypot(np.diff(samples.x)[steps], np.diff(samples.y)[steps])
    ratio = moved / (samples.speed[steps + 1] / stored.rate)
    return [
        int(stored.roster.tags[row])
        for row in np.unique(rows[steps])
        if (own := rows[steps] == row).sum() >= _FAST_STEPS and abs(np.median(ratio[own]) - 1) > policy.limits.rate
    ]


def _gaps(samples: Samples, stored: Stored, policy: Policy) -> dict[int, list[Repair]]:
    """Missing frames between the samples of each tag, with the fault that made them."""
    gaps: dict[int, list[Repair]] = {}
    ordered = samples.take(np.lexsort((samples.frame, samples.tag_id)))
    same = np.diff(ordered.tag_id) == 0
    places = np.flatnonzero(same & (np.diff(ordered.frame) > 1))
    faults = (
        {
            (tag, frame): Reason(reason)
            for tag, frame, reason in zip(
                stored.quarantined.tag_id.tolist(),
                stored.quarantined.frame.tolist(),
                stored.reasons.tolist(),
                strict=True,
            )
        }
        if len(places)
        else {}
    )
    for i in places.tolist():
        tag, first, last = int(ordered.tag_id[i]), int(ordered.frame[i]) + 1, int(ordered.frame[i + 1]) - 1
        reasons = Counter(faults.get((tag, frame), Reason.GAP) for frame in range(first, min(last, first + 64) + 1))
        gaps.setdefault(tag, []).append(Repair(tag, first, last, reasons.most_common(1)[0][0]))
    return gaps


def _is_filled(gap: Repair, stored: Stored, policy: Policy) -> bool:
    short = gap.last - gap.first + 1 <= policy.limits.gap * stored.rate
    return short and policy.action(gap.reason) is Action.REPAIR


def _fill(own: Samples, gaps: Sequence[Repair]) -> Samples:
    """Samples for the gaps of one tag."""
    own = own.take(np.argsort(own.frame))
    frames = np.concatenate([np.arange(gap.first, gap.last + 1) for gap in gaps]).astype(np.int32)
    columns: dict[str, object] = {"tag_id": np.full(len(frames), own.tag_id[0]), "frame": frames}
    for name in ("x", "y", "speed", "acceleration", "distance"):
        columns[name] = np.interp(frames, own.frame, getattr(own, name))
    for name in _ANGLES:
        columns[name] = np.interp(frames, own.frame, np.unwrap(getattr(own, name), period=360)) % 360
    made = Samples.from_columns(columns)
    whole = Samples.concatenate([own, made])
    whole = whole.take(np.argsort(whole.frame))
    for run in np.split(np.arange(len(whole)), np.flatnonzero(np.diff(whole.frame) > 1) + 1):
        inside = np.isin(frames, whole.frame[run])
        if inside.any() and len(run) >= _SMOOTHED_OVER:
            at = np.searchsorted(whole.frame[run], frames[inside])
            for column in ("x", "y"):
                getattr(made, column)[inside] = _smoothed(getattr(whole, column)[run])[at]
    return made


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Savitzky and Golay's filter: each value from the parabola through those around it, the outermost at the ends."""
    places = np.arange(len(values))
    first = np.clip(places - _SMOOTHED_OVER // 2, 0, len(values) - _SMOOTHED_OVER)
    windows = sliding_window_view(values, _SMOOTHED_OVER)[first]
    return np.asarray(np.einsum("ij,ij->i", _SMOOTHER[places - first], windows))


def _runs(tags: NDArray[np.uint64], frames: NDArray[np.int32], reason: Reason) -> list[Repair]:
    """Tags and frames as runs of frames."""
    order = np.lexsort((frames, tags))
    tags, frames = tags[order], frames[order]
    breaks = np.flatnonzero((np.diff(tags) != 0) | (np.diff(frames) > 1)) + 1
    return [
        Repair(int(tags[run[0]]), int(frames[run[0]]), int(frames[run[-1]]), reason)
        for run in np.split(np.arange(len(tags)), breaks)
    ]
