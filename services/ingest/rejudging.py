"""Judging again what is stored of a play, after a rule or a roster was corrected."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ghostback.play import Samples
from services.ingest.ledger import Judgement, Ledger, judge
from services.ingest.policies import Policy, Reason
from services.ingest.revisions import begin_revision, clear_samples
from services.ingest.rows import PlayKey, counts, is_of, next_completed, pack, roster_of, stored_of
from services.ingest.schema import BatchRow, PlayRow, QuarantineRow


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What another judgement changed: samples now clean, samples no longer clean, and what is in quarantine."""

    released: int
    withheld: int
    quarantined: dict[Reason, int]


def rejudge(session: Session, row: PlayRow, policy: Policy) -> Rejudged:
    """Judge all samples of a play again, the quarantined ones too, and store them as they are judged now.

    What came too late stays so. If the clean samples change and the play was over, that is a new
    revision of it.
    """
    key = row.game_id, row.play_id
    stored = stored_of(session, row)
    late = policy.held_for_lateness(stored.reasons)
    samples = Samples.concatenate([stored.clean, stored.quarantined.take(~late)])
    order = np.argsort(samples.frame, kind="stable")
    samples, was_clean = samples.take(order), order < len(stored.clean)
    (judgement,) = judge([(Ledger(stored.roster, stored.rate, policy.limits.frames), samples)], policy)
    name_strangers(session, key, samples, judgement)
    fit = judgement.reasons == Reason.FIT
    held = Samples.concatenate([samples.take(~fit), stored.quarantined.take(late)])
    reasons = np.append(judgement.reasons[~fit], stored.reasons[late])
    result = Rejudged(int((fit & ~was_clean).sum()), int((was_clean & ~fit).sum()), counts(reasons))

    duplicates = session.scalar(select(func.sum(BatchRow.duplicates)).where(is_of(BatchRow, [key]))) or 0
    is_correction = row.completed is not None and bool(result.released or result.withheld)
    if is_correction:
        begin_revision(session, row)
        row.completed = next_completed(session)
    clear_samples(session, row)
    where = {"game_id": row.game_id, "play_id": row.play_id, "since": row.revision}
    session.add(BatchRow(**where, samples=pack(samples.take(fit)), accepted=int(fit.sum()), duplicates=duplicates))
    if len(held):
        session.add(QuarantineRow(**where, samples=pack(held), reasons=reasons.tobytes()))
    row.edits += 1
    return result


def name_strangers(session: Session, play: PlayKey, samples: Samples, judgement: Judgement) -> None:
    """Tell tags that other plays of the game have in their rosters from those that nobody knows."""
    strange = judgement.reasons == Reason.UNKNOWN_TAG
    if strange.any():
        messages = session.scalars(select(PlayRow.message).filter_by(game_id=play[0]))
        known = np.unique(np.concatenate([roster_of(message)[0].tags for message in messages]))
        elsewhere = strange & np.isin(samples.tag_id, known)
        judgement.reasons[elsewhere] = Reason.NOT_IN_ROSTER
