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


async def test_calls_of_a_caller_take_their_turns_in_the_order_in_which_they_came() -> None:
    turns, order = Turns(1, 60), []

    async def call(number: int) -> None:
        async with turns.taken("a"):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(call, range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_turns_go_round_the_callers_so_that_a_flood_keeps_only_itself_waiting() -> None:
    turns, order = Turns(1, 60), list[str]()

    async def call(caller: str) -> None:
        async with turns.taken(caller):
            order.append(caller)
            await asyncio.sleep(0)

    await asyncio.gather(*(call(caller) for caller in ["flood"] * 100 + ["a", "a", "b"]))
    assert order[:8] == ["flood", "flood", "a", "b", "flood", "a", "flood", "flood"]
    assert len(order) == 103


async def test_a_caller_whose_own_queue_was_empty_has_patience_while_anothers_stands() -> None:
    clock = Clock()
    turns = Turns(1, 10, clock)
    async with turns.taken("flood"):
        waiting = asyncio.create_task(turns.taken("flood").__aenter__())
        await asyncio.sleep(0)
        clock.now = 11
        assert (turns.patience("flood"), turns.patience("a")) == (0.5, 10)
        waiting.cancel()


async def test_a_call_that_waited_too_long_is_told_when_to_try_again() -> None:
    turns = Turns(1, 0.01)
    async with turns.taken("a"):
        with pytest.raises(Unavailable) as refused:
            async with turns.taken("a"):
                pass
    assert (refused.value.reason, refused.value.retry_seconds) == ("OVERLOADED", 0.01)
    async with turns.taken("a"):
        pass


async def test_patience_is_short_when_the_queue_was_not_empty_for_the_whole_interval() -> None:
    clock = Clock()
    turns = Turns(1, 10, clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(turns.taken("a"))
        waiting = asyncio.create_task(stack.enter_async_context(turns.taken("a")))
        await asyncio.sleep(0)
        clock.now = 9
        assert turns.patience("a") == 10
        clock.now = 11
        assert turns.patience("a") == 0.5
        waiting.cancel()
    async with turns.taken("a"):
        assert turns.patience("a") == 10


async def test_a_call_that_is_given_up_takes_no_turn() -> None:
    turns = Turns(1, 60)

    async def call() -> None:
        async with turns.taken("a"):
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
    async with asyncio.timeout(5), turns.taken("a"):
        pass
