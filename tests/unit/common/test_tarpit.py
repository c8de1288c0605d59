"""Refusals are kept back, so many at a time."""

import asyncio

from services.common.tarpit import Tarpit


async def test_a_refusal_goes_out_after_a_while() -> None:
    clock = asyncio.get_running_loop()
    started = clock.time()
    await Tarpit(1, 0.05).stuck()
    assert clock.time() - started >= 0.05


async def test_those_beyond_the_limit_go_out_at_once_until_one_has_left() -> None:
    tarpit = Tarpit(2, 3600)
    stuck = [asyncio.create_task(tarpit.stuck()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.wait_for(tarpit.stuck(), 10)
    assert not any(each.done() for each in stuck)
    stuck[0].cancel()
    await asyncio.wait([stuck[0]])
    again = asyncio.create_task(tarpit.stuck())
    await asyncio.wait([again], timeout=0.05)
    assert not again.done()
    for each in (again, stuck[1]):
        each.cancel()
