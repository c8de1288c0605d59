"""Where the services listen that a command talks to, how it connects, and how it shows what they say."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from ghostback import play
from ghostback.channels import Security
from ghostback.cli.failures import UNREACHABLE, USAGE, CommandError
from ghostback.client import Addresses, Client
from ghostback.contract import servers
from ghostback.contract.document import SERVERS

SUITE = Path(".run/suite.json")
SECONDS = 60.0
"""Deadline of a call."""


def _where(service: str) -> Any:
    return typer.Option(
        f"--{service}",
        metavar="HOST:PORT",
        envvar=f"GHOSTBACK_{service.upper()}",
        help=f"Where {service} listens; by default that of the suite running in this folder.",
    )


Ingest = Annotated[str, _where("ingest")]
Features = Annotated[str, _where("features")]
Predict = Annotated[str, _where("predict")]
Score = Annotated[str, _where("score")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
PlayName = Annotated[str, typer.Argument(metavar="PLAY", help="GAME/PLAY, such as 2024091500/55.")]
GameName = Annotated[str, typer.Argument(metavar="GAME", help="Such as 2024091500.")]
ModelName = Annotated[str, typer.Option("--model", help="A model, or one version: ghosting or ghosting/2.0.0.")]

T = TypeVar("T")


def security() -> Security:
    """How the services are reached, as the options before the command say, or the environment."""
    return servers.security(os.environ)


def addresses(wanted: Mapping[str, str] | None = None, file: Path = SUITE) -> Addresses:
    """Where the services listen: as given, or those of the suite that runs in this folder.

    Args:
        wanted: `host:port` by service, empty where it was not given; by default all services of the suite.
        file: which the running suite keeps.

    Raises:
        CommandError: one was not given, and no suite runs here.
    """
    wanted = wanted or {}
    given = {name: address for name, address in wanted.items() if address}
    if wanted and given.keys() == wanted.keys():
        return Addresses(**given)
    try:
        suite = json.loads(file.read_text())
    except (OSError, ValueError):
        flags = " and ".join(f"--{name} HOST:PORT" for name in wanted if name not in given)
        raise CommandError(
            f"no suite runs in this folder ({file} is not there); start one with `ghostback up`"
            + (f", or give {flags}" if flags else ""),
            UNREACHABLE,
        ) from None
    return Addresses(**{name: suite[name] for name in SERVERS} | given)


def run(where: Addresses, command: Callable[[Client], Awaitable[T]]) -> T:
    """Run a command with a client."""

    async def connected() -> T:
        async with Client(where, security=security()) as client:
            return await command(client)

    return asyncio.run(connected())


async def whole_list(method: Callable[..., Awaitable[Any]], request: Any) -> Any:
    """The response of a `List` method with the items of all pages."""
    request.page_size = 1000
    whole = await method(request, timeout=SECONDS)
    while whole.next_page_token:
        request.page_token = whole.next_page_token
        whole.next_page_token = ""
        whole.MergeFrom(await method(request, timeout=SECONDS))
    return whole


def game_name(text: str) -> str:
    """`games/{game}` of a game's id or name.

    Raises:
        CommandError: it is neither.
    """
    try:
        return play.game_name(play.parse_game_name(f"games/{text.removeprefix('games/')}"))
    except ValueError:
        raise CommandError(f"{text!r} is no game; give its id, such as 2024091500", USAGE) from None


def play_name(text: str) -> str:
    """`games/{game}/plays/{play}` of that, or of `{game}/{play}`.

    Raises:
        CommandError: it is neither.
    """
    game, _, number = text.removeprefix("games/").replace("/plays/", "/").partition("/")
    try:
        return play.play_name(*play.parse_play_name(play.play_name(game, number)))
    except ValueError:
        raise CommandError(f"{text!r} is no play; give GAME/PLAY, such as 2024091500/55", USAGE) from None


def model_name(text: str) -> str:
    """`models/{model}`, or of `{model}/{version}` the version's name; empty stays so."""
    model, _, version = text.removeprefix("models/").replace("/versions/", "/").partition("/")
    return f"models/{model}/versions/{version}" if version else f"models/{model}" if model else ""


def word(enum: Any, value: int) -> str:
    """A value of an enum as people write it: `rolled-back` of `ROLLOUT_STATE_ROLLED_BACK`."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return str(enum.Name(value)).removeprefix(prefix).lower().replace("_", "-")


def fields(message: Message) -> dict[str, Any]:
    """A message in protobuf's JSON mapping, with the contract's field names; columns are lists of numbers."""
    generated = descriptor_pool.Default().FindMessageTypeByName(message.DESCRIPTOR.full_name)
    whole = message_factory.GetMessageClass(generated).FromString(message.SerializeToString())
    return MessageToDict(whole, preserving_proto_field_name=True)


def show_json(*messages: Message) -> None:
    """Print the fields of some messages as one JSON object."""
    merged: dict[str, Any] = {}
    for message in messages:
        merged |= fields(message)
    typer.echo(json.dumps(merged, indent=2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is never broken."""
    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False).print(table)
