"""Clients that never stop: they stream plays, ask for ghosts and for scores, and note what they were told."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

import grpc.aio
import numpy as np

from ghostback import feed
from ghostback.client import Addresses, Client
from ghostback.play import Play, PlayState, Samples
from simulator.game import simulate_game

PLAYS_A_GAME = 24
TIMEOUT = 5.0
PAUSE = 0.1
"""Seconds between batches, between calls, and before another attempt."""


@dataclass(frozen=True)
class Seen:
    """How one call ended: its kind, `OK` or the status, and when, on the loop's clock."""

    kind: str
    outcome: str
    time: float


@dataclass
class Ledger:
    """What the clients were promised and what they saw.

    Attributes:
        sent: plays that were begun, by name.
        acknowledged: batches that are on disk, by play.
        over: passes that are over, and when their completion was begun to be told.
        seen: calls, in order of their end.
    """

    sent: dict[str, Play] = field(default_factory=dict)
    acknowledged: dict[str, set[int]] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    async def done(self, kind: str, work: Awaitable[object]) -> bool:
        """Do something and note how it ended."""
        try:
            await work
            outcome = "OK"
        except grpc.aio.AioRpcError as error:
            outcome = error.code().name
        self.seen.append(Seen(kind, outcome, time.monotonic()))
        return outcome == "OK"

    def well_since(self, moment: float) -> set[str]:
        """The kinds of calls that succeeded since a moment."""
        return {each.kind for each in self.seen if each.outcome == "OK" and each.time > moment}


async def produce(ledger: Ledger, addresses: Addresses, number: int, stop: asyncio.Event) -> None:
    """Stream one game after the other, as a stadium would: each play until it is on disk, then that it is over."""
    async with Client(addresses, TIMEOUT) as client:
        for game_number in count():
            simulated = simulate_game(1000 * number + game_number, PLAYS_A_GAME)
            await _until_done(ledger, "games", lambda: client.update_game(simulated.game))  # noqa: B023
            for play in simulated.plays:
                if stop.is_set():
                    return
                await _play(ledger, client, play)


async def _play(ledger: Ledger, client: Client, play: Play) -> None:
    live = replace(play, state=PlayState.LIVE, events=(), forward_pass=None)
    ledger.sent[play.name], acknowledged = play, ledger.acknowledged.setdefault(play.name, set())
    await _until_done(ledger, "plays", lambda: client.update_play(live))
    batches = list(feed.batches(play))

    async def paced() -> AsyncIterator[tuple[str, Samples]]:
        for batch in batches:
            yield play.name, batch
            await asyncio.sleep(PAUSE)

    async def stream() -> None:
        async for told in client.stream_tags(paced(), stream=play.name.replace("/", "-")):
            acknowledged.add(told.sequence)

    await _until_done(ledger, "tags", stream)
    began = time.monotonic()
    await _until_done(ledger, "plays", lambda: client.update_play(play))
    if play.forward_pass:
        ledger.over[play.name] = began


async def _until_done(ledger: Ledger, kind: str, work: Callable[[], Awaitable[object]]) -> None:
    while not await ledger.done(kind, work()):
        await asyncio.sleep(PAUSE)


async def ask(ledger: Ledger, addresses: Addresses, seed: int, stop: asyncio.Event) -> None:
    """Ask for ghosts and for scores of passes that are over."""
    random = Random(seed)
    async with Client(addresses, TIMEOUT) as client:
        while not stop.is_set():
            if ledger.over:
                play = random.choice(list(ledger.over))
                await ledger.done("ghosts", client.predict_ghosts(play))
                await ledger.done("scores", client.score_actual(play))
            await asyncio.sleep(PAUSE)


async def missing(ledger: Ledger, client: Client) -> list[str]:
    """Acknowledged samples that are neither in their play nor in quarantine: names of plays, and how many."""
    found = []
    for name, sequences in ledger.acknowledged.items():
        if not sequences:
            continue
        batches = list(feed.batches(ledger.sent[name]))
        promised = {key for sequence in sequences for key in _keys(batches[sequence])}
        lost = promised - _keys((await client.get_play(name)).samples)
        if lost:
            async for samples, _ in client.list_quarantined(name):
                lost -= _keys(samples)
        if lost:
            found.append(f"{name}: {len(lost)} of {len(promised)}")
    return found


def _keys(samples: Samples) -> set[tuple[str, int]]:
    return set(zip(np.asarray(samples.tag_id).tolist(), samples.frame.tolist(), strict=True))
