"""`ghostback contract`: hold what a consumer relies on against the contract, or against running servers."""

import asyncio
import json as jsons
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ghostback.cli import suite
from ghostback.cli.failures import UNREACHABLE, USAGE, CommandError
from ghostback.cli.suite import Json

app = typer.Typer(
    help="Contracts of consumers: what they call, and rely on. Example: ghostback contract verify protos/contracts",
    no_args_is_help=True,
)

Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="[SERVER=]HOST:PORT",
        help="Where a server (ingest, features, predict, score) listens; without a name, where all others do.",
    ),
]
Suite = Annotated[bool, typer.Option("--suite", help="The suite that runs in this folder.")]
Image = Annotated[Path | None, typer.Option(help="Descriptors to take instead of those of the installed stubs.")]


@app.command()
def verify(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files, or folders with some; by default the folder contracts."),
    ] = None,
    image: Image = None,
    target: Target = None,
    suite_here: Suite = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A variable, such as play=games/1/plays/2."),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Stream a small simulated game in first, and ask about that.")
    ] = False,
    json: Json = False,
) -> None:
    """Check contracts: against the descriptors, or with --target or --suite against running servers too.

    Exit codes: 0 all is kept, 1 something is broken, 2 it could not be checked, 3 a server does not answer.

    Example: ghostback contract verify contracts --target predict=127.0.0.1:50053 --set play=games/1/plays/2
    """
    from ghostback.contract import descriptors, document, offline, servers
    from ghostback.contract.document import ContractError

    try:
        files = document.files(places or [Path("contracts")])
        contracts = [document.read(file) for file in files]
        pool = descriptors.of_image(image) if image else descriptors.of_stubs()
        addresses = _addresses(target or [], suite_here)
        if addresses:
            from ghostback.contract import live, state

            targets = servers.Targets(addresses, suite.security())
            outcomes = asyncio.run(live.verify(contracts, pool, targets, state.values(given or []), simulate))
        else:
            outcomes = [offline.verify(contract, pool) for contract in contracts]
    except ContractError as error:
        raise _problem(error) from None
    broken = sum(bool(each.findings) for one in outcomes for each in one)
    if json:
        documents = [_json(file, contract, one) for file, contract, one in zip(files, contracts, outcomes, strict=True)]
        typer.echo(jsons.dumps({"kept": not broken, "contracts": documents}, indent=2))
    else:
        for file, contract, one in zip(files, contracts, outcomes, strict=True):
            _show(file, contract, one)
        against = ", ".join(f"{name or 'all'} {address}" for name, address in addresses.items()) or "descriptors only"
        kept = sum(map(len, outcomes)) - broken
        typer.echo(f"{kept} kept, {broken} broken ({against})")
    if broken:
        raise typer.Exit(1)


@app.command()
def record(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND]", help="What to run and record; without it, all until Ctrl-C."),
    ] = None,
    consumer: Annotated[str, typer.Option(help="The consumer's name.")] = "my-consumer",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("contracts/recorded.yaml"),
    target: Target = None,
    suite_here: Suite = False,
    max_bytes: Annotated[int, typer.Option(min=1, help="Leave out calls that send more.")] = 4096,
) -> None:
    """Write a contract from real traffic: point the consumer at the proxies that this starts.

    A command given is run with GHOSTBACK_INGEST and its siblings set to them. Of each method the first call of
    each way of ending is kept; what was set in the answer is relied on by its type. Then take out what is not
    needed, and put in what the values must be.

    Example: ghostback contract record --suite --consumer overlay --out contracts/overlay.yaml -- python overlay.py
    """
    from ghostback.contract import descriptors, drafting
    from ghostback.contract.document import ContractError

    try:
        addresses = _addresses(target or [], suite_here)
        if not addresses or "" in addresses:
            raise ContractError("say what to record: --suite, or --target SERVER=HOST:PORT")
        if out.exists():
            raise ContractError(f"{out} is there already; name another file with --out")
        recorded = asyncio.run(_recorded(addresses, max_bytes, command or []))
        draft = drafting.Draft(consumer, descriptors.of_stubs(), max_bytes)
        left_out = [(each.call, why) for each in recorded if (why := draft.add(each))]
        for call, why in left_out:
            typer.echo(f"left out {call}: {why}", err=True)
        if len(left_out) == len(recorded):
            raise ContractError("nothing was recorded, so nothing was written; does the consumer call the proxies?")
        contract = draft.contract()
    except ContractError as error:
        raise _problem(error) from None
    except OSError as error:
        raise CommandError(f"{' '.join(command or [])} cannot be run: {error.strerror}", USAGE) from None
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(drafting.to_yaml(contract))
    typer.echo(f"{out} has {len(contract.interactions)} interactions; next: ghostback contract verify {out}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a contract. Example: ghostback contract schema > contract.schema.json."""
    from ghostback.contract import document

    typer.echo(jsons.dumps(document.schema(), indent=2))


async def _recorded(addresses: dict[str, str], max_bytes: int, command: Sequence[str]) -> list[Any]:
    from ghostback.contract import servers
    from ghostback.contract.recording import recording

    async with recording(addresses, max_bytes, suite.security()) as noted:
        for server, address in noted.addresses.items():
            typer.echo(f"{server}: {address} in place of {addresses[server]}", err=True)
        try:
            if command:
                proxies = {f"GHOSTBACK_{server.upper()}": address for server, address in noted.addresses.items()}
                plain = {name: value for name, value in os.environ.items() if name not in servers.SECURITY}
                process = await asyncio.create_subprocess_exec(*command, env=plain | proxies)
                if code := await process.wait():
                    typer.echo(f"{command[0]} ended with exit code {code}", err=True)
            else:
                typer.echo("recording; Ctrl-C ends it", err=True)
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        return list(noted.exchanges.values())


def _addresses(targets: Sequence[str], suite_here: bool) -> dict[str, str]:
    from ghostback.contract import document, servers

    where = suite.addresses() if suite_here else None
    return {name: getattr(where, name) for name in document.SERVERS if where} | servers.addresses(targets)


def _show(file: Path, contract: Any, outcomes: Sequence[Any]) -> None:
    from ghostback.contract import matching

    typer.echo(f"{contract.consumer}: {file}")
    for each in outcomes:
        took = f"  {each.seconds * 1000:.0f} ms" if each.seconds else ""
        word = typer.style("broken", "red") if each.findings else typer.style("kept  ", "green")
        typer.echo(f"  {word}  {each.interaction.name}{took}")
        for line in matching.told(each.findings).splitlines():
            typer.echo(f"            {line}")


def _json(file: Path, contract: Any, outcomes: Sequence[Any]) -> dict[str, Any]:
    return {
        "consumer": contract.consumer,
        "file": str(file),
        "interactions": [
            {
                "name": each.interaction.name,
                "call": each.interaction.call,
                "kept": not each.findings,
                "seconds": each.seconds,
                "findings": [
                    {"path": found.path, "expected": found.expected, "got": found.got} for found in each.findings
                ],
            }
            for each in outcomes
        ],
    }


def _problem(error: Exception) -> CommandError:
    from ghostback.contract.document import Unreachable

    return CommandError(str(error), UNREACHABLE if isinstance(error, Unreachable) else USAGE)
