"""The whole suite for anyone's tests: the four services and Triton on free ports, with a simulated game in them.

With pytest there is nothing to import: `ghostback.testing_plugin` brings the fixtures.

    def test_a_ghost_for_every_defender(ghostback_client, ghostback_suite):
        plays = list(ghostback_client.list_plays(ghostback_suite.game))
        ...
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ghostback.results import Addresses

CHECKOUT = "GHOSTBACK_CHECKOUT"
_STOP_SECONDS = 60.0


class SuiteError(RuntimeError):
    """The suite is not to be found or did not start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RunningSuite:
    """A suite that runs.

    Attributes:
        addresses: where the services listen.
        triton: where Triton's gRPC endpoint listens.
        game: name of the simulated game in it; empty without one.
        folder: its database, models and logs.
    """

    addresses: Addresses
    triton: str
    game: str
    folder: Path


@contextmanager
def running_suite(folder: Path, plays: int = 12, checkout: Path | None = None) -> Iterator[RunningSuite]:
    """Start the suite, and stop it at the end.

    Args:
        folder: where it keeps its database, its models and its logs.
        plays: plays of the simulated game that is streamed into it, always the same; 0 for none.
        checkout: the suite's checkout, in which `make setup` made `.venv` and `.venv-triton`. By default that of
            the environment variable GHOSTBACK_CHECKOUT, or the one that is installed in this environment.

    Raises:
        SuiteError: there is no suite, or it did not start.
    """
    python, home = _installation(checkout)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.absolute() / "suite.log"
    command = [python, "-m", "deploy.local", "--json", f"--folder={folder.absolute()}", f"--simulate={plays}"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
    assert process.stdout is not None  # noqa: S101
    try:
        with process.stdout as output:
            line = output.readline()
            if not line:
                raise SuiteError(f"the suite did not start; {log} says:\n{log.read_text().strip()[-2000:]}")
            told = json.loads(line)
            triton, game = told.pop("triton"), told.pop("game")
            yield RunningSuite(Addresses(**told), triton, game, folder)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _installation(checkout: Path | None) -> tuple[str, Path]:
    """The interpreter that has the suite, and the folder it is in."""
    named = checkout or (Path(os.environ[CHECKOUT]) if CHECKOUT in os.environ else None)
    if named:
        python = named.absolute() / ".venv/bin/python"
        if not python.exists():
            raise SuiteError(f"there is no {python}; run `make setup` in {named}")
        return str(python), named
    found = importlib.util.find_spec("deploy")
    for place in found.submodule_search_locations or () if found else ():
        if (Path(place) / "local").is_dir():
            return sys.executable, Path(place).parent
    raise SuiteError(f"the suite is not installed in this environment; name its checkout with {CHECKOUT}")
