"""Real servers as processes of their own, for tests."""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30.0


@dataclass
class Server:
    """A running server.

    Attributes:
        address: where it listens, `host:port`.
        metrics: URL of its metrics page.
        process: its process.
        log: its log file.
    """

    address: str
    metrics: str
    process: asyncio.subprocess.Process
    log: Path


async def spawn(module: str, *arguments: str, log: Path | None = None) -> asyncio.subprocess.Process:
    """Start `python -m module` with its output in a log file."""
    with (log or Path("/dev/null")).open("w") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments), stdout=output, stderr=output
        )


@asynccontextmanager
async def running(module: str, *arguments: str) -> AsyncIterator[Server]:
    """A server on a free port: ready when entered, stopped when left."""
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder) / "ready", Path(folder) / "log"
        process = await spawn(module, f"--ready-file={ready}", *arguments, log=log)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not ready.exists():
                    if process.returncode is not None:
                        raise RuntimeError(f"{module} ended with {process.returncode}: {log.read_text()}")
                    await asyncio.sleep(0.02)
            facts = json.loads(ready.read_text())
            yield Server(facts["address"], facts["metrics"], process, log)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(process.wait(), START_SECONDS)
