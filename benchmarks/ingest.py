"""Samples a second through ingest, durably acknowledged, beside its peers; and how long live feeds wait."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import ingest_peers as peers
from deploy.local.suite import start_service
from ghostback.client import Addresses, Client
from ghostback.play import Game, Play, Samples
from simulator.faults import inject_faults
from simulator.game import simulate_game

SEED = 11
PLAYS = 150
FRAMES = 400
STREAMS = 2
LIVE_GAMES = 16


@dataclass(frozen=True)
class Season:
    """Games to send: one simulated game under many names.

    Attributes:
        games: the games.
        plays: of one game; the same ones are played in every game.
        samples: number of samples in all.
    """

    games: list[Game]
    plays: tuple[Play, ...]
    samples: int

    @classmethod
    def of(cls, samples: int) -> "Season":
        """A season of about so many samples, one game at least."""
        simulated = simulate_game(SEED, PLAYS)
        plays = tuple(replace(play, samples=_to_and_fro(play.samples, FRAMES)) for play in simulated.plays)
        return cls([replace(simulated.game, game_id="2024")], plays, 0).next(samples)

    def next(self, samples: int) -> "Season":
        """Another one, of other games."""
        a_game = sum(len(play.samples) for play in self.plays)
        n = max(1, round(samples / a_game))
        last = self.games[-1]
        games = [replace(last, game_id=f"{int(last.game_id) + i}") for i in range(1, n + 1)]
        return replace(self, games=games, samples=n * a_game)

    def with_faults(self) -> "Season":
        """The same plays with faults as real tags have them."""
        plays = tuple(inject_faults(play, SEED) for play in self.plays)
        return replace(self, plays=plays, samples=len(self.games) * sum(len(play.samples) for play in plays))

    def batches(self, part: int, parts: int) -> Iterator[tuple[str, Samples]]:
        """Play names and samples, a play a batch, of every so many-th game."""
        for game in self.games[part::parts]:
            for play in self.plays:
                yield f"{game.name}/plays/{play.play_id}", play.samples


def _to_and_fro(samples: Samples, frames: int) -> Samples:
    """As many frames as a tag system records from huddle to huddle: the play, backwards, and again."""
    first, last = int(samples.frame.min()), int(samples.frame.max())
    numbers = np.arange(frames) % (2 * (last - first))
    shown = first + np.minimum(numbers, 2 * (last - first) - numbers)
    starts = np.searchsorted(samples.frame, np.arange(first, last + 2))
    rows = [np.arange(starts[f - first], starts[f - first + 1]) for f in shown]
    taken = samples.take(np.concatenate(rows))
    noise = np.random.default_rng(SEED).normal(0.0, 0.02, (2, len(taken))).astype(np.float32)
    frame = np.repeat(np.arange(frames, dtype=np.int32), [len(r) for r in rows])
    return replace(taken, frame=frame, x=taken.x + noise[0], y=taken.y + noise[1])


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ingest",
        description=__doc__,
        epilog="example: python -m benchmarks.ingest --samples 5000000 --grow-to 20000000",
    )
    parser.add_argument("--samples", type=int, default=30_000_000, help="samples of the season (default: 30 million)")
    parser.add_argument(
        "--grow-to",
        type=int,
        default=100_000_000,
        help="samples stored in the end, measured also at 1 and 10 million; 0: the season alone (default: 100 million)",
    )
    parser.add_argument("--live-seconds", type=float, default=20.0, help="length of each live run (default: 20)")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    result = uvloop.run(_measure(arguments, console))
    _show(result)
    print(json.dumps(result))  # noqa: T201


async def _measure(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    season = Season.of(arguments.samples)
    result: dict[str, Any] = {"samples": season.samples}
    console.print(
        f"{season.samples:,} samples: {len(season.games)} games of {len(season.plays)} plays of {FRAMES} frames"
    )
    result["in_process_samples_per_s"] = peers.in_process(season.plays)
    result["pandas_samples_per_s"] = peers.pandas_way(season.plays)
    result["echo_samples_per_s"] = await peers.echo(season.batches, season.samples, STREAMS)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            database = f"--database-url=sqlite:///{folder}/ingest.db"
            process, ready = await start_service(
                "ingest", [database, "--policy=strict", "--log-level=warning"], Path(folder), stack
            )
            client = await stack.enter_async_context(Client(Addresses(*[ready["address"]] * 4)))
            before = [1_000_000, 9_000_000] if arguments.grow_to else []
            after = arguments.grow_to - sum(before) - season.samples
            stored, result["growth"], sent = 0, [], season
            for samples in (*before, season.samples, after):
                if samples <= 0:
                    break
                sent = sent.next(samples)
                rate = await _send(client, sent)
                stored += sent.samples
                step = {"stored": stored, "samples_per_s": rate, "rss_mb": _memory(process.pid, "VmRSS")}
                result["growth"].append(step)
                console.print(f"{stored:,} stored, {rate / 1e6:.2f} million/s")
            sent = sent.next(season.samples // 3).with_faults()
            result["faulty_samples_per_s"] = await _send(client, sent)
            stored += sent.samples
            result["samples_per_s"] = result["growth"][len(before)]["samples_per_s"]
            for rate in (10, 25):
                p50, p99 = await _live(client, season, rate, arguments.live_seconds)
                result |= {f"live{rate}_ack_p50_ms": p50, f"live{rate}_ack_p99_ms": p99}
            result["rss_mb"] = _memory(process.pid, "VmHWM")
            result["stored_bytes_per_sample"] = Path(folder, "ingest.db").stat().st_size / stored
    return result


async def _send(client: Client, season: Season) -> float:
    """Samples a second over a season; games and rosters are there before."""
    for game in season.games:
        await client.update_game(game)
        for play in season.plays:
            await client.update_play(replace(play, game_id=game.game_id))

    async def stream(part: int) -> int:
        async def batches() -> AsyncIterator[tuple[str, Samples]]:
            for batch in season.batches(part, STREAMS):
                yield batch

        return sum([a.accepted + sum(a.quarantined.values()) async for a in client.stream_tags(batches())])

    started = time.perf_counter()
    kept = sum(await asyncio.gather(*(stream(part) for part in range(STREAMS))))
    seconds = time.perf_counter() - started
    expected = len(season.games) * sum(_distinct(play.samples) for play in season.plays)
    if kept != expected:
        raise RuntimeError(f"{kept:,} of {expected:,} samples were accepted or quarantined")
    return season.samples / seconds


def _distinct(samples: Samples) -> int:
    """Number of samples but for those sent twice."""
    return len(np.unique(np.stack([samples.tag_id, samples.frame.astype(np.uint64)]), axis=1).T)


async def _live(client: Client, season: Season, rate: int, seconds: float) -> tuple[float, float]:
    """Milliseconds (p50, p99) from sending a frame of a game to its acknowledgement, with 16 games at once."""
    frames, play = int(seconds * rate), season.plays[0]
    tags = np.array([tag for participant in play.participants for tag in participant.tag_ids], np.uint64)
    start = play.samples.take(play.samples.frame == play.samples.frame.min())
    x, y = (dict(zip(start.tag_id.tolist(), c.tolist(), strict=True)) for c in (start.x, start.y))
    waits: list[float] = []

    async def game(number: int) -> None:
        own = replace(play, game_id=f"live{rate}x{number}", sample_rate=float(rate))
        await client.update_game(replace(season.games[0], game_id=own.game_id))
        await client.update_play(own)
        sent: dict[int, float] = {}
        clock = time.perf_counter
        first = clock() + number / LIVE_GAMES / rate

        async def batches() -> AsyncIterator[tuple[str, Samples]]:
            for frame in range(frames):
                await asyncio.sleep(max(0.0, first + frame / rate - clock()))
                columns = {
                    "tag_id": tags,
                    "frame": np.full(len(tags), frame),
                    "x": [x[tag] + 0.01 * frame for tag in tags.tolist()],
                    "y": [y[tag] for tag in tags.tolist()],
                    "speed": np.full(len(tags), 0.01 * rate),
                }
                sent[frame] = clock()
                yield own.name, Samples.from_columns(columns)

        waits.extend([1000 * (clock() - sent[a.sequence]) async for a in client.stream_tags(batches())])

    await asyncio.gather(*(game(number) for number in range(LIVE_GAMES)))
    return float(np.percentile(waits, 50)), float(np.percentile(waits, 99))


def _memory(pid: int, which: str) -> float:
    """Memory of a process now (VmRSS), or the most it ever had (VmHWM), MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not tell the memory of processes")


def _show(result: dict[str, Any]) -> None:
    ours = result["samples_per_s"]
    table = Table(title=f"{result['samples']:,} samples")
    for column in ("way", "million samples/s", "ours is"):
        table.add_column(column, justify="right")
    for way, name in (
        ("ingest over gRPC, durably acknowledged", "samples_per_s"),
        ("ingest, one sample in 250 faulty", "faulty_samples_per_s"),
        ("echo over gRPC, the floor", "echo_samples_per_s"),
        ("the same rules in process", "in_process_samples_per_s"),
        ("the same rules in pandas", "pandas_samples_per_s"),
    ):
        table.add_row(way, f"{result[name] / 1e6:.2f}", f"{ours / result[name]:.2f} x")
    growth = Table(title="as the store grows")
    for column in ("stored", "million samples/s", "memory, MB"):
        growth.add_column(column, justify="right")
    for step in result["growth"]:
        growth.add_row(f"{step['stored']:,}", f"{step['samples_per_s'] / 1e6:.2f}", f"{step['rss_mb']:.0f}")
    live = Table(title=f"{LIVE_GAMES} live games, a batch a frame: ms to acknowledgement")
    for column in ("frames/s of each game", "p50", "p99"):
        live.add_column(column, justify="right")
    for rate in (10, 25):
        live.add_row(str(rate), *(f"{result[f'live{rate}_ack_{p}_ms']:.1f}" for p in ("p50", "p99")))
    console = Console()
    for each in (table, growth, live):
        console.print(each)
    console.print(
        f"most memory: {result['rss_mb']:.0f} MB; on disk: {result['stored_bytes_per_sample']:.1f} bytes a sample"
    )


if __name__ == "__main__":
    main()
