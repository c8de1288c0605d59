"""`ghostback export`: what ingest has, as Parquet."""

import json as jsons
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ghostback import exporter
from ghostback.cli import suite
from ghostback.cli.failures import CommandError

app = typer.Typer()


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")],
    game: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this game; may be repeated.")] = None,
    ingest: suite.Ingest = "",
    json: suite.Json = False,
) -> None:
    """Write plays that are over, their samples and the quarantine as Parquet, by season, week and game.

    Files of games that are there already are replaced.

    Example: ghostback export out/season --game 2024091500
    """
    console = Console(stderr=json)
    where = suite.addresses({"ingest": ingest})
    try:
        summary = suite.run(where, lambda client: exporter.write(client, folder, game or [], console))
    except ValueError as error:
        raise CommandError(f"{error}; `ghostback plays list` lists the games") from None
    if json:
        typer.echo(jsons.dumps(vars(summary)))
    else:
        exporter.show(summary, folder, console)
