"""Honest clients while others do all they should not: none of them may notice."""

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc.aio
import numpy as np
from rich.progress import Progress
from rich.table import Table

from deploy.local import suite
from deploy.local.suite import Suite
from ghostback import feed
from ghostback.client import Client
from ghostback.play import Play, PlayState
from tests.soak.attackers import ATTACKS, GAME, WORK
from tests.soak.cluster import SERVICES, TRITON_ENVIRONMENT

CALM, BUSY, ALL = "(nobody attacks)", "(a busy neighbour)", "(all at once)"
CROWD = "(as many as all)"
"""Neighbours that use the processor alone, as many as attackers at once: what is the machine's, not the services'."""
RATE = 10.0
"""Rounds of honest calls a second."""
TIMEOUT = 10.0
MEGABYTES = 768
"""Most memory that a service may ever have."""


@dataclass
class Bout:
    """What honest clients saw during one attack.

    Attributes:
        milliseconds: of calls that ended well, by kind.
        failures: statuses of those that did not.
        megabytes: most memory of each service since its start.
    """

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    megabytes: dict[str, int] = field(default_factory=dict)

    def p99(self, kind: str) -> float:
        """99th percentile, milliseconds."""
        return float(np.percentile(self.milliseconds.get(kind, [np.nan]), 99))


async def run(folder: Path, seconds: float, attacks: list[str] | None = None) -> dict[str, Bout]:
    """Be attacked: by each kind of attacker in turn, then by all at once.

    Args:
        folder: an empty one.
        seconds: how long altogether.
        attacks: which ones; all when not given.

    Returns:
        What honest clients saw, by attack; first of all without any.

    Raises:
        SuiteError: a service died.
    """
    names = attacks or list(ATTACKS)
    bouts: dict[str, Bout] = {}
    async with (
        suite.running(folder, TRITON_ENVIRONMENT, keep_statistics=False) as running,
        Client(running.addresses, TIMEOUT) as client,
    ):
        await client.update_game(GAME.game)
        async for _ in feed.stream(client, GAME.plays):
            pass
        play = next(play for play in GAME.plays if play.forward_pass)
        each = seconds / (len(names) + 4)
        with Progress(transient=True) as progress:
            task = progress.add_task("", total=len(names) + 4)
            for name in (CALM, BUSY, *names, CROWD, ALL):
                progress.update(task, description=name, advance=1)
                attackers = {CALM: [], BUSY: [WORK], CROWD: [WORK] * len(names), ALL: names}.get(name, [name])
                bouts[name] = await _bout(running, client, play, attackers, each)
    return bouts


async def _bout(running: Suite, client: Client, play: Play, attackers: list[str], seconds: float) -> Bout:
    bout = Bout()
    addresses = [getattr(running.addresses, name) for name in SERVICES]
    async with AsyncExitStack() as stack:
        for name in attackers:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.soak.attackers", name, str(seconds), *addresses),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            stack.push_async_callback(_killed, process)
        honest = asyncio.create_task(_honest(bout, client, play, seconds))
        died = asyncio.create_task(running.ended())
        await asyncio.wait([honest, died], return_when=asyncio.FIRST_COMPLETED)
        if died.done():
            honest.cancel()
            raise suite.SuiteError(died.result())
        died.cancel()
        await honest
    bout.megabytes = {name: _peak(running.processes[name].pid) for name in SERVICES}
    return bout


async def _killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def _honest(bout: Bout, client: Client, play: Play, seconds: float) -> None:
    """Calls at a steady rate, whatever becomes of those before."""
    live = replace(play, play_id=f"{time.time_ns()}", state=PlayState.LIVE, events=(), forward_pass=None)
    await client.update_play(live)
    batches = list(feed.batches(live, 0.1))

    async def store(number: int) -> None:
        async def one() -> object:
            yield live.name, batches[number % len(batches)]

        async for _ in client.stream_tags(one()):
            pass

    async with asyncio.TaskGroup() as calls:
        for number in range(round(seconds * RATE)):
            calls.create_task(_timed(bout, "get play", client.get_play(play.name)))
            calls.create_task(_timed(bout, "store batch", store(number)))
            calls.create_task(_timed(bout, "ghosts", client.predict_ghosts(play.name)))
            calls.create_task(_timed(bout, "score", client.score_actual(play.name)))
            await asyncio.sleep(1 / RATE)


async def _timed(bout: Bout, kind: str, call: Awaitable[object]) -> None:
    started = time.perf_counter()
    try:
        await call
    except grpc.aio.AioRpcError as error:
        bout.failures.append(f"{kind}: {error.code().name}")
    else:
        bout.milliseconds.setdefault(kind, []).append(1000 * (time.perf_counter() - started))


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]


def table(bouts: dict[str, Bout]) -> Table:
    """What honest clients saw."""
    calm = bouts[CALM]
    shown = Table(title="Honest clients: p99 ms (times that of calm), and the most memory of each service, MB")
    for column in ("attack", *calm.milliseconds, "failed", *SERVICES):
        shown.add_column(column, justify="left" if column == "attack" else "right")
    for name, bout in bouts.items():
        times = [f"{bout.p99(kind):.0f} ({bout.p99(kind) / calm.p99(kind):.1f})" for kind in calm.milliseconds]
        shown.add_row(name, *times, str(len(bout.failures)), *(str(mb) for mb in bout.megabytes.values()))
    return shown


def figures(bouts: dict[str, Bout]) -> dict[str, object]:
    """The same for scripts."""
    calm = bouts[CALM]
    return {
        "p99_ratio": {
            name: round(max(bout.p99(kind) / calm.p99(kind) for kind in calm.milliseconds), 2)
            for name, bout in bouts.items()
        },
        "failures": {name: Counter(bout.failures) for name, bout in bouts.items() if bout.failures},
        "most_megabytes": max(max(bout.megabytes.values()) for bout in bouts.values()),
    }


def broken(bouts: dict[str, Bout]) -> list[str]:
    """The promises that were not kept."""
    failed = [f"honest calls failed during {name}: {Counter(b.failures)}" for name, b in bouts.items() if b.failures]
    large = {name: mb for name, mb in bouts[ALL].megabytes.items() if mb > MEGABYTES}
    return failed + [f"{name} had {mb} MB" for name, mb in large.items()]
