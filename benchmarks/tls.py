"""What mutual TLS costs PredictTensors: a suite that speaks it and one that does not, in turns."""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.loops import closed
from deploy.local import suite
from ghostback import convert, wire
from ghostback.channels import PLAIN, Security, Tls
from ghostback.client import Addresses, Client
from ghostback.predict.v1 import predict_service_pb2
from services.features import feature_sets, tensors
from simulator.game import simulate_game
from tests.certificates import Authority

FEATURE_SET = "ghosting-scene-live@2"
LOADS = {"1x1": (1, 1), "16x1": (16, 1), "64x1": (64, 1), "4x32": (4, 32)}
"""Calls in flight, and plays a call."""
NEW = "new connections"
"""One call in flight, each on a connection of its own."""
WARM_UP = 40


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tls",
        description=__doc__,
        epilog="example: python -m benchmarks.tls --seconds 1 --rounds 2",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load in a round (default: 2)")
    parser.add_argument("--rounds", type=int, default=6, help="rounds, in which both take turns (default: 6)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    uvloop.install()
    times = asyncio.run(_measure(arguments.seconds, arguments.rounds, arguments.triton))
    table = Table(title="PredictTensors, with calls in flight x plays a call")
    for column in ("load", "", "p50 ms", "p99 ms", "calls/s", "of plaintext's"):
        table.add_column(column, justify="left" if column in ("load", "") else "right")
    figures: dict[str, Any] = {}
    for load, kinds in times.items():
        found = {
            kind: {
                "p50_ms": float(np.percentile(each, 50)),
                "p99_ms": float(np.percentile(each, 99)),
                "calls_per_s": len(each) / (arguments.seconds * arguments.rounds),
            }
            for kind, each in kinds.items()
        }
        for kind, each in found.items():
            ratio = each["calls_per_s"] / found["plaintext"]["calls_per_s"]
            row = (f"{each['p50_ms']:.2f}", f"{each['p99_ms']:.2f}", f"{each['calls_per_s']:,.0f}", f"{ratio:.0%}")
            table.add_row(load, kind, *row)
        table.add_section()
        plain, secured = found["plaintext"], found["mTLS"]
        figures[load] = found | {
            "throughput_ratio": secured["calls_per_s"] / plain["calls_per_s"],
            "p50_ratio": secured["p50_ms"] / plain["p50_ms"],
            "p99_ratio": secured["p99_ms"] / plain["p99_ms"],
        }
    Console().print(table)
    print(json.dumps(figures))  # noqa: T201


async def _measure(seconds: float, rounds: int, triton: Path) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each call, by load and kind."""
    requests = {n_plays: _request(n_plays) for _, n_plays in LOADS.values()}
    times: dict[str, dict[str, list[float]]] = {load: {"plaintext": [], "mTLS": []} for load in (*LOADS, NEW)}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        suites = {
            "plaintext": await stack.enter_async_context(_suite(folder / "plaintext", triton, PLAIN)),
            "mTLS": await stack.enter_async_context(_suite(folder / "mtls", triton, _secured(folder))),
        }
        for _ in range(rounds):
            for load, (in_flight, n_plays) in LOADS.items():
                for kind, (_, _, client) in suites.items():
                    call = partial(client.predict.PredictTensors, requests[n_plays], timeout=30)
                    times[load][kind] += await closed(call, in_flight, seconds)
            for kind, (addresses, security, _) in suites.items():
                connected = partial(_connected, addresses, security, requests[1])
                times[NEW][kind] += await closed(connected, 1, seconds)
    return times


def _secured(folder: Path) -> Security:
    """A certificate of an authority made for this run, which services and client show."""
    authority = Authority(folder)
    own = authority.issue("suite", "127.0.0.1")
    return Security(Tls(authority.ca, own.certificate, own.key))


@asynccontextmanager
async def _suite(folder: Path, triton: Path, security: Security) -> AsyncIterator[tuple[Addresses, Security, Client]]:
    """A suite, secured as its client is, that has answered some calls."""
    tls = security.tls
    files = {"CERTIFICATE": tls.certificate, "KEY": tls.key, "CA": tls.ca} if tls else {}
    with mock.patch.dict(os.environ, {f"GHOSTBACK_TLS_{name}": str(file) for name, file in files.items()}):
        async with (
            suite.running(folder, triton, keep_statistics=False) as running,
            Client(running.addresses, security=security) as client,
        ):
            for _ in range(WARM_UP):
                await client.predict.PredictTensors(_request(1), timeout=30)
            yield running.addresses, security, client


async def _connected(addresses: Addresses, security: Security, request: Any) -> None:
    """Connect and make one call."""
    async with Client(addresses, security=security) as client:
        await client.predict.PredictTensors(request, timeout=30)


def _request(n_plays: int) -> Any:
    """A call with the tensors of so many passes."""
    passes = [play for play in simulate_game(1, 2 * n_plays + 20).plays if play.forward_pass]
    request = wire.view(predict_service_pb2.PredictTensorsRequest)(feature_set=f"featureSets/{FEATURE_SET}")
    for play in passes[:n_plays]:
        batch = tensors.compute(play, feature_sets.get(FEATURE_SET))
        request.plays.add(routing_key=play.name, tensors=convert.tensors_to_messages(batch.tensors))
    return request


if __name__ == "__main__":
    main()
