"""Turns of calls, without a server."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from services.common.errors import Unavailable
from services.common.shedding import Turns


class Clock:
    """Tells the seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_calls_take_their_turns_in_the_order_in_which_they_came() -> None:
    turns, order = Turns(1, 60), []

    async def call(number: int) -> None:
        async with turns.taken():
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(call, range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_call_that_waited_too_long_is_told_when_to_try_again() -> None:
    turns = Turns(1, 0.01)
    async with turns.taken():
        with pytest.raises(Unavailable) as refused:
            async with turns.taken():
                pass
    assert (refused.value.reason, refused.value.retry_seconds) == ("OVERLOADED", 0.01)
    async with turns.taken():
        pass


async def test_patience_is_short_when_the_queue_was_not_empty_for_the_whole_interval() -> None:
    clock = Clock()
    turns = Turns(1, 10, clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(turns.taken())
        waiting = asyncio.create_task(stack.enter_async_context(turns.taken()))
        await asyncio.sleep(0)
        clock.now = 9
        assert turns.patience() == 10
        clock.now = 11
        assert turns.patience() == 0.5
        waiting.cancel()
    async with turns.taken():
        assert turns.patience() == 10


async def test_a_call_that_is_given_up_takes_no_turn() -> None:
    turns = Turns(1, 60)

    async def call() -> None:
        async with turns.taken():
            await asyncio.Event().wait()

    working, *waiting = [asyncio.create_task(call()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    working.cancel()
    await asyncio.sleep(0)
    waiting[1].cancel()
    for task in (working, *waiting):
        with suppress(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5), turns.taken():
        pass
