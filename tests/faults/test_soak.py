"""The long trials of `make soak`, short."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.soak import chaos, hostile


async def test_through_every_fault_no_acknowledged_sample_is_lost_and_every_pass_is_scored_once() -> None:
    """PostgreSQL is another user, whom every start of a pytest bars from pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        account = await chaos.run(Path(folder), seconds=0, seed=1)
    assert account.broken == []
    assert account.passes > 5
    assert account.batches > 50


async def test_honest_clients_are_served_and_memory_is_bounded_whatever_others_do(tmp_path: Path) -> None:
    bouts = await hostile.run(tmp_path, seconds=30)
    assert hostile.broken(bouts) == []


def test_no_decoder_fails_but_by_refusing() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.soak.fuzz", "-max_total_time=5"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
