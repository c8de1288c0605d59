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

from demo import report, tables
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
LOOK_SECONDS = 0.2
LEADERBOARDS = (
    ("Completion over expectation, passers", "completion", 5),
    ("Catches over expectation, receivers", "catch", 5),
    ("Coverage credit, defensive backs", "coverage", 20),
)
"""Title, kind of statistic and fewest attempts."""

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
    tables.show(results, console)
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
                with _timed(results, "rate a decision"):
                    await _decide(client, results)
                with _timed(results, "score"):
                    await _score(client, game, results, seed, progress)
                with _timed(results, "keep statistics"):
                    await _statistics(client, results, progress)


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


async def _decide(client: Client, results: Results) -> None:
    """Rate the decision of the pass whose receivers differ most in how likely a catch is."""
    found = [
        (play, results.forecasts[play.name].forecasts) for play, _ in results.passes if play.name in results.forecasts
    ]
    if found:
        play, _ = max(found, key=lambda each: np.ptp([end.completion_probability for end in each[1]]))
        try:
            results.decision = play, await client.rate_decision(play.name)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise


async def _statistics(client: Client, results: Results, progress: Progress) -> None:
    """Wait until statistics are kept of every pass, then see who leads."""
    passes = {play.name for play, _ in results.passes}
    bar = progress.add_task("passes with statistics", total=len(passes))
    games, kept = {name.partition("/plays/")[0] for name in passes}, set[str]()
    waiting = {name for name in passes if name in results.forecasts}
    while waiting - kept:
        kept = {each.play for game in games async for each in client.list_statistics(game)}
        progress.update(bar, completed=len(kept & passes))
        await asyncio.sleep(LOOK_SECONDS)
    for title, kind, least in LEADERBOARDS:
        results.leaders[title] = [
            each
            async for page in client.list_leaders(kind, min_attempts=least, order_by="mean")
            for each in page.leaders
        ]


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


@contextmanager
def _timed(results: Results, step: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    results.seconds[step] = results.seconds.get(step, 0.0) + time.monotonic() - started


if __name__ == "__main__":
    main()
