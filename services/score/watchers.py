"""Who watches statistics, and what each is told: of live plays at once, and what is kept of plays that are over."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from ghostback.play import game_name
from services.common.errors import DomainError
from services.score.decisions import Decision
from services.score.store import KeptPlay

_PAGE = 100
_LOOK_SECONDS = 0.25
"""How often the store is looked at, while somebody watches, for what any replica kept."""
_log = structlog.get_logger()


class Moment(StrEnum):
    """When something is known of a live play; as of `ghostback.score.v1.Moment`."""

    PRE_THROW = "pre_throw"
    AT_THROW = "at_throw"
    AT_ARRIVAL = "at_arrival"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a live play at a moment.

    Attributes:
        play: its resource name.
        revision: its revision.
        moment: when.
        frame: the same, as a frame of the play.
        line: all this in plain words.
        decision: what a pass to each receiver is worth.
        target_id: the receiver thrown to; empty before the throw, and where it is not known.
        completion: probability that he catches it.
        interception: probability that a defender does.
        play_score: of the coverage, by the default score profile; lower is better.
    """

    play: str
    revision: int
    moment: Moment
    frame: int
    line: str
    decision: Decision | None = None
    target_id: str = ""
    completion: float | None = None
    interception: float | None = None
    play_score: float | None = None


class Store(Protocol):
    """Where statistics are kept; every method raises Unavailable without it."""

    def latest(self) -> int:
        """Sequence of the play that was kept last; 0 at first."""
        ...

    def kept_after(self, sequence: int, game_id: str, limit: int) -> Sequence[KeptPlay]:
        """Plays in the order of keeping, after a sequence; of all games where none is named."""
        ...


class Watcher:
    """What a watcher has not read yet: of each play and moment the latest, so that a slow one has no long queue."""

    def __init__(self, games: str) -> None:
        self.came = asyncio.Event()
        self._games = games
        self._unread: dict[tuple[str, Moment], Known] = {}

    def watches(self, play: str) -> bool:
        """Whether a play, by its resource name, is of a game that is watched."""
        return play.startswith(self._games)

    def tell(self, known: Known) -> None:
        """Add what is known."""
        self._unread[known.play, known.moment] = known
        self.came.set()

    def read(self) -> list[Known]:
        """What came since the last time."""
        self.came.clear()
        unread, self._unread = list(self._unread.values()), {}
        return unread


class Watchers:
    """Everybody who watches."""

    def __init__(self, store: Store) -> None:
        """Nobody yet.

        Args:
            store: where statistics are kept; it is used in threads.
        """
        self._store = store
        self._watchers: set[Watcher] = set()

    def watch_for(self, play: str) -> bool:
        """Whether anybody watches a play."""
        return any(watcher.watches(play) for watcher in self._watchers)

    def tell(self, known: Known) -> None:
        """Tell all who watch the play."""
        for watcher in self._watchers:
            if watcher.watches(known.play):
                watcher.tell(known)

    async def run(self) -> None:
        """Wake everybody when something was kept, until cancelled."""
        seen = 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._watchers:
                try:
                    latest = await asyncio.to_thread(self._store.latest)
                except DomainError as error:
                    _log.info("kept statistics wait", problem=error.message)
                    continue
                if latest != seen:
                    seen = latest
                    for watcher in self._watchers:
                        watcher.came.set()

    async def watch(self, game_id: str, after: int | None) -> AsyncGenerator[Known | KeptPlay, None]:
        """What is known of live plays from now on, and plays as their statistics are kept.

        Args:
            game_id: of which game; empty means all games.
            after: sequence of the last play that was told; None to start with what is kept from now on.

        Raises:
            Unavailable: the store cannot be reached.
        """
        with self.watched(game_id) as watcher:
            after = await asyncio.to_thread(self._store.latest) if after is None else after
            while True:
                for known in watcher.read():
                    yield known
                kept = await asyncio.to_thread(self._store.kept_after, after, game_id, _PAGE)
                for play in kept:
                    after = play.sequence
                    yield play
                if not kept:
                    await watcher.came.wait()

    @contextmanager
    def watched(self, game_id: str) -> Iterator[Watcher]:
        """Somebody watches a game, or all where it is empty, as long as the context lasts."""
        watcher = Watcher(f"{game_name(game_id)}/" if game_id else "")
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
