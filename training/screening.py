"""Screen candidate features on games: `python -m training.screening --out out/screening`."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from ghostback import bigdatabowl
from ghostback.play import Play
from services.common.errors import DomainError
from services.features.library import Library
from services.features.screening import catalogue, screened, table
from services.features.screening.boosting import Workers, rmse
from services.features.screening.screen import TOLERANCE, Screening, Stage, Verdict, screen
from services.features.screening.table import Table
from simulator.game import simulate_game
from training import cluster, screening_plot
from training.cluster_workers import ClusterWorkers

PLAYS_A_GAME = 150
TEST_SEEDS_FROM = 40_000
_SHOWN = 40


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m training.screening",
        description="Screen the candidate features of defensive backs at the throw: report leaks, drop noise "
        "and twins, and keep the smallest set that predicts the displacement over ten steps nearly as well as all. "
        "Writes the feature set, which `python -m services.features --feature-sets` serves, and a plot.",
        epilog="example: python -m training.screening --games 40 --out out/screening",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for NAME@VERSION.json and NAME@VERSION.png")
    parser.add_argument("--data", help="Big Data Bowl files to screen on, folder or fsspec URL (default: simulate)")
    parser.add_argument("--games", type=int, default=40, help="games to simulate (default: 40)")
    parser.add_argument("--from-seed", type=int, default=10_000, help="seed of the first of them (default: 10000)")
    parser.add_argument("--test-games", type=int, default=10, help="more games to confirm the result on (default: 10)")
    parser.add_argument("--setting", choices=("live", "retrospective"), default="retrospective")
    parser.add_argument("--seed", type=int, default=1, help="seed of folds, models and shuffling (default: 1)")
    parser.add_argument("--name", default="ghosting-screened", help="of the feature set (default: ghosting-screened)")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="models fitted at a time (default: cores)"
    )
    parser.add_argument("--scheduler", default="", help="grow the models on a Dask cluster, tcp://HOST:PORT")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    started = time.monotonic()
    try:
        screening, test = _run(arguments, console)
        kept = Library(arguments.out).add(
            arguments.name,
            lambda version: screened.of_screening(
                screening, arguments.name, version, arguments.setting, arguments.seed, _command(arguments)
            ),
        )
    except (bigdatabowl.BigDataBowlError, DomainError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; nothing was written")
    picture = arguments.out / f"{kept.id}.png"
    screening_plot.draw(screening, picture)
    if arguments.json:
        result = asdict(kept) | {"digest": kept.digest, "test": test}
        result["verdicts"] = {judged.candidate.name: judged.verdict for judged in screening.judged}
        print(json.dumps(result))  # noqa: T201
        return
    _show(screening, test, console)
    console.print(f"{kept.id} with SHA-256 {kept.digest[:12]}... and {picture} in {time.monotonic() - started:.0f} s")


def _run(arguments: argparse.Namespace, console: Console) -> tuple[Screening, dict[str, float]]:
    candidates = catalogue.of_setting(arguments.setting)
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    workers = Workers(arguments.seed, arguments.threads)
    if arguments.scheduler:
        workers = ClusterWorkers(arguments.seed, 1, client=cluster.client(arguments.scheduler))
    with Progress(*columns, console=console) as progress:
        bars = {stage: progress.add_task(stage.value, total=None) for stage in (*Stage,)[1:]}

        def report(stage: Stage, done: int, total: int) -> None:
            progress.update(bars[stage], completed=done, total=total)

        def rows(games: Iterator[Table], total: int | None, what: str) -> Table:
            return Table.concatenate(list(progress.track(games, total, description=what)), len(candidates))

        if arguments.data:
            games = (_of_plays(plays, arguments.setting) for _, plays in bigdatabowl.read(arguments.data))
            learnt, unseen = rows(games, None, "games"), table.empty(len(candidates))
        else:
            seeds = range(arguments.from_seed, arguments.from_seed + arguments.games)
            others = range(TEST_SEEDS_FROM, TEST_SEEDS_FROM + arguments.test_games)
            with ProcessPoolExecutor(arguments.threads) as pool:
                of_game = partial(of_seed, setting=arguments.setting)
                learnt = rows(pool.map(of_game, seeds), len(seeds), "games")
                unseen = rows(pool.map(of_game, others), len(others), "games to confirm on")
        screening = screen(learnt, candidates, workers, report)
    return screening, _confirmed(screening, learnt, unseen, workers, arguments.setting) if len(unseen) else {}


def of_seed(seed: int, setting: str) -> Table:
    """The rows of a simulated game."""
    return _of_plays(simulate_game(seed, PLAYS_A_GAME).plays, setting)


def _of_plays(plays: Sequence[Play], setting: str) -> Table:
    candidates = catalogue.of_setting(setting)
    passes = [play for play in plays if play.forward_pass]
    parts = [table.of_play(play, setting, candidates, i % table.PROBED == 0) for i, play in enumerate(passes)]
    return Table.concatenate(parts, len(candidates))


def _confirmed(screening: Screening, learnt: Table, unseen: Table, workers: Workers, setting: str) -> dict[str, float]:
    """Errors of all honest candidates and of those kept on games that the screening has not seen, yards.

    With the standard error, plays being independent, of the share by which they differ.
    """
    names = [candidate.name for candidate in catalogue.of_setting(setting)]
    honest = [j for j in screening.judged if j.verdict not in (Verdict.LEAK, Verdict.ABSENT)]
    predicted = []
    for chosen in (honest, screening.kept):
        columns = [names.index(judged.candidate.name) for judged in chosen]
        models = [workers.fit(learnt.values[:, columns], learnt.displacement[:, axis]) for axis in range(2)]
        predicted.append(np.stack([workers.predict(model, unseen.values[:, columns]) for model in models], axis=1))
    full, kept = (((unseen.displacement - each) ** 2).sum(axis=1) for each in predicted)
    _, play = np.unique(unseen.play, return_inverse=True)
    return {
        "rows": len(unseen),
        "full_rmse": rmse(unseen.displacement, predicted[0]),
        "kept_rmse": rmse(unseen.displacement, predicted[1]),
        "standard_error": float(np.linalg.norm(np.bincount(play, kept - full)) / (2 * full.sum())),
    }


def _command(arguments: argparse.Namespace) -> str:
    source = "--data ..." if arguments.data else f"--games {arguments.games} --from-seed {arguments.from_seed}"
    return (
        f"python -m training.screening {source} --setting {arguments.setting} --seed {arguments.seed} "
        f"--name {arguments.name} --out ..."
    )


def _show(screening: Screening, test: dict[str, float], console: Console) -> None:
    ranking = RichTable(
        title=f"Displacement over ten steps: {screening.n_rows:,} defensive backs, {len(screening.games)} games"
    )
    for heading in ("candidate", "rank", "gain", "permut. yd^2", "SHAP yd", "verdict"):
        is_text = heading in ("candidate", "verdict")
        ranking.add_column(heading, justify="left" if is_text else "right", no_wrap=heading != "verdict")
    for judged in screening.judged[:_SHOWN]:
        numbers = (f"{judged.rank:.1f}", f"{judged.gain:.1%}", f"{judged.permutation:.3f}", f"{judged.shap:.3f}")
        told = f"{judged.verdict} {judged.reason}" if judged.verdict is Verdict.TWIN else judged.verdict.value
        ranking.add_row(judged.candidate.entry, *numbers, told)
    console.print(ranking)
    groups = RichTable(title="What the candidates are about")
    for heading in ("group", *(verdict.value for verdict in Verdict), "gain", "SHAP yd"):
        groups.add_column(heading, justify="left" if heading == "group" else "right")
    for group in sorted({judged.candidate.group for judged in screening.judged}):
        own = [judged for judged in screening.judged if judged.candidate.group == group]
        verdicts = Counter(judged.verdict for judged in own)
        gain, shap = (np.nansum([getattr(judged, name) for judged in own]) for name in ("gain", "shap"))
        groups.add_row(group, *(f"{verdicts[v] or ''}" for v in Verdict), f"{gain:.1%}", f"{shap:.2f}")
    console.print(groups)
    for verdict in (Verdict.KEPT, Verdict.ABSENT):
        names = [judged.candidate.name for judged in screening.judged if judged.verdict is verdict]
        console.print(f"[bold]{verdict.value}[/] ({len(names)}): {', '.join(names)}")
    for judged in screening.judged:
        if judged.verdict is Verdict.LEAK:
            console.print(f"[red]leak[/] {judged.candidate.name}: {judged.reason}")
    line = "error on {}: all {:.3f} yd, kept {:.3f} yd ({:+.1%}, {})"
    full, kept = screening.full_rmse, screening.kept_rmse
    console.print(line.format("held-out folds", full, kept, kept / full - 1, f"at most {TOLERANCE:+.0%}"))
    if test:
        full, kept, error = test["full_rmse"], test["kept_rmse"], test["standard_error"]
        where = f"{test['rows']:,} rows of other games"
        console.print(line.format(where, full, kept, kept / full - 1, f"standard error {error:.1%}"))


if __name__ == "__main__":
    main()
