"""Calls that come while others are away go together, and each gets its own answer."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from services.predict.golden import Tensors
from services.predict.joining import IN_FLIGHT, TOGETHER, Joiner


class Server:
    """Answers each row with its double once it is let; keeps how many rows each request had, and each given up."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.given_up: list[int] = []
        self.open = asyncio.Event()
        self.problem: Exception | None = None

    async def __call__(self, inputs: Tensors, seconds: float) -> dict[str, np.ndarray]:
        self.requests.append(len(inputs["x"]))
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up.append(len(inputs["x"]))
            raise
        if self.problem:
            raise self.problem
        return {"y": 2 * inputs["x"]}


def rows(first: int, n: int = 1) -> dict[str, np.ndarray]:
    return {"x": np.arange(first, first + n, dtype=np.float32)[:, None]}


async def asked(joiner: Joiner, first: int, n: int = 1, seconds: float = 5.0) -> list[float]:
    return (await joiner.infer(rows(first, n), seconds))["y"].ravel().tolist()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def filled(server: Server, joiner: Joiner) -> list[asyncio.Task[list[float]]]:
    """Calls that take all the places there are at the server."""
    calls = []
    for i in range(IN_FLIGHT):
        calls.append(asyncio.create_task(asked(joiner, i)))
        await until(lambda: len(server.requests) == len(calls))
    return calls


async def test_a_lone_call_leaves_at_once_and_alone() -> None:
    server = Server()
    server.open.set()
    assert await asked(Joiner(server, 64), 3, 2) == [6, 8]
    assert server.requests == [2]


async def test_calls_that_come_meanwhile_leave_together_and_each_gets_its_own_answer() -> None:
    server = Server()
    joiner = Joiner(server, 64)
    away = await filled(server, joiner)
    calls = [asyncio.create_task(asked(joiner, 10 * i, 3)) for i in range(12)]
    await asyncio.sleep(0)
    server.open.set()
    assert await asyncio.gather(*away) == [[0], [2]]
    assert await asyncio.gather(*calls) == [[20 * i, 20 * i + 2, 20 * i + 4] for i in range(12)]
    together = TOGETHER - TOGETHER % 3
    assert server.requests == [1] * IN_FLIGHT + [together, 36 - together]


async def test_a_large_call_goes_whole_and_without_company() -> None:
    server = Server()
    joiner = Joiner(server, 2 * TOGETHER)
    away = await filled(server, joiner)
    calls = [asyncio.create_task(asked(joiner, 0, n)) for n in (1, 2 * TOGETHER, 1)]
    await asyncio.sleep(0)
    server.open.set()
    await asyncio.gather(*away, *calls)
    assert sorted(server.requests) == [1] * (IN_FLIGHT + 2) + [2 * TOGETHER]


async def test_no_request_holds_more_rows_than_the_model_takes() -> None:
    server = Server()
    server.open.set()
    joiner = Joiner(server, 4)
    answers = await asyncio.gather(*(asked(joiner, 100 * i, 3 + i) for i in range(6)))
    assert answers == [[2 * (100 * i + j) for j in range(3 + i)] for i in range(6)]
    assert max(server.requests) <= 4


async def test_a_caller_who_gives_up_leaves_the_others_their_answers() -> None:
    server = Server()
    joiner = Joiner(server, 64)
    held = await filled(server, joiner)
    hasty, patient = asyncio.create_task(asked(joiner, 7)), asyncio.create_task(asked(joiner, 8))
    await asyncio.sleep(0)
    hasty.cancel()
    with pytest.raises(TimeoutError):
        await asked(joiner, 9, seconds=0.01)
    server.open.set()
    assert await patient == [16]
    assert await asyncio.gather(*held) == [[0], [2]]
    assert server.requests == [1, 1, 1]


async def test_a_lone_call_that_is_given_up_ends_at_the_server_and_makes_room_for_those_who_wait() -> None:
    server = Server()
    joiner = Joiner(server, 64)
    held = await filled(server, joiner)
    waiting = asyncio.create_task(asked(joiner, 5))
    await asyncio.sleep(0)
    held[0].cancel()
    server.open.set()
    assert await waiting == [10]
    assert held[0].cancelled()
    assert await held[1] == [2]


async def test_a_request_ends_at_the_server_once_all_its_callers_have_given_up_and_no_sooner() -> None:
    server = Server()
    joiner = Joiner(server, 64)
    held = await filled(server, joiner)
    together = [asyncio.create_task(asked(joiner, i, 3)) for i in range(2)]
    await asyncio.sleep(0)
    held[0].cancel()
    await until(lambda: len(server.requests) == IN_FLIGHT + 1)
    next_one = asyncio.create_task(asked(joiner, 8))
    together[0].cancel()
    await asyncio.wait([together[0]])
    assert server.given_up == [1]
    together[1].cancel()
    await until(lambda: len(server.requests) == IN_FLIGHT + 2)
    assert server.given_up == [1, 6]
    server.open.set()
    assert await next_one == [16]


async def test_a_request_ends_at_the_server_when_the_time_of_its_last_caller_is_up() -> None:
    server = Server()
    joiner = Joiner(server, 64)
    held = await filled(server, joiner)
    together = [asyncio.create_task(asked(joiner, i, seconds=0.05)) for i in range(2)]
    await asyncio.sleep(0)
    held[0].cancel()
    assert [type(each) for each in await asyncio.gather(*together, return_exceptions=True)] == [TimeoutError] * 2
    await until(lambda: server.given_up == [1, 2])
    server.open.set()
    await held[1]


async def test_an_error_reaches_every_caller_of_the_request_and_the_next_one_is_served() -> None:
    server = Server()
    server.problem = RuntimeError("away")
    server.open.set()
    joiner = Joiner(server, 64)
    told = await asyncio.gather(*(asked(joiner, i) for i in range(5)), return_exceptions=True)
    assert [str(each) for each in told] == ["away"] * 5
    server.problem = None
    assert await asked(joiner, 1) == [2]
