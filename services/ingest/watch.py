"""What is new of plays: those that are over, and those that are live and were changed."""

from services.ingest.reader import Reader
from services.ingest.rows import PlayKey, StoredPlay

_PAGE = 100


class Watch:
    """Gives what is new each time it is asked; nothing is queued, so of a play that changed twice the latest counts.

    All of it is read from the database, so that it is the same whichever server a change came to.
    """

    def __init__(self, reader: Reader, game_id: str, after: int, live: bool) -> None:
        """Begin here and now.

        Args:
            reader: where plays are read.
            game_id: whose plays; empty means all games.
            after: the place in the order of completion from after which on.
            live: whether to give live plays too, when they change from the first time on that this is asked.
        """
        self._reader = reader
        self._game_id = game_id
        self._after = after
        self._live = live
        self._edits: dict[PlayKey, int] | None = None

    def news(self) -> list[StoredPlay]:
        """Live plays that changed and plays that are over, some of each at most.

        Raises:
            NotFound: there is no such game.
        """
        found = self._changed() if self._live else []
        for stored in self._reader.completed(self._game_id, self._after, _PAGE):
            self._after = stored.completed or self._after
            found.append(stored)
        return found

    def _changed(self) -> list[StoredPlay]:
        edits = self._reader.live(self._game_id)
        known = edits if self._edits is None else self._edits
        changed = [key for key in edits if known.get(key) != edits[key]][:_PAGE]
        self._edits = {key: known[key] for key in edits if key in known} | {key: edits[key] for key in changed}
        return [stored for key in changed if (stored := self._reader.play(*key)).completed is None]
