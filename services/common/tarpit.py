"""Refusals that are kept back, so that a flood of calls costs no more than so many refusals a second."""

import asyncio


class Tarpit:
    """Who is refused is told only after a while: until then he cannot ask again in the place of that call."""

    def __init__(self, most: int, seconds: float) -> None:
        """Set the limits.

        Args:
            most: refusals that are kept back at a time; those beyond go out at once.
            seconds: for how long.
        """
        self._free = most
        self._seconds = seconds

    async def stuck(self) -> None:
        """Wait until a refusal may go out."""
        if not self._free:
            return
        self._free -= 1
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._free += 1
