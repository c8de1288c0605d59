"""`ghostback doctor`: whether this machine and the suite are well, and what to do if not."""

import asyncio
import json as jsons
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ghostback.cli import checks, suite
from ghostback.cli.checks import Finding, State
from ghostback.cli.failures import FAILED
from ghostback.client import Addresses

app = typer.Typer()

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "red"}


@app.command()
def doctor(
    folder: Annotated[Path, typer.Option(help="Where the suite keeps its database and logs.")] = suite.SUITE.parent,
    triton: Annotated[Path, typer.Option(help="Triton's virtual environment.")] = Path(".venv-triton"),
    port: Annotated[
        list[int] | None, typer.Option(min=1, max=65535, help="A port that shall be free; may be repeated.")
    ] = None,
    database_url: Annotated[
        list[str] | None, typer.Option(help="A database to reach, as SQLAlchemy writes it; may be repeated.")
    ] = None,
    ingest: suite.Ingest = "",
    features: suite.Features = "",
    predict: suite.Predict = "",
    score: suite.Score = "",
    json: suite.Json = False,
) -> None:
    """Check machine, Python, versions, clock, Triton, ports, databases and the suite's health; say what to do.

    Exit code 1 if anything is wrong; a warning is not.

    Example: ghostback doctor --port 8441 --database-url postgresql+psycopg://ghostback@db/ghostback
    """
    given = {"ingest": ingest, "features": features, "predict": predict, "score": score}
    found = [
        *checks.machine(folder),
        *checks.suite_installation(triton, port or []),
        *checks.databases(folder, database_url or []),
        *_suite(folder / suite.SUITE.name, given),
    ]
    wrong = [each for each in found if each.state is State.WRONG]
    if json:
        typer.echo(jsons.dumps({"well": not wrong, "checks": [asdict(each) for each in found]}, indent=2))
    else:
        for each in found:
            state = typer.style(f"{each.state:8}", _COLOURS[each.state])
            typer.echo(f"{state} {each.check:20} {each.found}" + f"\n{'':29} to do: {each.cure}" * bool(each.cure))
    if wrong:
        raise typer.Exit(FAILED)


def _suite(file: Path, given: dict[str, str]) -> list[Finding]:
    named = {name: address for name, address in given.items() if address}
    if not named and not file.exists():
        cure = "`ghostback up` starts one; --ingest, --features, --predict and --score name one that runs elsewhere"
        return [Finding("suite", State.WARNING, f"none runs in {file.parent}", cure)]
    if not named and (killed := checks.left_behind(file)):
        return [killed]
    where = Addresses(**named) if named else suite.addresses(file=file)
    return asyncio.run(checks.running(where, suite.security(), file))
