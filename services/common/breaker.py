"""A circuit breaker (Nygard, "Release It!", 2007) for a service that takes calls and does not answer them."""

import time
from collections.abc import Callable

FAILURES = 5
"""Calls in a row without an answer that open the circuit."""
OPEN_SECONDS = 1.0
"""How long it stays open; then one call is let through, and closes it if it is answered."""


class Breaker:
    """Knows whether a service is worth a call.

    One that cannot be connected to needs no breaker: such calls fail at once, and gRPC waits before it tries again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start closed; `clock` tells seconds."""
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the last calls were not answered, so that few are made until one is."""
        return self._failures >= FAILURES

    def wait(self) -> float:
        """Seconds until the service may be called again; 0 where this call may go."""
        if not self.is_open:
            return 0
        now = self._clock()
        if now < self._open_until:
            return self._open_until - now
        self._open_until = now + OPEN_SECONDS
        return 0

    def note(self, answered: bool) -> None:
        """Note what came of a call."""
        self._failures = 0 if answered else self._failures + 1
        self._open_until = self._clock() + OPEN_SECONDS
