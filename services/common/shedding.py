"""Turns: so many calls are worked on at a time, the others wait; who waits too long is told so at once.

Each caller has a queue of its own, and turns go round the callers (round robin: Nagle, "On Packet Switches With
Infinite Storage", RFC 970, 1985), so that who makes many calls keeps only its own waiting.

How long one may wait is CoDel's answer for a queue (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue
10(5), 2012) as servers use it (Maurer, "Fail at Scale", ACM Queue 13(8), 2015): a burst may wait for the whole
interval, but when its caller's queue was not empty for that long, it is a standing queue, and a twentieth must do.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import Counter

from services.common.errors import Unavailable

_STANDING = 0.05
"""Share of the interval that a call may wait in a standing queue."""
_SHED = Counter("ghostback_calls_shed_total", "Calls refused because they waited too long for their turn.")


@dataclass(slots=True)
class _Queue:
    """Calls of one caller that wait, since it was empty."""

    since: float
    turns: deque[asyncio.Future[None]] = field(default_factory=deque)


class Turns:
    """Turns of a server's calls: they go round the callers, and to each caller's calls as they came."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without calls.

        Args:
            most: calls that are worked on at a time.
            seconds: the interval.
            clock: tells seconds.
        """
        self._free = most
        self._seconds = seconds
        self._clock = clock
        self._queues: OrderedDict[str, _Queue] = OrderedDict()

    @asynccontextmanager
    async def taken(self, caller: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Args:
            caller: whose call it is.

        Raises:
            Unavailable: the wait was too long.
        """
        await self._take(caller)
        try:
            yield
        finally:
            self._pass_on()

    def patience(self, caller: str) -> float:
        """Seconds that a call may wait now."""
        queue = self._queues.get(caller)
        standing = queue is not None and self._clock() - queue.since > self._seconds
        return self._seconds * _STANDING if standing else self._seconds

    async def _take(self, caller: str) -> None:
        if self._free:
            self._free -= 1
            return
        patience = self.patience(caller)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, _Queue(self._clock())).turns.append(turn)
        try:
            await asyncio.wait([turn], timeout=patience)
        except asyncio.CancelledError:
            if turn.done():
                self._pass_on()
            else:
                self._leave(caller, turn)
            raise
        if not turn.done():
            self._leave(caller, turn)
            _SHED.inc()
            raise Unavailable(
                "OVERLOADED",
                f"the call waited for its turn for {patience:g} s; try again in {self._seconds:g} s",
                retry_seconds=self._seconds,
            )

    def _leave(self, caller: str, turn: asyncio.Future[None]) -> None:
        """Wait no longer."""
        turns = self._queues[caller].turns
        turns.remove(turn)
        if not turns:
            del self._queues[caller]

    def _pass_on(self) -> None:
        """Give the turn to the caller who waits for the longest time since its last one."""
        if not self._queues:
            self._free += 1
            return
        caller, queue = self._queues.popitem(last=False)
        queue.turns.popleft().set_result(None)
        if queue.turns:
            self._queues[caller] = queue
