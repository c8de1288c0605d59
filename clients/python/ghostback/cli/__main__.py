"""The command `ghostback`; also `python -m ghostback.cli`."""

import sys

import grpc.aio
import typer

from ghostback.cli import contract, models, rollout
from ghostback.cli.suite import CommandError

app = typer.Typer(
    name="ghostback",
    help="Look after a running Ghostback suite. Example: ghostback models list",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(contract.app, name="contract")
app.add_typer(models.app, name="models")
app.add_typer(rollout.app, name="rollout")


def main() -> None:
    """Run the command; what goes wrong is told in one sentence, with exit code 1."""
    try:
        app()
    except CommandError as error:
        sys.exit(f"error: {error}")
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            cure = "is the suite up? `make up` starts one, `--predict` names another"
            sys.exit(f"error: predict does not answer: {error.details()}; {cure}")
        sys.exit(f"error: {error.details()}")


if __name__ == "__main__":
    main()
