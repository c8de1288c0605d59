"""`ghostback import`: Big Data Bowl files into ingest."""

import json as jsons
from typing import Annotated

import typer
from rich.console import Console

from ghostback import bigdatabowl, importer
from ghostback.cli import suite
from ghostback.cli.failures import FAILED

app = typer.Typer()


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="Folder of the files, or its fsspec URL.")],
    ingest: suite.Ingest = "",
    json: suite.Json = False,
) -> None:
    """Send Big Data Bowl files of any year from 2019 to 2026, CSV or Parquet, to ingest.

    Plays that are complete there are not sent again: an import that was stopped goes on when repeated.

    Example: ghostback import zip://::nfl-big-data-bowl-2024.zip
    """
    console = Console(stderr=json)
    where = suite.addresses({"ingest": ingest})
    summary = suite.run(where, lambda client: importer.send(client, bigdatabowl.read(source), console))
    if json:
        typer.echo(jsons.dumps(vars(summary)))
    else:
        importer.show(summary, console)
    if summary.refused:
        raise typer.Exit(FAILED)
