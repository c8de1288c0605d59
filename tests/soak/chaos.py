"""Faults at random under constant load, and at the end the accounts: nothing lost, nothing done twice."""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf.duration_pb2 import Duration
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import create_engine, text

from ghostback.client import Addresses, Client
from ghostback.predict.v1 import rollout_service_pb2 as rollouts
from tests.proxies import Proxy
from tests.soak import cluster, faults
from tests.soak.load import Ledger, ask, missing, produce

KINDS = {"games", "plays", "tags", "ghosts", "scores"}
WELL = KINDS - {"games"}
"""What must succeed after a fault, until all is well again."""
CANDIDATE = "1.0.0"
"""A version that is not in service."""
PRODUCERS, ASKERS = 2, 2
START_SECONDS, WELL_SECONDS, JUDGED_SECONDS = 60.0, 60.0, 300.0


class ChaosError(AssertionError):
    """A promise was broken; the message says which."""


@dataclass
class Happened:
    """What one kind of fault did.

    Attributes:
        seconds: from the beginning of each until all was well again.
        outcomes: how calls ended meanwhile, by kind.
    """

    seconds: list[float] = field(default_factory=list)
    outcomes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


@dataclass(frozen=True)
class Account:
    """What came of a run.

    Attributes:
        happened: by fault.
        calls: that ended well, by kind.
        failed: that did not, by kind.
        batches: acknowledged.
        passes: completed.
        lost: acknowledged samples that are not there, by play.
        unjudged: passes that were not scored for the rollout.
        twice: passes that were scored more than once.
        uncounted: passes whose statistics are not kept.
        double: passes of which a player's statistic counts twice.
    """

    happened: dict[str, Happened]
    calls: Counter[str]
    failed: Counter[str]
    batches: int
    passes: int
    lost: list[str]
    unjudged: list[str]
    twice: list[str]
    uncounted: list[str]
    double: list[str]

    @property
    def broken(self) -> list[str]:
        """The promises that were not kept."""
        told = {"lost": self.lost, "not scored": self.unjudged, "scored twice": self.twice}
        told |= {"without statistics": self.uncounted, "with statistics twice": self.double}
        return [f"{what}: {', '.join(plays)}" for what, plays in told.items() if plays]


async def run(folder: Path, seconds: float, seed: int) -> Account:
    """Start everything, do every kind of fault at least once and then at random, and settle the accounts.

    Args:
        folder: an empty one.
        seconds: how long faults happen; longer where each kind was not done yet.
        seed: of what happens when.

    Raises:
        ChaosError: after a fault, not everything was well again in time.
    """
    random, ledger, stop = Random(seed), Ledger(), asyncio.Event()
    async with cluster.running(folder) as running, Proxy.running(running.addresses.ingest) as proxy:
        addresses = Addresses(
            proxy.address, running.addresses.features, running.addresses.predict, running.addresses.score
        )
        async with asyncio.TaskGroup() as load:
            for number in range(PRODUCERS):
                load.create_task(produce(ledger, addresses, number + 1, stop))
            for number in range(ASKERS):
                load.create_task(ask(ledger, addresses, number, stop))
            await _well(ledger, time.monotonic(), START_SECONDS, "the start")
            await _shadow(running.addresses)
            began = time.monotonic()
            happened = await _faults(faults.of(running, proxy), ledger, random, seconds)
            stop.set()
        expected = {play for play, completed in ledger.over.items() if completed > began}
        judged = await _judged(running.databases["predict"], expected)
        kept = await _kept(running.databases["score"], set(ledger.over))
        async with Client(running.addresses) as client:
            lost = await missing(ledger, client)
    return Account(
        happened,
        Counter(each.kind for each in ledger.seen if each.outcome == "OK"),
        Counter(each.kind for each in ledger.seen if each.outcome != "OK"),
        sum(map(len, ledger.acknowledged.values())),
        len(ledger.over),
        lost,
        sorted(expected - judged.keys()),
        [play for play, n in judged.items() if n > 1],
        sorted(ledger.over.keys() - kept.keys()),
        [play for play, n in kept.items() if n > 1],
    )


async def _faults(each: dict[str, faults.Fault], ledger: Ledger, random: Random, seconds: float) -> dict[str, Happened]:
    """Every fault once, in a random order, then any of them; one at a time, and the next when all is well again."""
    happened: dict[str, Happened] = defaultdict(Happened)
    until = time.monotonic() + seconds
    first = random.sample(sorted(each), len(each))
    with Progress(transient=True) as progress:
        task = progress.add_task("faults", total=seconds)
        while first or time.monotonic() < until:
            name = first.pop() if first else random.choice(sorted(each))
            progress.update(task, description=name, completed=seconds - max(0.0, until - time.monotonic()))
            began = time.monotonic()
            await each[name](random)
            await _well(ledger, time.monotonic(), WELL_SECONDS, name)
            happened[name].seconds.append(time.monotonic() - began)
            for seen in ledger.seen:
                if seen.time > began:
                    happened[name].outcomes[seen.kind][seen.outcome] += 1
    return happened


async def _well(ledger: Ledger, since: float, seconds: float, after: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not ledger.well_since(since) >= WELL:
                await asyncio.sleep(0.05)
    except TimeoutError:
        lacking = ", ".join(sorted(WELL - ledger.well_since(since)))
        last = {each.kind: each.outcome for each in ledger.seen if each.time > since}
        raise ChaosError(
            f"{seconds:.0f} s after {after} no call succeeded of: {lacking}; they ended as {last}"
        ) from None


async def _shadow(addresses: Addresses) -> None:
    """Have every pass that is over scored once, for a rollout."""
    policy = rollouts.RolloutPolicy(
        model="models/ghosting",
        mode=rollouts.ROLLOUT_MODE_SHADOW,
        arms=[rollouts.Arm(name="candidate", version=CANDIDATE)],
        steps=[
            rollouts.RolloutStep(
                weights=[rollouts.ArmWeight(arm="candidate", percent=100)], dwell=Duration(seconds=24 * 3600)
            )
        ],
    )
    async with Client(addresses) as client:
        request = rollouts.CreateRolloutRequest(policy=policy, actor="soak", reason="every pass is to be scored")
        await client.rollouts.CreateRollout(request, timeout=WELL_SECONDS)


async def _judged(database: str, expected: set[str]) -> Counter[str]:
    """How often each pass was scored, once all are or the time is up."""
    return Counter(play for (play,) in await _rows(database, "SELECT play FROM judgements", expected))


async def _kept(database: str, expected: set[str]) -> dict[str, int]:
    """How often the statistic of a player counts at most in each pass, once those of all are kept or the time is up."""
    counted = (
        "SELECT 'games/' || game_id || '/plays/' || play_id, count(*) FROM kept_plays JOIN statistics USING (sequence) "
        "WHERE superseded_by IS NULL GROUP BY game_id, play_id, kind, participant_id"
    )
    most: dict[str, int] = {}
    for play, n in await _rows(database, counted, expected):
        most[play] = max(n, most.get(play, 0))
    return most


async def _rows(database: str, query: str, expected: set[str]) -> list[tuple[Any, ...]]:
    """The rows of a query, once the first column has all that is expected or the time is up."""
    engine = create_engine(database)
    until = time.monotonic() + JUDGED_SECONDS
    while True:
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(text(query))]
        if expected <= {row[0] for row in found} or time.monotonic() > until:
            engine.dispose()
            return found
        await asyncio.sleep(0.5)


def table(account: Account) -> Table:
    """What happened and what callers saw of it."""
    shown = Table(title="Faults, and what callers saw until all was well again")
    for column in ("fault", "times", "well again after s (median, most)", *sorted(WELL)):
        shown.add_column(column, justify="right" if column == "times" else "left")
    for name, happened in sorted(account.happened.items()):
        seconds = sorted(happened.seconds)
        middle = f"{seconds[len(seconds) // 2]:.1f}, {seconds[-1]:.1f}"
        saw = [", ".join(f"{n} {code}" for code, n in happened.outcomes[kind].most_common()) for kind in sorted(WELL)]
        shown.add_row(name, str(len(seconds)), middle, *saw)
    return shown


def figures(account: Account) -> dict[str, object]:
    """The account for scripts."""
    return {
        "faults": {name: len(happened.seconds) for name, happened in sorted(account.happened.items())},
        "well_again_most_s": round(max(max(happened.seconds) for happened in account.happened.values()), 2),
        "calls": account.calls,
        "failed": account.failed,
        "batches": account.batches,
        "passes": account.passes,
        "broken": account.broken,
    }
