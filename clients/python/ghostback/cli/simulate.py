"""`ghostback simulate`: simulated games, into Big Data Bowl files or straight into ingest."""

import json as jsons
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ghostback import importer
from ghostback.cli import suite
from ghostback.cli.failures import CommandError
from ghostback.play import Game, Play

app = typer.Typer()


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first game; the next has the next.")] = 1,
    games: Annotated[int, typer.Option(min=1, help="How many games.")] = 1,
    plays: Annotated[int, typer.Option(min=1, help="Plays of a game.")] = 150,
    faults: Annotated[bool, typer.Option("--faults/--no-faults", help="With the faults that real tags have.")] = True,
    out: Annotated[Path | None, typer.Option(help="Write Big Data Bowl files here, and send nothing.")] = None,
    ingest: suite.Ingest = "",
    json: suite.Json = False,
) -> None:
    """Simulate games; the same seed gives the same games. They are sent to ingest, or written with --out.

    Example: ghostback simulate --seed 3 --plays 40
    """
    if not find_spec("simulator"):
        raise CommandError(
            "the simulator comes with the suite and is not installed here; run `make setup` in a checkout of Ghostback "
            "and then .venv/bin/ghostback simulate"
        )
    if out:
        from simulator.__main__ import main

        flags = [*([] if faults else ["--no-faults"]), *(["--json"] if json else [])]
        main([f"--seed={seed}", f"--games={games}", f"--plays={plays}", f"--out={out}", *flags])
        return
    console = Console(stderr=json)
    found = _games(range(seed, seed + games), plays, faults)
    summary = suite.run(suite.addresses({"ingest": ingest}), lambda client: importer.send(client, found, console))
    if json:
        typer.echo(jsons.dumps(vars(summary)))
    else:
        importer.show(summary, console)


def _games(seeds: range, plays: int, faults: bool) -> Iterator[tuple[Game, tuple[Play, ...]]]:
    from simulator.faults import inject_faults
    from simulator.game import simulate_game

    for seed in seeds:
        simulated = simulate_game(seed, plays)
        yield simulated.game, tuple(inject_faults(play, seed) if faults else play for play in simulated.plays)
