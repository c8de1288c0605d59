"""What is known of a play's samples, to judge the next ones by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.play import SAMPLE_DTYPES, Samples
from services.ingest import rules
from services.ingest.continuity import LastFit
from services.ingest.policies import Policy, Reason
from services.ingest.rules import Roster, Tags

Prints = NDArray[np.uint64]

_WORDS = sum(np.dtype(dtype).itemsize // 4 for dtype in SAMPLE_DTYPES.values())
_FACTORS = np.random.default_rng(20_210_408).integers(0, 2**64, _WORDS + 1, dtype=np.uint64) | np.uint64(1)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of n samples.

    Attributes:
        duplicate: (n,) known already, with the same values.
        reasons: (n,) `Reason` of the others; 0 is fit.
    """

    duplicate: NDArray[np.bool_]
    reasons: NDArray[np.uint8]


class Ledger:
    """The samples of a play by tag and frame, as fingerprints, and where every tag was last."""

    def __init__(self, roster: Roster, rate: float, max_frames: int) -> None:
        """Begin the ledger of a play without samples, of so many frames a second."""
        self.roster = roster
        self.rate = rate
        self.last = LastFit.none(len(self.roster.tags))
        self.quarantined = np.empty(0, np.uint64)
        self._seen = np.zeros((len(self.roster.tags), min(256, max_frames)), np.uint64)
        self._max_frames = max_frames

    @property
    def n_bytes(self) -> int:
        """Memory it takes."""
        return self._seen.nbytes + self.quarantined.nbytes

    def recall(self, clean: Samples, quarantined: Samples) -> None:
        """Take note of samples that were judged before."""
        rows = self.roster.rows_of(clean.tag_id)
        known = np.flatnonzero(rows >= 0)
        self.note(rows[known], clean.frame[known], fingerprints(clean)[known], fingerprints(quarantined))
        latest = known[np.lexsort((clean.frame[known], rows[known]))]
        self.last.frame[rows[latest]] = clean.frame[latest]
        self.last.x[rows[latest]], self.last.y[rows[latest]] = clean.x[latest], clean.y[latest]

    def stored(self, rows: NDArray[np.intp], frame: NDArray[np.int32]) -> Prints:
        """Fingerprints (n,) of what is stored at tags and frames, 0 for nothing."""
        within = (rows >= 0) & (frame >= 0) & (frame < self._seen.shape[1])
        if within.all():
            found: Prints = self._seen[rows, frame]
            return found
        stored = np.zeros(len(rows), np.uint64)
        stored[within] = self._seen[rows[within], frame[within]]
        return stored

    def note(self, rows: NDArray[np.intp], frame: NDArray[np.int32], prints: Prints, quarantined: Prints) -> None:
        """Take note of clean samples, and of quarantined ones."""
        frames, needed = self._seen.shape[1], int(frame.max(initial=0)) + 1
        if needed > frames:
            more = max(needed, min(2 * frames, self._max_frames)) - frames
            self._seen = np.pad(self._seen, ((0, 0), (0, more)))
        self._seen[rows, frame] = prints
        if len(quarantined):
            self.quarantined = np.append(self.quarantined, quarantined)


def judge(batches: Sequence[tuple[Ledger, Samples]], policy: Policy) -> list[Judgement]:
    """Judge the next samples of several plays, all at once, and take note of them in the plays' ledgers.

    Args:
        batches: one for a play.
        policy: the bounds of the cleaning rules, and which faults are held back.
    """
    samples = batches[0][1] if len(batches) == 1 else Samples.concatenate([samples for _, samples in batches])
    ledgers = [ledger for ledger, _ in batches]
    ends = np.cumsum([len(samples) for _, samples in batches]).tolist()
    parts = [slice(end - len(samples), end) for end, (_, samples) in zip(ends, batches, strict=True)]
    own_rows = [ledger.roster.rows_of(samples.tag_id[part]) for ledger, part in zip(ledgers, parts, strict=True)]
    tag_ends = np.cumsum([len(ledger.roster.tags) for ledger in ledgers]).tolist()
    tag_parts = [slice(end - len(ledger.roster.tags), end) for end, ledger in zip(tag_ends, ledgers, strict=True)]
    rows = np.concatenate([np.where(r < 0, r, r + tags.start) for r, tags in zip(own_rows, tag_parts, strict=True)])

    prints = fingerprints(samples)
    stored = np.concatenate(
        [ledger.stored(r, samples.frame[part]) for ledger, r, part in zip(ledgers, own_rows, parts, strict=True)]
    )
    duplicate = stored == prints
    order, shared = rules.by_tag(rows, samples.frame)
    if len(shared):
        duplicate[shared] |= _repeated(prints[shared], np.searchsorted(ends, shared, side="right"))
    for ledger, part in zip(ledgers, parts, strict=True):
        if len(ledger.quarantined):
            duplicate[part] |= np.isin(prints[part], ledger.quarantined)

    tags = Tags(
        np.concatenate([ledger.roster.player for ledger in ledgers]),
        np.repeat([ledger.rate for ledger in ledgers], [len(ledger.roster.tags) for ledger in ledgers]),
    )
    last = LastFit(
        *(np.concatenate([getattr(ledger.last, name) for ledger in ledgers]) for name in ("frame", "x", "y"))
    )
    reasons, last = rules.clean(samples, rows, order, duplicate, tags, last, policy)
    placed = np.isin(reasons, (Reason.FIT, Reason.OUT_OF_ORDER, Reason.CLOCK_BACKWARDS)) & ~duplicate
    reasons[placed & (stored != 0)] = Reason.CONFLICTING_DUPLICATE
    if len(shared):
        _mark_conflicts(rows, samples.frame, reasons, shared[(placed & (stored == 0))[shared]])
    fit = (reasons == Reason.FIT) & ~duplicate
    faulty = reasons != Reason.FIT
    for ledger, own, part, tag_part in zip(ledgers, own_rows, parts, tag_parts, strict=True):
        ledger.last = LastFit(last.frame[tag_part], last.x[tag_part], last.y[tag_part])
        kept = slice(None) if fit[part].all() else fit[part]
        ledger.note(own[kept], samples.frame[part][kept], prints[part][kept], prints[part][faulty[part]])
    return [Judgement(duplicate[part], reasons[part]) for part in parts]


def fingerprints(samples: Samples) -> Prints:
    """(n,) a hash of every value of each sample, never 0: multilinear over 32-bit words, mixed."""
    total = np.full(len(samples), _FACTORS[-1])
    words = (word for name in SAMPLE_DTYPES for word in _words(getattr(samples, name)))
    for word, factor in zip(words, _FACTORS, strict=False):
        total += (word.astype(np.uint64) + np.uint64(1)) * factor
        total ^= total >> np.uint64(29)
    return total | np.uint64(1)


def _mark_conflicts(
    rows: NDArray[np.intp], frame: NDArray[np.int32], reasons: NDArray[np.uint8], placed: NDArray[np.intp]
) -> None:
    """Of samples of the same tag and frame, only the first fit one stays fit.

    Args:
        rows: (n,) the samples' tags.
        frame: (n,) their frames.
        reasons: (n,) `Reason` of each; changed.
        placed: samples that have a place, in order of arrival.
    """
    keys = rows[placed] * 2**32 + frame[placed]
    ordered = np.argsort(keys, kind="stable")
    placed, keys = placed[ordered], keys[ordered]
    fit = reasons[placed] == Reason.FIT
    fit_before = np.cumsum(fit) - fit
    first = np.searchsorted(keys, keys)
    reasons[placed[fit_before > fit_before[first]]] = Reason.CONFLICTING_DUPLICATE


def _words(column: NDArray[np.generic]) -> list[NDArray[np.uint32]]:
    """A column as one or two columns of 32-bit words."""
    return list(np.ascontiguousarray(column).view(np.uint32).reshape(-1, column.itemsize // 4).T)


def _repeated(prints: Prints, play: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(n,) whether the same fingerprint stands further up, of the same play."""
    again = np.ones(len(prints), bool)
    again[np.unique(prints + play.astype(np.uint64) * _FACTORS[0], return_index=True)[1]] = False
    return again
