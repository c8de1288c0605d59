"""The quality report: what became of the samples of plays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.ingest.policies import Policy, Reason
from services.ingest.rows import counts, is_of, stored_of
from services.ingest.schema import BatchRow, PlayRow
from services.ingest.trajectories import kept_faults, mend


@dataclass(slots=True)
class Quality:
    """What became of the samples of a play or a game.

    Attributes:
        accepted: stored as clean.
        duplicates: replays that were dropped.
        quarantined: samples held back, by reason.
        repaired: samples that are made or put right when plays are read, by fault.
        kept: samples given out although they have a fault, by fault; for gaps, missing frames.
        rejected: trajectories left out when plays are read, by fault.
    """

    accepted: int = 0
    duplicates: int = 0
    quarantined: Counter[Reason] = field(default_factory=Counter)
    repaired: Counter[Reason] = field(default_factory=Counter)
    kept: Counter[Reason] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)


def quality_of(session: Session, plays: Sequence[PlayRow], policy: Policy) -> Quality:
    """Quality of some plays together."""
    quality = Quality()
    for row in plays:
        total = select(func.sum(BatchRow.accepted), func.sum(BatchRow.duplicates))
        accepted, duplicates = session.execute(total.where(is_of(BatchRow, [(row.game_id, row.play_id)]))).one()
        stored = stored_of(session, row)
        mended = mend(stored, policy)
        quality.accepted += accepted or 0
        quality.duplicates += duplicates or 0
        quality.quarantined.update(counts(stored.reasons))
        quality.kept.update(kept_faults(stored, policy))
        quality.rejected.update(mended.rejected.values())
        for repair in mended.repairs:
            quality.repaired[repair.reason] += repair.last - repair.first + 1
    return quality
