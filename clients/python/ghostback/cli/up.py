"""`ghostback up`: the whole suite on this machine."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ghostback.cli.failures import CommandError
from ghostback.cli.suite import Json

app = typer.Typer()


@app.command()
def up(
    folder: Annotated[Path, typer.Option(help="Where the database, the models and the logs go.")] = Path(".run"),
    triton: Annotated[Path, typer.Option(help="Triton's virtual environment; `make setup` makes it.")] = Path(
        ".venv-triton"
    ),
    json: Json = False,
) -> None:
    """Run Triton and the four services on loopback until Ctrl-C; commands in this folder find them.

    Example: ghostback up --folder .run
    """
    if not find_spec("deploy"):
        raise CommandError(
            f"the suite is not installed beside this client ({sys.prefix}); run `make setup` in a checkout of "
            "Ghostback and then .venv/bin/ghostback up, or give commands a suite elsewhere (--ingest, --predict)"
        )
    flags = [f"--folder={folder}", f"--triton={triton}", *(["--json"] if json else [])]
    os.execv(sys.executable, [sys.executable, "-m", "deploy.local", *flags])  # noqa: S606
