"""Turns: so many calls are worked on at a time, the others wait; who waits too long is told so at once.

How long one may wait is CoDel's answer for a queue (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue
10(5), 2012) as servers use it (Maurer, "Fail at Scale", ACM Queue 13(8), 2015): a burst may wait for the whole
interval, but when nobody found the queue empty for that long, it is a standing queue, and a twentieth must do.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import Counter

from services.common.errors import Unavailable

_STANDING = 0.05
"""Share of the interval that a call may wait in a standing queue."""
_SHED = Counter("ghostback_calls_shed_total", "Calls refused because they waited too long for their turn.")


class Turns:
    """Turns of a server's calls, first come, first served."""

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
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last_empty = clock()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Raises:
            Unavailable: the wait was too long.
        """
        await self._take()
        try:
            yield
        finally:
            self._pass_on()

    def patience(self) -> float:
        """Seconds that a call may wait now."""
        standing = self._clock() - self._last_empty > self._seconds
        return self._seconds * _STANDING if standing else self._seconds

    async def _take(self) -> None:
        if not self._waiting:
            self._last_empty = self._clock()
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        patience = self.patience()
        try:
            await asyncio.wait([turn], timeout=patience)
        except asyncio.CancelledError:
            if turn.done():
                self._pass_on()
            else:
                self._waiting.remove(turn)
            raise
        if not turn.done():
            self._waiting.remove(turn)
            _SHED.inc()
            raise Unavailable(
                "OVERLOADED",
                f"the call waited for its turn for {patience:g} s; try again in {self._seconds:g} s",
                retry_seconds=self._seconds,
            )

    def _pass_on(self) -> None:
        """Give the turn to the first who waits."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
            return
        self._last_empty = self._clock()
        self._free += 1
