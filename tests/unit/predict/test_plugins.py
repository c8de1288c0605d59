"""Looking for plugins costs little, however many ask for it."""

import asyncio
import time
from typing import Any

import pytest

from services.features.feature_sets import FEATURE_SETS
from services.predict import registry
from services.predict.plugins import Plugins

NOBODY: Any = None
"""What is not called while no plugin changes."""


async def test_many_who_ask_at_once_share_a_look_and_one_who_asks_later_gets_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[float] = []
    find = registry.find

    def noted(*args: Any) -> registry.Registry:
        begun.append(time.monotonic())
        return find(*args)

    plugins = Plugins(registry.discover(FEATURE_SETS), NOBODY, NOBODY)
    monkeypatch.setattr(registry, "find", noted)
    changes = await asyncio.gather(*(plugins.rescan() for _ in range(50)))
    took = time.monotonic() - begun[0]
    assert not any(each.added or each.changed or each.removed for each in changes)
    assert len(begun) == 1
    await plugins.rescan()
    assert len(begun) == 2
    assert begun[1] - begun[0] > 2 * took


async def test_who_asks_while_a_look_is_under_way_gets_one_that_begins_later(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = 0
    find, loop, under_way = registry.find, asyncio.get_running_loop(), asyncio.Event()

    def noted(*args: Any) -> registry.Registry:
        nonlocal begun
        begun += 1
        loop.call_soon_threadsafe(under_way.set)
        return find(*args)

    plugins = Plugins(registry.discover(FEATURE_SETS), NOBODY, NOBODY)
    monkeypatch.setattr(registry, "find", noted)
    first = asyncio.create_task(plugins.rescan())
    await under_way.wait()
    await asyncio.gather(first, *(plugins.rescan() for _ in range(50)))
    assert begun == 2
