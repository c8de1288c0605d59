"""The command `ghostback`; also `python -m ghostback.cli`."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "up": ("up", "Run the whole suite on this machine. Example: ghostback up"),
    "doctor": ("doctor", "Tell whether this machine and the suite are well. Example: ghostback doctor"),
    "simulate": ("simulate", "Simulate games, into files or into ingest. Example: ghostback simulate --seed 3"),
    "import": ("importing", "Send Big Data Bowl files to ingest. Example: ghostback import my-games"),
    "export": ("exporting", "Write what ingest has as Parquet. Example: ghostback export out/season"),
    "plays": ("plays", "Look at games and plays. Example: ghostback plays list 2024091500"),
    "features": ("features", "Feature sets, and features of a play. Example: ghostback features list"),
    "predict": ("predict", "Draw the ghosts of a play. Example: ghostback predict 2024091500/55 --what-ifs"),
    "outcomes": ("outcomes", "How passes end. Example: ghostback outcomes 2024091500/55 --what-ifs"),
    "decision": ("decision", "What each pass was worth. Example: ghostback decision 2024091500/55"),
    "leaders": ("leaders", "Who leads by a statistic. Example: ghostback leaders completion --position QB"),
    "score": ("score", "Score plays and models. Example: ghostback score play 2024091500/55"),
    "models": ("models", "Model plugins and their versions. Example: ghostback models list"),
    "rollout": ("rollout", "Versions that earn their plays. Example: ghostback rollout start policy.yaml"),
    "contract": ("contract", "Contracts of consumers. Example: ghostback contract verify protos/contracts"),
}
"""Each command's module in this package, and its help."""

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused, failed, or something was found to be wrong; 2 the command line or a file "
    "that it names is wrong; 3 a service does not answer, later may help; 4 not allowed; 130 interrupted."
)


class Commands(TyperGroup):
    """Commands whose modules are imported when they are called, so that help is quick."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, about) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=about))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command in place of the one that help lists."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        command = typer.main.get_command(import_module(f"ghostback.cli.{COMMANDS[name][0]}").app)
        if isinstance(command, TyperGroup):
            command.help = listed.help
        return name, command, rest


app = typer.Typer(
    name="ghostback",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
)


def _option(name: str, about: str, **more: Any) -> Any:
    return typer.Option(f"--{name}", envvar=f"GHOSTBACK_{name.upper().replace('-', '_')}", help=about, **more)


def _file(name: str, about: str) -> Any:
    return _option(name, about, exists=True, dir_okay=False)


@app.callback()
def ghostback(
    ca: Annotated[Path | None, _file("ca", "Certificates of the authorities that the services' are signed by.")] = None,
    certificate: Annotated[Path | None, _file("certificate", "Your certificate, where services ask for one.")] = None,
    key: Annotated[Path | None, _file("key", "The private key of the certificate.")] = None,
    token_file: Annotated[Path | None, _file("token-file", "File of the token that goes with each call.")] = None,
    server_name: Annotated[
        str, _option("server-name", "The name in the services' certificates, where it is not that of the address.")
    ] = "",
    tls: Annotated[bool, _option("tls", "Reach the services by TLS; needs no saying beside the others.")] = False,
) -> None:
    """Ask a Ghostback suite, and look after it. Example: ghostback plays list.

    Any of the options below means that the services are reached by TLS; each may be an environment variable.
    Without --ca, the authorities that the system trusts are trusted.
    """
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key go together; give both or neither")
    files = {"CA": ca, "CERTIFICATE": certificate, "KEY": key, "TOKEN_FILE": token_file}
    given = files | {"SERVER_NAME": server_name, "TLS": tls}
    os.environ.update({f"GHOSTBACK_{name}": str(value) for name, value in given.items() if value})


def main() -> None:
    """Run the command; what goes wrong is told in one sentence, and by the exit code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        app()
    except Exception as error:
        from ghostback.cli import failures

        problem = failures.told(error)
        if problem is None:
            raise
        typer.echo(f"error: {problem}", err=True)
        sys.exit(problem.code)


if __name__ == "__main__":
    main()
