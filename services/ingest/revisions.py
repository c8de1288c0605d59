"""Revisions of plays: a correction makes a new one, and those before stay readable."""

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from ghostback.play import play_name
from services.common.errors import NotFound
from services.ingest.rows import existing_play, is_of
from services.ingest.schema import BatchRow, PlayRow, QuarantineRow, RevisionRow


def begin_revision(session: Session, row: PlayRow) -> None:
    """Count the play's next revision, and keep the present one as it is. Samples go on belonging to both."""
    session.add(RevisionRow(game_id=row.game_id, play_id=row.play_id, revision=row.revision, message=row.message))
    row.revision += 1


def clear_samples(session: Session, row: PlayRow) -> None:
    """Take all samples out of the play's present revision; those that belong to earlier ones stay with them."""
    session.flush()
    for table in (BatchRow, QuarantineRow):
        own = is_of(table, [(row.game_id, row.play_id)])
        session.execute(delete(table).where(own, table.since == row.revision))
        session.execute(update(table).where(own).values(until=row.revision - 1))


def existing_revision(session: Session, game_id: str, play_id: str, revision: int) -> PlayRow | RevisionRow:
    """A revision of a play; 0 means the present one.

    Raises:
        NotFound: there is no such play, or it has no such revision.
    """
    row = existing_play(session, game_id, play_id)
    if revision in (0, row.revision):
        return row
    earlier = session.get(RevisionRow, (game_id, play_id, revision))
    if earlier is None:
        name = play_name(game_id, play_id)
        raise NotFound("REVISION_UNKNOWN", f"{name} has no revision {revision}, the latest is {row.revision}", name)
    return earlier
