"""Memory for what is in hand, shared by all calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """So many bytes, held by calls for a while; who finds too few left waits."""

    def __init__(self, n_bytes: int) -> None:
        self._total = self._left = n_bytes
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def held(self, n_bytes: int) -> AsyncIterator[None]:
        """Hold some bytes; all there are, where that is less."""
        n_bytes = min(n_bytes, self._total)
        async with self._changed:
            await self._changed.wait_for(lambda: n_bytes <= self._left)
            self._left -= n_bytes
        try:
            yield
        finally:
            self._left += n_bytes
            async with self._changed:
                self._changed.notify_all()
