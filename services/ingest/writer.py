"""Storing the batches of all streams in groups: one transaction and one sync to disk a group."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

from services.ingest.rows import Batch
from services.ingest.store import Receipt, Store

GROUP_SAMPLES = 262_144
"""Samples in a group, unless one batch has more."""
GROUP_PLAYS = 16
"""Plays in a group."""
WAITING_SAMPLES = 524_288
"""Samples that wait to be stored, of all streams; more are not taken from the network meanwhile."""


@dataclass(eq=False, slots=True)
class Feed:
    """The batches of one call: none of them is stored after one that was not, which would tell them out of order."""

    broken: bool = False


class _Waiting(NamedTuple):
    batch: Batch
    feed: Feed
    receipt: asyncio.Future[Receipt]


class Writer:
    """Groups what waits while the group before is being stored: few batches are acknowledged soon, many at once."""

    def __init__(self, store: Store, executor: Executor) -> None:
        """Write to a store, in an executor's one thread."""
        self._store = store
        self._executor = executor
        self._waiting: deque[_Waiting] = deque()
        self._n_samples = 0
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Store what waits, and stop."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._n_samples)
        self._task.cancel()

    async def append(self, batch: Batch, feed: Feed) -> asyncio.Future[Receipt]:
        """Take the next batch of a call, once there is room for it.

        Returns:
            Done when the batch is on disk; or failed with the `DomainError` that kept it from there, and cancelled
            when an earlier one of the call was kept from there.
        """
        waiting = _Waiting(batch, feed, asyncio.get_running_loop().create_future())
        async with self._changed:
            await self._changed.wait_for(lambda: self._n_samples < WAITING_SAMPLES)
            self._waiting.append(waiting)
            self._n_samples += len(batch.samples)
            self._changed.notify_all()
        return waiting.receipt

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting)
            group = self._next_group()
            whole = [waiting for waiting in group if not waiting.feed.broken]
            results: Sequence[Receipt | Exception] = []
            try:
                if whole:
                    results = await loop.run_in_executor(
                        self._executor, self._store.append, [waiting.batch for waiting in whole]
                    )
            except Exception as error:
                results = [error] * len(whole)
            for (_, feed, receipt), result in zip(whole, results, strict=True):
                if isinstance(result, Exception):
                    if not (feed.broken or receipt.cancelled()):
                        receipt.set_exception(result)
                    feed.broken = True
                elif not receipt.cancelled():
                    receipt.set_result(result)
            for waiting in group:
                waiting.receipt.cancel()
            async with self._changed:
                self._n_samples -= sum(len(waiting.batch.samples) for waiting in group)
                self._changed.notify_all()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        plays = set()
        n = 0
        while self._waiting:
            batch = self._waiting[0].batch
            plays.add(batch.play)
            n += len(batch.samples)
            if group and (n > GROUP_SAMPLES or len(plays) > GROUP_PLAYS):
                break
            group.append(self._waiting.popleft())
        return group
