"""How many calls may be in flight: of one caller, and of all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from services.common import identity
from services.common.errors import ResourceExhausted
from services.common.interceptor import Call

_RETRY_SECONDS = 1.0


class CallLimits:
    """A gate that lets so many calls and streams in at a time."""

    def __init__(self, most: int, most_a_peer: int) -> None:
        """Set the limits.

        Args:
            most: calls of all callers.
            most_a_peer: calls of one identity, or from one address where callers have none, over all connections.
        """
        self._most = most
        self._most_a_peer = most_a_peer
        self._in_flight: Counter[str] = Counter()

    @contextmanager
    def __call__(self, call: Call) -> Iterator[None]:
        """Count a call for as long as it lasts.

        Raises:
            ResourceExhausted: there are too many, of its caller or of all.
        """
        caller = identity.caller_at(call.context.peer())
        if self._in_flight[caller] >= self._most_a_peer:
            raise _too_many(f"{caller} has {self._most_a_peer} calls in flight, the limit for one caller")
        if self._in_flight.total() >= self._most:
            raise _too_many(f"{self._most} calls are in flight, the limit of this server")
        self._in_flight[caller] += 1
        try:
            yield
        finally:
            self._in_flight[caller] -= 1
            if not self._in_flight[caller]:
                del self._in_flight[caller]


def _too_many(why: str) -> ResourceExhausted:
    return ResourceExhausted(
        "TOO_MANY_CALLS", f"{why}; try again in {_RETRY_SECONDS:g} s", retry_seconds=_RETRY_SECONDS
    )
