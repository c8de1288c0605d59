"""Storing the batches of all streams in groups: one transaction and one sync to disk a group."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from services.ingest.rows import Batch
from services.ingest.store import Receipt, Store

GROUP_SAMPLES = 262_144
"""Samples in a group, unless one batch has more."""
GROUP_PLAYS = 16
"""Plays in a group."""
WAITING_SAMPLES = 524_288
"""Samples that wait to be stored, of all streams; more are not taken from the network meanwhile."""


class _Waiting(NamedTuple):
    batch: Batch
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

    async def append(self, batch: Batch) -> asyncio.Future[Receipt]:
        """Take a batch, once there is room for it.

        Returns:
            Done when the batch is on disk; or failed with the `DomainError` that kept it from there.
        """
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future())
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
            results: Sequence[Receipt | Exception]
            try:
                results = await loop.run_in_executor(
                    self._executor, self._store.append, [waiting.batch for waiting in group]
                )
            except Exception as error:
                results = [error] * len(group)
            for waiting, result in zip(group, results, strict=True):
                if waiting.receipt.cancelled():
                    continue
                if isinstance(result, Exception):
                    waiting.receipt.set_exception(result)
                else:
                    waiting.receipt.set_result(result)
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
