"""A third party's plugin: scaffolded, trained, built, installed into a running suite, served, and uninstalled."""

import asyncio
import json
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.suite import Suite, running
from ghostback.client import Client
from ghostback.play import Play
from simulator.game import simulate_game

ROOT = Path(__file__).parents[2]
GHOSTBACK = Path(sys.executable).with_name("ghostback")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@dataclass(frozen=True)
class Environment:
    """A running suite, the Python environment it runs in, and a folder to work in."""

    suite: Suite
    client: Client
    python: Path
    folder: Path

    async def ghostback(self, *arguments: str, code: int = 0) -> str:
        """What the command says when it ends with an exit code."""
        done = await asyncio.to_thread(
            subprocess.run, [GHOSTBACK, *arguments], capture_output=True, text=True, cwd=self.folder, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    async def run(self, *command: str | Path, cwd: Path | None = None) -> None:
        """Run a command to its end."""
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, cwd=cwd or self.folder, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
async def environment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Environment]:
    folder = tmp_path_factory.mktemp("third-party")
    venv.create(folder / "venv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(next((folder / "venv" / "lib").glob("python3*/site-packages"))))
        async with running(folder / ".run", ROOT / ".venv-triton") as suite, Client(suite.addresses) as client:
            patch.undo()
            yield Environment(suite, client, folder / "venv" / "bin" / "python", folder)


@pytest.fixture(scope="module")
def play() -> Play:
    return next(play for play in simulate_game(31, 6).plays if play.forward_pass)


async def test_a_scaffolded_plugin_is_built_installed_served_and_uninstalled_while_the_suite_runs(
    environment: Environment, play: Play
) -> None:
    assert "python train.py" in await environment.ghostback("models", "new", "acme-ghosting")
    project = environment.folder / "acme-ghosting"
    await environment.run(sys.executable, "train.py", cwd=project)
    await environment.run(sys.executable, "-m", "pytest", "tests", "--override-ini=asyncio_mode=auto", cwd=project)
    await environment.run(
        Path(sys.executable).with_name("ruff"), "check", "--line-length=120", "--select=E,F,I,N,UP,W,B", project
    )
    offline = ("--no-index", "--no-deps")
    await environment.run(*PIP, "wheel", *offline, "--no-build-isolation", "--wheel-dir=dist", "./acme-ghosting")
    (wheel,) = (environment.folder / "dist").glob("acme_ghosting-0.1.0-*.whl")
    pids = {name: process.pid for name, process in environment.suite.processes.items()}
    await environment.run(*PIP, f"--python={environment.python}", "install", *offline, wheel)
    await environment.ghostback("models", "rescan")
    prediction = await environment.client.predict_ghosts(play, model="models/acme-ghosting")
    assert prediction.model_version == "models/acme-ghosting/versions/0.1.0"
    assert prediction.ghosts
    listed = json.loads(await environment.ghostback("models", "list", "acme-ghosting", "--json"))
    (version,) = listed["model_versions"]
    assert version["distribution"] == "acme-ghosting 0.1.0"
    assert version["state"] == "MODEL_VERSION_STATE_READY"
    await environment.run(*PIP, f"--python={environment.python}", "uninstall", "--yes", "acme-ghosting")
    await environment.ghostback("models", "rescan")
    assert "no model 'acme-ghosting'" in await environment.ghostback("models", "list", "acme-ghosting", code=1)
    assert (await environment.client.predict_ghosts(play)).ghosts
    assert pids == {name: process.pid for name, process in environment.suite.processes.items()}
    assert all(process.returncode is None for process in environment.suite.processes.values())


async def test_a_model_version_is_looked_at_loaded_and_unloaded_by_command(environment: Environment) -> None:
    listed = await environment.ghostback("models", "list")
    assert len(listed.splitlines()) > 10
    shown = await environment.ghostback("models", "show", "ghosting", "2.0.0")
    assert "featureSets" not in shown
    for line in ("state            ready", "feature set      ghosting-scene-live@", "displacement [11, 40, 2]"):
        assert line in shown
    for command, state in (("load", "ready"), ("unload", "verified"), ("reload", "ready"), ("unload", "verified")):
        told = await environment.ghostback("models", command, "ghosting", "0.1.0")
        assert f"state            {state}" in told, command


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("show", "ghosting", "7"), 1, "there is no version '7' of model 'ghosting'; there are ghosting-0.1.0"),
        (("list", "--predict=127.0.0.1:1"), 3, "is the suite up? `ghostback up` starts one"),
        (("new", "Acme"), 1, "'Acme' is no name of a model; use small letters"),
        (("new", "venv"), 1, "venv is there already; name another folder with --into"),
        (("new", "acme", "--features=127.0.0.1:1"), 3, "is the suite up?"),
    ],
)
async def test_what_goes_wrong_is_told_in_a_sentence_with_the_next_step(
    environment: Environment, arguments: tuple[str, ...], code: int, error: str
) -> None:
    told = await environment.ghostback("models", *arguments, code=code)
    assert told.startswith("error: ")
    assert error in told
    assert len(told.strip().splitlines()) == 1


async def test_without_a_suite_the_command_says_how_to_start_one(environment: Environment, tmp_path: Path) -> None:
    elsewhere = Environment(environment.suite, environment.client, environment.python, tmp_path)
    told = await elsewhere.ghostback("models", "list", code=3)
    assert told.startswith("error: no suite runs in this folder")
    assert "--predict HOST:PORT" in told


async def test_every_command_has_an_example(environment: Environment) -> None:
    commands = ("list", "show", "load", "unload", "reload", "rescan", "new")
    for help_text in await asyncio.gather(*(environment.ghostback("models", each, "--help") for each in commands)):
        assert "Example: ghostback models" in " ".join(help_text.split())


def test_the_wheel_of_the_client_brings_the_scaffold(tmp_path: Path) -> None:
    built = [*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", f"--wheel-dir={tmp_path}"]
    subprocess.run([*built, ROOT / "clients" / "python"], check=True)
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "--list", next(tmp_path.glob("ghostback-*.whl"))],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for part in ("pyproject.toml", "train.py", "tests/test_plugin.py", "package/__init__.py"):
        assert f"ghostback/cli/plugin/{part}.tmpl" in listed
