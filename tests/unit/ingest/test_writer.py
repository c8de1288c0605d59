"""Batches of many calls are stored in groups, those of each call in their order."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ghostback import feed
from services.common.errors import NotFound, ResourceExhausted
from services.ingest.policies import POLICIES, Policy
from services.ingest.rows import Batch
from services.ingest.store import Receipt, Store
from services.ingest.writer import Feed, Writer
from simulator.game import simulate_game

SIMULATED = simulate_game(5, 2)
KEYS = [(play.game_id, play.play_id) for play in SIMULATED.plays]
FIRST, SECOND = (list(feed.batches(play)) for play in SIMULATED.plays)


class FullOnce(Store):
    """A store whose disk is full at the first attempt, until somebody makes room."""

    def __init__(self) -> None:
        super().__init__("sqlite://", Policy(POLICIES["strict"]))
        self.tried, self.room = threading.Event(), threading.Event()

    def append(self, batches: Sequence[Batch]) -> list[Receipt | NotFound]:
        if not self.tried.is_set():
            self.tried.set()
            self.room.wait(20)
            raise ResourceExhausted("DISK_FULL", "no room", retry_seconds=1)
        return super().append(batches)


@pytest.fixture
def store() -> Iterator[FullOnce]:
    opened = FullOnce()
    opened.put_game(SIMULATED.game)
    for play in SIMULATED.plays:
        opened.put_play(play)
    yield opened
    opened.close()


@pytest.fixture
async def writer(store: FullOnce) -> AsyncIterator[Writer]:
    with ThreadPoolExecutor(1) as executor:
        writer = Writer(store, executor)
        yield writer
        await writer.close()


async def test_no_batch_is_stored_after_one_of_the_same_call_that_was_not(store: FullOnce, writer: Writer) -> None:
    call, other = Feed(), Feed()
    failed = await writer.append(Batch(KEYS[0], FIRST[0]), call)
    await asyncio.to_thread(store.tried.wait, 20)
    later = [await writer.append(Batch(KEYS[0], batch), call) for batch in FIRST[1:3]]
    others = await writer.append(Batch(KEYS[1], SECOND[0]), other)
    store.room.set()
    await asyncio.wait([failed, *later, others])
    with pytest.raises(ResourceExhausted):
        failed.result()
    assert all(each.cancelled() for each in later)
    assert others.result().accepted == len(SECOND[0])


async def test_the_same_batches_of_a_new_call_are_stored_in_order(store: FullOnce, writer: Writer) -> None:
    store.room.set()
    for attempt in (Feed(), Feed()):
        receipts = [await writer.append(Batch(KEYS[0], batch), attempt) for batch in FIRST]
        await asyncio.wait(receipts)
    assert [receipt.result().quarantined for receipt in receipts] == [{}] * len(FIRST)
    assert sum(receipt.result().accepted for receipt in receipts) == sum(map(len, FIRST))
