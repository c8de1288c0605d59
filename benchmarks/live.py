"""From the last tag of the frame of a throw to its completion probability, in live games as fast as they happen."""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from unittest import mock

import numpy as np
import uvloop
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from rich.console import Console
from rich.table import Table

from benchmarks.collector import collecting
from deploy.local import suite
from ghostback import feed
from ghostback.channels import PLAIN
from ghostback.client import Acknowledgement, Client
from ghostback.play import Play, Samples
from ghostback.results import Addresses
from ghostback.score.v1 import statistics_service_pb2 as pb
from simulator.game import SimulatedGame, simulate_game

AIMS_MS = {1: 250, 16: 500}
"""Most that the 99th percentile may be, by number of games."""
FRAME_SECONDS = 0.1
WARM_UP = 2
"""Passes of each game that do not count."""
_SETTLE_SECONDS = 3.0
_CP = "ghostback.predict.v1.PredictService/PredictPassOutcomes"


@dataclass
class Noted:
    """When things happened, seconds since 1970, by play.

    Attributes:
        sent: the last tag of the frame of the throw was handed to the client.
        told: the completion probability reached the watcher.
        left: it left predict.
        spans: of the trace in which it was made, each with the name of its service.
    """

    sent: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    spans: dict[str, list[tuple[str, Span]]] = field(default_factory=dict)

    def after_ms(self, what: Mapping[str, float]) -> dict[str, float]:
        """How long after the tag something happened, milliseconds, by play."""
        return {play: 1000 * (at - self.sent[play]) for play, at in what.items() if play in self.sent}


class _Producer(Client):
    """A client that notes when it is handed the last tag of the frame of a throw."""

    def __init__(self, addresses: Addresses, releases: Mapping[str, int], noted: Noted) -> None:
        super().__init__(addresses, security=PLAIN)
        self._releases = releases
        self._noted = noted

    def stream_tags(
        self, batches: AsyncIterable[tuple[str, Samples]], stream: str = ""
    ) -> AsyncIterator[Acknowledgement]:
        async def passed_on() -> AsyncIterator[tuple[str, Samples]]:
            async for play, samples in batches:
                if samples.frame[-1] == self._releases.get(play):
                    self._noted.sent[play] = time.time()
                yield play, samples

        return super().stream_tags(passed_on(), stream)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description=__doc__, epilog="example: python -m benchmarks.live --seconds 60"
    )
    parser.add_argument("--games", type=int, nargs="+", default=[1, 16], help="games at once (default: 1 16)")
    parser.add_argument("--seconds", type=float, default=150.0, help="that games last (default: 150)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    uvloop.install()
    measured = {n: asyncio.run(_measure(n, arguments.seconds, arguments.triton)) for n in arguments.games}
    _show(measured)


async def _measure(n_games: int, seconds: float, triton: Path) -> Noted:
    """Games as fast as they happen, with one who watches all of them."""
    games = [_passes(seed, seconds) for seed in range(9_000, 9_000 + n_games)]
    releases = {p.name: p.forward_pass.forward_frame for _, plays in games for p in plays if p.forward_pass}
    noted = Noted()
    with collecting() as collector, tempfile.TemporaryDirectory() as folder:
        traced = {"GHOSTBACK_OTLP_ENDPOINT": collector.endpoint, "GHOSTBACK_TRACE_SAMPLE_RATIO": "1"}
        with mock.patch.dict(os.environ, traced):
            async with (
                suite.running(Path(folder), triton) as running,
                _Producer(running.addresses, releases, noted) as client,
            ):
                watching = asyncio.create_task(_watch(client, noted))
                await asyncio.sleep(_SETTLE_SECONDS)
                offsets = np.random.default_rng(n_games).uniform(0, 8, n_games)
                await asyncio.gather(
                    *(_play(client, *game, offset) for game, offset in zip(games, offsets, strict=True))
                )
                await asyncio.sleep(_SETTLE_SECONDS)
                watching.cancel()
        _note_traces(collector.spans(), noted)
    for _, plays in games:
        for play in plays[:WARM_UP]:
            noted.sent.pop(play.name, None)
    return noted


def _passes(seed: int, seconds: float) -> tuple[SimulatedGame, list[Play]]:
    """The passes of a game that take so long, one after the other."""
    simulated = simulate_game(seed, 20 + round(seconds / 3))
    passes = [play for play in simulated.plays if play.forward_pass and play.forward_pass.target_id]
    lengths = np.cumsum([np.ptp(play.samples.frame) / play.sample_rate for play in passes])
    return simulated, [passes[i] for i in takewhile(lambda i: lengths[i] < seconds, count())]


async def _play(client: Client, simulated: SimulatedGame, plays: Sequence[Play], offset: float) -> None:
    await client.update_game(simulated.game)
    await asyncio.sleep(offset)
    async for _ in feed.stream(client, plays, FRAME_SECONDS, speed=1.0):
        pass


async def _watch(client: Client, noted: Noted) -> None:
    async for told in client.watch_statistics():
        if told.moment == pb.MOMENT_AT_THROW and told.HasField("completion_probability"):
            noted.told.setdefault(told.play, time.time())


def _note_traces(spans: Sequence[tuple[str, Span]], noted: Noted) -> None:
    """Find the trace of each throw, up to where its completion probability left predict."""
    of_trace: defaultdict[bytes, list[tuple[str, Span]]] = defaultdict(list)
    for service, span in spans:
        of_trace[span.trace_id].append((service, span))
    for trace in of_trace.values():
        roots = [span for _, span in trace if span.name == "live/at_throw"]
        ends = [s.end_time_unix_nano for _, s in trace if s.name == _CP and s.kind == Span.SPAN_KIND_SERVER]
        if not (roots and ends):
            continue
        play = next(each.value.string_value for each in roots[0].attributes if each.key == "play")
        noted.left[play] = min(ends) / 1e9
        noted.spans[play] = [(service, span) for service, span in trace if span.start_time_unix_nano < min(ends)]


def _show(measured: Mapping[int, Noted]) -> None:
    console = Console()
    table = Table(title="From the last tag of the frame of the throw, milliseconds")
    for column in ("games", "throws", "to", "p50", "p99", "most", "aim, p99"):
        table.add_column(column, justify="right")
    figures: dict[str, dict[str, float]] = defaultdict(dict)
    for n, noted in measured.items():
        for what, at in (("cp", noted.left), ("watcher", noted.told)):
            times = list(noted.after_ms(at).values())
            p50, p99 = np.percentile(times, [50, 99])
            title = {"cp": "leaving predict", "watcher": "watcher"}[what]
            aim = str(AIMS_MS[n]) if what == "cp" and n in AIMS_MS else ""
            throws = f"{len(times)} of {len(noted.sent)}"
            table.add_row(str(n), throws, title, f"{p50:.0f}", f"{p99:.0f}", f"{max(times):.0f}", aim)
            figures[f"forward_to_{what}_p50_ms"][str(n)] = round(float(p50), 1)
            figures[f"forward_to_{what}_p99_ms"][str(n)] = round(float(p99), 1)
    console.print(table)
    for n, noted in measured.items():
        console.print(_trace(n, noted))
    print(json.dumps(figures))  # noqa: T201


def _trace(n_games: int, noted: Noted) -> Table:
    """The trace of the throw in the middle: when each span began, and how long it took."""
    times = noted.after_ms(noted.left)
    play = sorted(times, key=times.__getitem__)[len(times) // 2]
    spans = sorted(noted.spans[play], key=lambda each: each[1].start_time_unix_nano)
    parents = {span.span_id: span.parent_span_id for _, span in spans}
    table = Table(title=f"{n_games} games: {play}, {times[play]:.0f} ms, by service")
    for column in ("at, ms", "took, ms", "service", "span"):
        table.add_column(column, justify="left" if column in ("service", "span") else "right", no_wrap=True)
    for service, span in spans:
        depth, above = 0, span.parent_span_id
        while above in parents:
            depth, above = depth + 1, parents[above]
        at = span.start_time_unix_nano / 1e6 - 1000 * noted.sent[play]
        took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        name = span.name.rpartition(".")[2]
        table.add_row(f"{at:.1f}", f"{took:.1f}", service.removeprefix("ghostback-"), f"{'  ' * depth}{name}")
    return table


if __name__ == "__main__":
    main()
