"""Long trials of the whole suite: faults under load, hostile clients, decoders given anything.

Ends with 1 if a promise was broken, and then says where the services' logs are.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.soak import chaos, hostile
from tests.soak.attackers import ATTACKS


def main() -> None:
    """Parse the command line, run and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, epilog="example: python -m tests.soak chaos --seconds 600"
    )
    parser.add_argument(
        "trial",
        choices=["chaos", "hostile", "decoders"],
        help="chaos: every fault there is, at random, under constant load; hostile: honest clients among others that "
        "do all they should not; decoders: what callers send, mutated",
    )
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of what happens when (default: 1)")
    parser.add_argument(
        "--attacks", help=f"only these, with commas between; of hostile there are {', '.join(ATTACKS)} (default: all)"
    )
    arguments = parser.parse_args()
    attacks = arguments.attacks.split(",") if arguments.attacks else list(ATTACKS)
    if unknown := set(attacks) - ATTACKS.keys():
        parser.error(f"there is no attack {', '.join(sorted(unknown))}; there are {', '.join(ATTACKS)}")
    if arguments.trial == "decoders":
        flags = (f"-max_total_time={arguments.seconds}", f"-seed={arguments.seed}")
        sys.exit(subprocess.run([sys.executable, "-m", "tests.soak.fuzz", *flags], check=False).returncode)
    console = Console(width=None if sys.stdout.isatty() else 240)
    folder = Path(tempfile.mkdtemp(prefix="ghostback-soak-"))
    kept = f"the services' logs are in {folder}"
    try:
        if arguments.trial == "chaos":
            account = asyncio.run(chaos.run(folder, arguments.seconds, arguments.seed))
            console.print(chaos.table(account))
            figures, broken = chaos.figures(account), account.broken
        else:
            bouts = asyncio.run(hostile.run(folder, arguments.seconds, attacks))
            console.print(hostile.table(bouts))
            figures, broken = hostile.figures(bouts), hostile.broken(bouts)
    except Exception:
        print(kept, file=sys.stderr)  # noqa: T201
        raise
    print(json.dumps(figures | ({"logs": str(folder)} if broken else {})))  # noqa: T201
    if broken:
        sys.exit(f"{'; '.join(broken)}; {kept}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
