"""Keeping the statistics of every play that is completed or corrected."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Protocol

import prometheus_client
import structlog

from ghostback.play import Game, Play
from services.common.errors import DomainError, FailedPrecondition, InvalidInput, NotFound, may_pass
from services.score import statistics
from services.score.statistics import Statistic

_TRIES = 5
"""How often a play is tried at which another service stumbles over itself, before the plays after it."""
_PLAYS = prometheus_client.Counter(
    "ghostback_plays_kept_total", "Completed or corrected plays whose statistics are kept, or none."
)
_KEPT = prometheus_client.Counter("ghostback_statistics_total", "Statistics of plays kept, by kind.", ["kind"])
_log = structlog.get_logger()
_ALWAYS = datetime.fromtimestamp(0, UTC)


class Upstreams(statistics.Upstreams, Protocol):
    """Where plays and forecasts come from; every method raises DomainError."""

    def completed(self, after: datetime, resume: str) -> AsyncGenerator[tuple[Play, str], None]:
        """Plays completed after a time, without samples, each with what to resume from after it; waits for more."""
        ...

    async def revised(self, name: str) -> tuple[Play, int]:
        """A play as it is now, with the samples it has, and its revision."""
        ...

    async def game(self, name: str) -> Game:
        """A game."""
        ...


class Store(Protocol):
    """Where statistics are kept."""

    def resume_token(self) -> str:
        """What to resume from after the last play kept; empty at first."""
        ...

    def keep(self, play: Play, game: Game, revision: int, statistics: Sequence[Statistic], resume_token: str) -> object:
        """Keep what is known of a revision of a play in the place of what was kept of earlier ones, or nothing."""
        ...


class Statistician:
    """Keeps the statistics of every play, in the order in which plays are completed or corrected.

    What was kept and where to go on are written together. So nothing is lost or counted twice when this ends at any
    moment and starts anew.
    """

    def __init__(self, upstreams: Upstreams, store: Store, seconds: float) -> None:
        """Keep statistics.

        Args:
            upstreams: where plays and forecasts come from.
            store: where statistics are kept; it is used in threads.
            seconds: how long to wait for what does not answer.
        """
        self._upstreams = upstreams
        self._store = store
        self._seconds = seconds
        self._defects: Counter[str] = Counter()

    async def run(self) -> None:
        """Keep until cancelled."""
        while True:
            try:
                resume = await asyncio.to_thread(self._store.resume_token)
                async with aclosing(self._upstreams.completed(_ALWAYS, resume)) as completed:
                    async for play, after in completed:
                        await self._keep(play.name, after)
            except DomainError as error:
                _log.info("statistics wait", problem=error.message)
            await asyncio.sleep(self._seconds)

    async def _keep(self, name: str, resume: str) -> None:
        """Keep the statistics of a play, none if it has none for a reason of its own.

        Raises:
            DomainError: something does not answer.
        """
        play, revision = await self._upstreams.revised(name)
        game = await self._upstreams.game(f"games/{play.game_id}")
        found: list[Statistic] = []
        try:
            found = await statistics.of_play(play, self._upstreams)
        except (FailedPrecondition, InvalidInput, NotFound) as error:
            if may_pass(error):
                raise
            _log.debug("no statistics", play=name, problem=error.message)
        except DomainError as error:
            self._defects[name] += error.metadata.get("code") == "INTERNAL"
            if self._defects[name] < _TRIES:
                raise
            _log.error("no statistics", play=name, problem=error.message)
        except Exception:
            _log.exception("no statistics", play=name)
        await asyncio.to_thread(self._store.keep, play, game, revision, found, resume)
        del self._defects[name]
        _PLAYS.inc()
        for each in found:
            _KEPT.labels(each.kind).inc()
