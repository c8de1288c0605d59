"""Time of one PredictGhosts call, beside the same model called through tritonclient with the same tensors."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton_grpc
from rich.console import Console
from rich.table import Table

from deploy.local import suite
from ghostback import feed
from ghostback.client import Client
from services.features import feature_sets, tensors
from services.predict.repository import TRITON_VERSION
from simulator.game import simulate_game

MODEL, FEATURE_SET = "ghosting-2.0.0", "ghosting-scene-live@2"
WARM_UP = 20


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.predict",
        description="Time PredictGhosts (all defensive backs, all eligible receivers) beside the bare model.",
        epilog="example: python -m benchmarks.predict --calls 500",
    )
    parser.add_argument("--calls", type=int, default=300, help="calls of each kind, one at a time (default: 300)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    result = asyncio.run(_measure(arguments.calls, arguments.triton))
    table = Table(title=f"{result['rows']} ghosts a call, one call in flight, {arguments.calls} calls")
    for column in ("call", "p50 ms", "p99 ms", "p50, as a multiple of the bare model"):
        table.add_column(column, justify="right")
    for name in ("PredictGhosts", "tritonclient"):
        times = result[name]
        ratio = result["p50_ratio"] if name == "PredictGhosts" else 1.0
        table.add_row(name, f"{times['p50_ms']:.2f}", f"{times['p99_ms']:.2f}", f"{ratio:.2f}")
    Console().print(table)
    print(json.dumps(result))  # noqa: T201


async def _measure(calls: int, triton_environment: Path) -> dict[str, Any]:
    game = simulate_game(1, 10)
    play = next(play for play in game.plays if play.forward_pass)
    targets = [receiver.participant_id for receiver in play.eligible_receivers()]
    batch = tensors.compute(play, feature_sets.get(FEATURE_SET), targets)
    sent = []
    for name, values in batch.tensors.items():
        sent.append(triton_grpc.InferInput(name, values.shape, "FP32"))
        sent[-1].set_data_from_numpy(values)
    with tempfile.TemporaryDirectory() as folder:
        async with suite.running(Path(folder), triton_environment) as running, Client(running.addresses) as client:
            await client.update_game(game.game)
            async for _ in feed.stream(client, [play]):
                pass
            async with triton_grpc.InferenceServerClient(running.triton) as bare:
                kinds: dict[str, Callable[[], Awaitable[object]]] = {
                    "PredictGhosts": lambda: client.predict_ghosts(play.name, targets),
                    "tritonclient": lambda: bare.infer(MODEL, sent, model_version=TRITON_VERSION),
                }
                times: dict[str, list[float]] = {name: [] for name in kinds}
                for i in range(calls + WARM_UP):
                    for name, call in kinds.items():
                        started = time.perf_counter()
                        await call()
                        if i >= WARM_UP:
                            times[name].append(1000 * (time.perf_counter() - started))
    percentiles = {
        name: {"p50_ms": float(np.percentile(each, 50)), "p99_ms": float(np.percentile(each, 99))}
        for name, each in times.items()
    }
    ratio = percentiles["PredictGhosts"]["p50_ms"] / percentiles["tritonclient"]["p50_ms"]
    return {"rows": len(batch.defender_ids), "calls": calls, **percentiles, "p50_ratio": ratio}


if __name__ == "__main__":
    main()
