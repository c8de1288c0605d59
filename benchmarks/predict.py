"""What predict adds to Triton: the same tensors through PredictTensors and through tritonclient, side by side."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton_grpc
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.loops import closed
from deploy.local import suite
from ghostback import convert, feed, wire
from ghostback.client import Client
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2
from ghostback.predict.v1 import rollout_service_pb2 as rollout_pb
from services.features import feature_sets, tensors
from services.predict.repository import TRITON_VERSION
from simulator.game import SimulatedGame, simulate_game

VERSION, CANDIDATE, FEATURE_SET = "2.0.0", "1.0.0", "ghosting-scene-live@2"
LOADS = ((1, 1), (16, 1), (64, 1), (4, 32))
"""Calls in flight, and plays a call."""
WARM_UP, SHADOW_RATE, PACED_ROUNDS = 20, 20.0, 8

Call = Callable[[], Awaitable[object]]


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.predict",
        description=__doc__,
        epilog="example: python -m benchmarks.predict --seconds 2 --rounds 2",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load in a round (default: 2)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds, in which all take turns (default: 4)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    arguments = parser.parse_args()
    uvloop.install()
    result = asyncio.run(_measure(arguments.seconds, arguments.rounds, arguments.triton))
    console = Console()
    table = Table(title="The same tensors, with calls in flight x plays a call")
    for column in ("", "load", "p50 ms", "p99 ms", "plays/s", "of tritonclient's"):
        table.add_column(column, justify="left" if not column else "right")
    for load, kinds in result["loads"].items():
        for kind, figures in kinds.items():
            share = figures["plays_per_s"] / kinds["tritonclient"]["plays_per_s"]
            times = (f"{figures['p50_ms']:.2f}", f"{figures['p99_ms']:.2f}", f"{figures['plays_per_s']:,.0f}")
            table.add_row(kind, load, *times, f"{share:.0%}")
        table.add_section()
    console.print(table)
    console.print(
        f"One call in flight costs {result['added_p50_ms']:.2f} ms more. {SHADOW_RATE:.0f} calls/s have a p99 of "
        f"{result['paced']['plain']['p99_ms']:.1f} ms, {result['paced']['shadow']['p99_ms']:.1f} ms with a shadow."
    )
    ghosts = result["ghosts"]
    console.print(
        f"PredictGhosts, from a stored play to {ghosts['n']} ghosts: p50 {ghosts['p50_ms']:.1f} ms, "
        f"p99 {ghosts['p99_ms']:.1f} ms; its tensors through tritonclient {ghosts['bare_p50_ms']:.1f} ms"
    )
    print(json.dumps(result))  # noqa: T201


async def _measure(seconds: float, rounds: int, triton_environment: Path) -> dict[str, Any]:
    game = simulate_game(1, 60)
    passes = [play for play in game.plays if play.forward_pass]
    with tempfile.TemporaryDirectory() as folder:
        async with (
            suite.running(Path(folder), triton_environment, keep_statistics=False) as running,
            Client(running.addresses) as client,
        ):
            bare = triton_grpc.InferenceServerClient(running.triton)
            loads = await _loads(client, bare, passes, seconds, rounds)
            paced = await _paced(client, passes, rounds * seconds)
            ghosts = await _ghosts(client, bare, game, passes[0], rounds * seconds)
            await bare.close()
    ratios = {
        load: kinds["PredictTensors"]["plays_per_s"] / kinds["tritonclient"]["plays_per_s"]
        for load, kinds in loads.items()
    }
    lone = loads["1x1"]
    return {
        "ratio_16x1": ratios["16x1"],
        "ratio_64x1": ratios["64x1"],
        "ratio_4x32": ratios["4x32"],
        "added_p50_ms": lone["PredictTensors"]["p50_ms"] - lone["tritonclient"]["p50_ms"],
        "shadow_p99_ratio": paced["shadow"]["p99_ms"] / paced["plain"]["p99_ms"],
        "loads": loads,
        "paced": paced,
        "ghosts": ghosts,
    }


async def _loads(
    client: Client, bare: triton_grpc.InferenceServerClient, passes: list[Play], seconds: float, rounds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Closed loops: of each load, without a rollout and with a canary, beside tritonclient."""
    times: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for in_flight, n_plays in LOADS:
            kinds = times.setdefault(f"{in_flight}x{n_plays}", {})
            direct, ours = _bare(bare, passes[:n_plays]), _ours(client, passes, n_plays)
            kinds.setdefault("tritonclient", []).extend(await _closed(direct, in_flight, seconds))
            kinds.setdefault("PredictTensors", []).extend(await _closed(ours, in_flight, seconds))
            async with _rollout(client, "ROLLOUT_MODE_CANARY", percent=5):
                kinds.setdefault("with a canary", []).extend(await _closed(ours, in_flight, seconds))
    spent = rounds * seconds
    return {
        f"{i}x{n}": {kind: _figures(each) | {"plays_per_s": n * len(each) / spent} for kind, each in kinds.items()}
        for (i, n), kinds in zip(LOADS, times.values(), strict=True)
    }


async def _paced(client: Client, passes: list[Play], seconds: float) -> dict[str, dict[str, float]]:
    """Calls at a steady rate, without a rollout and with a shadow of every play, in turns."""
    times: dict[str, list[float]] = {"plain": [], "shadow": []}
    call = _ours(client, passes, 1)
    for _ in range(PACED_ROUNDS):
        times["plain"] += await _at_rate(call, seconds)
        async with _rollout(client, "ROLLOUT_MODE_SHADOW", percent=100):
            times["shadow"] += await _at_rate(call, seconds)
    return {kind: _figures(each) for kind, each in times.items()}


async def _ghosts(
    client: Client, bare: triton_grpc.InferenceServerClient, game: SimulatedGame, play: Play, seconds: float
) -> dict[str, float]:
    """All defensive backs and all eligible receivers of a stored play, one call in flight."""
    await client.update_game(game.game)
    async for _ in feed.stream(client, [play]):
        pass
    targets = [receiver.participant_id for receiver in play.eligible_receivers()]
    times = await _closed(lambda: client.predict_ghosts(play.name, targets), 1, seconds)
    bare_times = await _closed(_bare(bare, [play], targets), 1, seconds)
    n = len((await client.predict_ghosts(play.name, targets)).ghosts)
    return {"n": n, **_figures(times), "bare_p50_ms": _figures(bare_times)["p50_ms"]}


def _bare(bare: triton_grpc.InferenceServerClient, plays: list[Play], targets: list[str] | None = None) -> Call:
    """A call of tritonclient with the tensors of plays in one batch."""
    batches = [tensors.compute(play, feature_sets.get(FEATURE_SET), targets or []).tensors for play in plays]
    sent = []
    for name in batches[0]:
        values = np.concatenate([batch[name] for batch in batches])
        sent.append(triton_grpc.InferInput(name, values.shape, "FP32"))
        sent[-1].set_data_from_numpy(values)
    return lambda: bare.infer(f"ghosting-{VERSION}", sent, model_version=TRITON_VERSION)


def _ours(client: Client, passes: list[Play], n_plays: int) -> Call:
    """Calls of PredictTensors with the tensors of so many plays, one after the other."""
    requests = []
    for start in range(0, len(passes), n_plays):
        request = wire.view(predict_service_pb2.PredictTensorsRequest)(feature_set=f"featureSets/{FEATURE_SET}")
        for play in (passes[start:] + passes)[:n_plays]:
            batch = tensors.compute(play, feature_sets.get(FEATURE_SET))
            request.plays.add(routing_key=play.name, tensors=convert.tensors_to_messages(batch.tensors))
        requests.append(request)
    turns = cycle(requests)
    return lambda: client.predict.PredictTensors(next(turns), timeout=30)


@asynccontextmanager
async def _rollout(client: Client, mode: str, percent: float) -> AsyncIterator[None]:
    """A rollout to another version that asks nothing of it, as long as the context lasts."""
    step = rollout_pb.RolloutStep(weights=[rollout_pb.ArmWeight(arm="candidate", percent=percent)])
    step.dwell.seconds = 3600
    policy = rollout_pb.RolloutPolicy(
        model="models/ghosting",
        mode=rollout_pb.RolloutMode.Value(mode),
        arms=[rollout_pb.Arm(name="candidate", version=CANDIDATE)],
        steps=[step],
    )
    create = rollout_pb.CreateRolloutRequest(policy=policy, actor="benchmark", reason="to be measured")
    rollout = (await client.rollouts.CreateRollout(create, timeout=60)).rollout
    try:
        yield
    finally:
        await client.rollouts.AbortRollout(rollout_pb.AbortRolloutRequest(name=rollout.name, actor="benchmark"))


async def _closed(call: Call, in_flight: int, seconds: float) -> list[float]:
    """Milliseconds of each call, with so many always in flight."""
    for _ in range(WARM_UP):
        await call()
    return await closed(call, in_flight, seconds)


async def _at_rate(call: Call, seconds: float) -> list[float]:
    """Milliseconds of each call, started at a steady rate."""
    times: list[float] = []

    async def once() -> None:
        started = time.perf_counter()
        await call()
        times.append(1000 * (time.perf_counter() - started))

    async with asyncio.TaskGroup() as calls:
        for _ in range(round(seconds * SHADOW_RATE)):
            calls.create_task(once())
            await asyncio.sleep(1 / SHADOW_RATE)
    return times


def _figures(times: list[float]) -> dict[str, float]:
    return {"p50_ms": float(np.percentile(times, 50)), "p99_ms": float(np.percentile(times, 99))}


if __name__ == "__main__":
    main()
