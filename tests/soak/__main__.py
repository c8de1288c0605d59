"""Long trials of the whole suite."""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.soak import chaos


def main() -> None:
    """Parse the command line, run, print, and end with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, epilog="example: python -m tests.soak chaos --seconds 600"
    )
    parser.add_argument("trial", choices=["chaos"], help="chaos: faults at random under constant load")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of what happens when (default: 1)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        account = asyncio.run(chaos.run(Path(folder), arguments.seconds, arguments.seed))
    console = Console(width=None if sys.stdout.isatty() else 240)
    console.print(chaos.table(account))
    print(json.dumps(chaos.figures(account)))  # noqa: T201
    sys.exit(bool(account.broken))


if __name__ == "__main__":
    main()
