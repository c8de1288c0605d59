"""What can happen to a running suite."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import psutil

from tests.proxies import Proxy
from tests.soak.cluster import SERVICES, Cluster

Fault = Callable[[Random], Awaitable[None]]
FROZEN = (1.0, 4.0)
"""Seconds that a service is stopped, a disk full or a clock wrong, at least and at most."""
SKEW = 3600


def of(cluster: Cluster, proxy: Proxy) -> dict[str, Fault]:
    """Every fault, by name.

    Args:
        cluster: what it happens to.
        proxy: what stands between the clients and ingest.
    """
    faults: dict[str, Fault] = {}
    for name in SERVICES:
        faults[f"kill {name}"] = partial(_kill, cluster, name)
        faults[f"freeze {name}"] = partial(_freeze, cluster, name)
    faults |= {
        "kill Triton": partial(_kill, cluster, "triton"),
        "kill a model's process": partial(_kill_model, cluster),
        "kill PostgreSQL": partial(_kill_database, cluster),
        "cut connections": partial(_cut, proxy),
        "skew the clock": partial(_skew, cluster.clock),
    }
    if cluster.disk:
        faults["fill the disk"] = partial(_fill, cluster.disk)
    return faults


async def _kill(cluster: Cluster, name: str, _: Random) -> None:
    cluster.parts[name].signal(signal.SIGKILL)


async def _freeze(cluster: Cluster, name: str, random: Random) -> None:
    cluster.parts[name].signal(signal.SIGSTOP)
    await asyncio.sleep(random.uniform(*FROZEN))
    cluster.parts[name].signal(signal.SIGCONT)


async def _kill_model(cluster: Cluster, random: Random) -> None:
    triton = cluster.parts["triton"].process
    if triton:
        with suppress(psutil.NoSuchProcess):
            stubs = [each for each in psutil.Process(triton.pid).children(True) if "stub" in each.name()]
            if stubs:
                random.choice(stubs).kill()


async def _kill_database(cluster: Cluster, _: Random) -> None:
    cluster.kill_database()


async def _fill(disk: Path, random: Random) -> None:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    await asyncio.sleep(random.uniform(*FROZEN))
    filler.unlink()


async def _cut(proxy: Proxy, _: Random) -> None:
    proxy.cut()


async def _skew(clock: Path, random: Random) -> None:
    _set(clock, random.choice(["+", "-"]) + str(SKEW))
    await asyncio.sleep(random.uniform(*FROZEN))
    _set(clock, "+0")


def _set(clock: Path, ahead: str) -> None:
    aside = clock.with_suffix(".new")
    aside.write_text(ahead)
    aside.replace(clock)
