"""The whole suite on this machine: Triton and the four services, on loopback, supervised."""

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.triton import launcher
from ghostback.client import Addresses

START_SECONDS = 60.0
STOP_SECONDS = 15.0


class SuiteError(RuntimeError):
    """The suite could not start, or a part of it died; the message says which and why."""


@dataclass
class Suite:
    """A running suite.

    Attributes:
        addresses: where the services listen.
        triton: where Triton's gRPC endpoint listens.
        metrics: each service's metrics page, by name.
        processes: the services' processes, by name.
    """

    addresses: Addresses
    triton: str
    metrics: dict[str, str]
    processes: dict[str, asyncio.subprocess.Process] = field(repr=False)
    folder: Path = field(repr=False)

    async def ended(self) -> str:
        """Wait until a part ends by itself, and tell which and why."""
        waits = {asyncio.create_task(process.wait()): name for name, process in self.processes.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        name = waits[done.pop()]
        return _obituary(name, self.processes[name], self.folder / f"{name}.log")


@asynccontextmanager
async def running(folder: Path, triton_environment: Path, keep_statistics: bool = True) -> AsyncIterator[Suite]:
    """Start everything, each on a free port; stop everything at the end.

    Args:
        folder: where the suite keeps its databases, its model repository and its logs. One suite a folder.
        triton_environment: virtual environment with the Triton server (`make setup` makes it).
        keep_statistics: whether score computes the statistics of every play that is completed.

    Raises:
        SuiteError: another suite runs in the folder, or a part did not start.
    """
    folder = folder.absolute()
    repository = folder / "model-repository"
    repository.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        lock = stack.enter_context((folder / "suite.lock").open("a+"))
        _take(lock.fileno(), folder)
        triton = await stack.enter_async_context(
            launcher.running(triton_environment, repository, folder / "triton.log")
        )
        processes = {"triton": triton.process}
        metrics = {"triton": triton.ports.metrics_url}
        known: dict[str, str] = {}
        for name, flags in {
            "ingest": [f"--database-url=sqlite:///{folder / 'ingest.db'}"],
            "features": ["--ingest={ingest}", f"--feature-sets={folder / 'feature-sets'}"],
            "predict": [
                "--features={features}",
                f"--triton={triton.ports.grpc_address}",
                f"--model-repository={repository}",
                f"--database-url=sqlite:///{folder / 'predict.db'}",
            ],
            "score": [
                "--ingest={ingest}",
                "--predict={predict}",
                f"--database-url=sqlite:///{folder / 'score.db'}",
                f"--keep-statistics={str(keep_statistics).lower()}",
            ],
        }.items():
            arguments = [flag.format(**known) for flag in flags]
            process, ready = await start_service(name, arguments, folder, stack)
            processes[name], known[name], metrics[name] = process, ready["address"], ready["metrics"]
        (folder / "suite.json").write_text(
            json.dumps({"pid": os.getpid(), "triton": triton.ports.grpc_address, **known}, indent=2)
        )
        stack.callback((folder / "suite.json").unlink, missing_ok=True)
        yield Suite(Addresses(**known), triton.ports.grpc_address, metrics, processes, folder)


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        state = folder / "suite.json"
        running_suite = json.loads(state.read_text()) if state.exists() else {}
        where = ", ".join(f"{name} {value}" for name, value in running_suite.items())
        raise SuiteError(
            f"a suite runs in {folder} already ({where or 'it is still starting'}); stop it, or name another folder"
        ) from None


async def start_service(
    name: str, arguments: list[str], folder: Path, stack: AsyncExitStack
) -> tuple[asyncio.subprocess.Process, dict[str, str]]:
    """Start one service; it is stopped when the stack is left.

    Args:
        name: folder of the service.
        arguments: its flags.
        folder: where its log goes.
        stack: stops it.

    Returns:
        The process, and the facts it tells once it answers (`address`, `metrics`).

    Raises:
        SuiteError: it did not start.
    """
    ready_file, log = folder / f"{name}.ready", folder / f"{name}.log"
    ready_file.unlink(missing_ok=True)
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", f"services.{name}", f"--ready-file={ready_file}", *arguments),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    stack.push_async_callback(_stop, process)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not ready_file.exists():
                if process.returncode is not None:
                    raise SuiteError(_obituary(name, process, log))
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise SuiteError(f"{name} was not ready after {START_SECONDS:.0f} s; its log is {log}") from None
    ready: dict[str, str] = json.loads(ready_file.read_text())
    return process, ready


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _obituary(name: str, process: asyncio.subprocess.Process, log: Path) -> str:
    code = process.returncode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else []
    return "\n  ".join([f"{name} {how}; the end of {log}:", *last])
