"""Where the services listen that a command talks to, and how it shows what they say."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from ghostback.client import Addresses, Client

SUITE = Path(".run/suite.json")

Predict = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        envvar="GHOSTBACK_PREDICT",
        help="Where predict listens; by default that of the suite running in this folder.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

T = TypeVar("T")


class CommandError(Exception):
    """A command cannot do what it was asked; one sentence with the next step."""


def addresses(predict: str = "") -> Addresses:
    """Where the services listen: as given, or those of the suite that `make up` runs in this folder.

    Raises:
        CommandError: no suite runs here.
    """
    if predict:
        return Addresses(predict=predict)
    try:
        suite = json.loads(SUITE.read_text())
    except (OSError, ValueError):
        raise CommandError(
            f"no suite runs in this folder ({SUITE} is not there); start one with `make up`, or name predict with "
            "--predict HOST:PORT"
        ) from None
    return Addresses(**{name: suite[name] for name in ("ingest", "features", "predict", "score")})


def run(where: Addresses, command: Callable[[Client], Awaitable[T]]) -> T:
    """Run a command with a client."""

    async def connected() -> T:
        async with Client(where) as client:
            return await command(client)

    return asyncio.run(connected())


def show_json(*messages: Message) -> None:
    """Print the fields of some messages as one JSON object, with the contract's field names."""
    fields: dict[str, object] = {}
    for message in messages:
        fields |= MessageToDict(message, preserving_proto_field_name=True)
    typer.echo(json.dumps(fields, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(markup=False).print(table)
