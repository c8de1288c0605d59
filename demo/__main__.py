"""The whole chain on one game: tags in, ghosts and scores out, and a report."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc.aio
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import report
from demo.results import PROFILES, Results
from deploy.local import suite
from deploy.triton.launcher import TritonError
from ghostback import bigdatabowl, feed
from ghostback.client import Client
from ghostback.client import Progress as EvaluationProgress
from ghostback.play import Game, Play, PlayState
from simulator.faults import inject_faults
from simulator.game import simulate_game

MODEL = "models/ghosting-retrospective"
"""The plays are over, and the published figures are of a model that is given the receiver's path too."""
SPOILED_FRACTION = 0.25
CONCURRENT_CALLS = 4

Games = list[tuple[Game, list[Play]]]


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Run the whole chain on a simulated game, or on your own Big Data Bowl files, and write a report.",
        epilog="example: python -m demo --data my-games --out out/mine",
    )
    parser.add_argument("--data", type=Path, help="folder of Big Data Bowl files (default: simulate a game)")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where the report goes (default: out/demo)")
    parser.add_argument("--plays", type=int, default=150, help="plays of the simulated game (default: 150)")
    parser.add_argument(
        "--seed", type=int, default=7, help="seed of the simulated game and of the spoiling (default: 7)"
    )
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    parser.add_argument(
        "--json", action="store_true", help="print report.json to standard output, all else to standard error"
    )
    arguments = parser.parse_args()
    try:
        results, path = asyncio.run(_run(arguments, Console(stderr=arguments.json)))
    except (suite.SuiteError, TritonError, bigdatabowl.BigDataBowlError, OSError) as error:
        sys.exit(f"error: {error}")
    except grpc.aio.AioRpcError as error:
        sys.exit(f"error: {error.code().name}: {error.details()}")
    except asyncio.CancelledError:
        sys.exit("stopped")
    if arguments.json:
        print(json.dumps(results.as_json()))  # noqa: T201
    else:
        Console().print(f"\nReport: [bold]{path}[/bold]  (figures: {path.with_suffix('.json')})")


async def _run(arguments: argparse.Namespace, console: Console) -> tuple[Results, Path]:
    out: Path = arguments.out
    state = out / "state"
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(state, ignore_errors=True)
    source = f"Files of {arguments.data}" if arguments.data else f"Simulated game, seed {arguments.seed}"
    results = Results(source)
    with _timed(results, "make or read the game"):
        games = await asyncio.to_thread(_games, arguments, out / "data")
    results.plays = sum(len(plays) for _, plays in games)
    started = time.monotonic()
    async with suite.running(state, arguments.triton) as running:
        results.seconds["start the suite"] = time.monotonic() - started
        work = asyncio.create_task(_work(games, running, results, arguments.seed, console))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        ended = asyncio.create_task(running.ended())
        await asyncio.wait([work, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            work.cancel()
            raise suite.SuiteError(f"{ended.result()}\nthe others were stopped")
        ended.cancel()
        await work
    with _timed(results, "write the report"):
        path = await asyncio.to_thread(report.write, results, out)
    (out / "report.json").write_text(json.dumps(results.as_json(), indent=2) + "\n")
    _show(results, console)
    return results, path


def _games(arguments: argparse.Namespace, data: Path) -> Games:
    if arguments.data:
        return list(bigdatabowl.read(arguments.data))
    shutil.rmtree(data, ignore_errors=True)
    simulated = simulate_game(arguments.seed, arguments.plays)
    faulty = [inject_faults(play, arguments.seed) for play in simulated.plays]
    bigdatabowl.write(data, [(simulated.game, faulty)])
    return list(bigdatabowl.read(data))


async def _work(games: Games, running: suite.Suite, results: Results, seed: int, console: Console) -> None:
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with Client(running.addresses) as client:
        with Progress(*columns, console=console) as progress:
            for game, plays in games:
                with _timed(results, "stream the tags"):
                    await _stream(client, game, plays, results, progress)
                with _timed(results, "predict the ghosts"):
                    await _predict(client, plays, results, progress)
                with _timed(results, "predict how passes end"):
                    await _forecast(client, results, progress)
                with _timed(results, "score"):
                    await _score(client, game, results, seed, progress)


async def _stream(client: Client, game: Game, plays: Sequence[Play], results: Results, progress: Progress) -> None:
    bar = progress.add_task("samples streamed", total=sum(len(play.samples) for play in plays))
    await client.update_game(game)
    async for acknowledged in feed.stream(client, plays):
        taken = acknowledged.accepted + acknowledged.duplicates + sum(acknowledged.quarantined.values())
        progress.advance(bar, taken)
    quality = await client.quality_report(game.name)
    results.accepted += quality.accepted
    results.duplicates += quality.duplicates
    results.quarantined.update(quality.quarantined)


async def _predict(client: Client, plays: Sequence[Play], results: Results, progress: Progress) -> None:
    passes = [p for p in plays if p.forward_pass and p.forward_pass.target_id and p.state is PlayState.COMPLETE]
    bar = progress.add_task("passes with ghosts", total=len(passes))
    limit = asyncio.Semaphore(CONCURRENT_CALLS)

    async def predict(sent: Play) -> None:
        async with limit:
            targets = [receiver.participant_id for receiver in sent.eligible_receivers()]
            try:
                prediction = await client.predict_ghosts(sent.name, targets, model=MODEL)
                results.passes.append((await client.get_play(sent.name), prediction))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                results.without_ghosts[sent.name] = error.details() or ""
            progress.advance(bar)

    await asyncio.gather(*(predict(play) for play in passes))


async def _forecast(client: Client, results: Results, progress: Progress) -> None:
    passes = [play for play, _ in results.passes if play.name not in results.forecasts | results.without_forecasts]
    bar = progress.add_task("passes forecast", total=len(passes))
    limit = asyncio.Semaphore(CONCURRENT_CALLS)

    async def forecast(play: Play) -> None:
        async with limit:
            targets = [receiver.participant_id for receiver in play.eligible_receivers()]
            try:
                results.forecasts[play.name] = await client.predict_pass_outcomes(play.name, targets)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                results.without_forecasts[play.name] = error.details() or ""
            progress.advance(bar)

    await asyncio.gather(*map(forecast, passes))


async def _score(client: Client, game: Game, results: Results, seed: int, progress: Progress) -> None:
    bar = progress.add_task("passes scored", total=None)
    profiles = [f"scoreProfiles/{profile}" for profile in PROFILES]
    evaluation = client.evaluate_model(
        game.name, MODEL, score_profiles=profiles, spoiled_fraction=SPOILED_FRACTION, seed=seed
    )
    async for update in evaluation:
        if isinstance(update, EvaluationProgress):
            progress.update(bar, completed=update.done, total=update.total)
        else:
            results.evaluations.append(update)


def _show(results: Results, console: Console) -> None:
    scores = Table(title=f"Trajectory scores, {results.model_version}; lower is better")
    scores.add_column("trajectories of", no_wrap=True)
    for column in ("catch\npoint", "receiver", "n", "play\nscore", "plays", "published"):
        scores.add_column(column, justify="right", no_wrap=True)
    for row in results.rows():
        default, receiver = row["scores"]
        cells = (f"{default.mean:+.4f}", f"{receiver.mean:+.4f}", str(default.n))
        scores.add_row(row["title"], *cells, f"{row['play'].mean:+.4f}", str(row["play"].n), f"{row['published']:+.4f}")
    console.print(scores)
    _show_forecast(results, console)
    samples = Table()
    samples.add_column("samples")
    samples.add_column("number", justify="right")
    for kind, count in results.samples():
        samples.add_row(kind, f"{count:,}")
    console.print(samples)
    steps = Table(title="Wall time")
    steps.add_column("step")
    steps.add_column("seconds", justify="right")
    for step, seconds in results.seconds.items():
        steps.add_row(step, f"{seconds:.1f}")
    steps.add_row("all", f"{sum(results.seconds.values()):.1f}")
    console.print(steps)
    console.print(f"{len(results.passes)} passes with ghosts, {results.what_ifs} what-ifs")
    left_out = {
        "no ghosts": results.without_ghosts,
        "no forecast": results.without_forecasts,
        "not scored": results.without_scores,
    }
    for what, plays in left_out.items():
        for reason in plays.values():
            console.print(f"{what}: {reason}")


def _show_forecast(results: Results, console: Console) -> None:
    """How a pass to each receiver would have ended, of the pass where the passer had the most to choose from."""
    found = [(play, results.forecasts[play.name]) for play, _ in results.passes if play.name in results.forecasts]
    if not found:
        return
    play, forecast = max(found, key=lambda each: np.ptp([end.completion_probability for end in each[1].forecasts]))
    names = {each.participant_id: f"{each.display_name}, {each.position}" for each in play.participants}
    thrown_to = play.forward_pass.target_id if play.forward_pass else ""
    outcome = play.forward_pass.outcome if play.forward_pass else None
    table = Table(title=f"{play.name} at the throw: {play.description}")
    table.add_column("receiver", no_wrap=True)
    for column in ("caught", "inter-\ncepted", "air\nyards", "nearest\ndefender", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for each in sorted(forecast.forecasts, key=lambda each: -each.completion_probability):
        measured = each.measurements
        table.add_row(
            names[each.target_id],
            f"{each.completion_probability:.0%}",
            f"{each.interception_probability:.0%}",
            f"{measured.air_yards:.0f}",
            f"{measured.target_separation:.1f} yd",
            f"thrown to: {outcome.lower()}" if each.target_id == thrown_to and outcome else "",
        )
    console.print(table)
    expected, completed = results.completion()
    console.print(f"Of {expected.n} passes {expected.mean:.0%} were expected to be caught, {completed.mean:.0%} were.")


@contextmanager
def _timed(results: Results, step: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    results.seconds[step] = results.seconds.get(step, 0.0) + time.monotonic() - started


if __name__ == "__main__":
    main()
