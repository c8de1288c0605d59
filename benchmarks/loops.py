"""Loops of calls that benchmarks time."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def closed(call: Callable[[], Awaitable[object]], in_flight: int, seconds: float) -> list[float]:
    """Milliseconds of each call, with so many always in flight."""
    times: list[float] = []
    until = time.perf_counter() + seconds

    async def loop() -> None:
        while (started := time.perf_counter()) < until:
            await call()
            times.append(1000 * (time.perf_counter() - started))

    await asyncio.gather(*(loop() for _ in range(in_flight)))
    return times
