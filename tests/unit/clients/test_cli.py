"""The command `ghostback` where no suite runs."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import typer
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from typer.core import TyperGroup

from ghostback.channels import Security, Tls
from ghostback.cli import failures, suite
from ghostback.cli.__main__ import COMMANDS
from ghostback.cli.failures import CommandError
from ghostback.client import Addresses
from ghostback.contract.document import SERVERS

DOCUMENT = Path(__file__).parents[3] / "docs" / "command.md"


def run(*arguments: str, folder: Path, variables: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ghostback.cli", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **(variables or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def commands() -> Iterator[tuple[str, Any]]:
    for name, (module, _) in COMMANDS.items():
        command = typer.main.get_command(import_module(f"ghostback.cli.{module}").app)
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {each}", below) for each, below in command.commands.items())
        else:
            yield name, command


def failed(code: grpc.StatusCode, said: str, *details: Any) -> grpc.aio.AioRpcError:
    status = status_pb2.Status(code=code.value[0], message=said)
    for each in details:
        packed = any_pb2.Any()
        packed.Pack(each)
        status.details.append(packed)
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing if details else grpc.aio.Metadata(), said)


def test_help_is_quick_as_it_loads_neither_grpc_nor_numpy(tmp_path: Path) -> None:
    code = "import sys\nsys.argv = ['ghostback', '--help']\nfrom ghostback.cli.__main__ import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n"
    code += "    print(sorted({'grpc', 'numpy', 'polars', 'google'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in COMMANDS)


def test_the_help_of_every_command_has_an_example_of_it() -> None:
    without = [name for name, each in commands() if f"Example: ghostback {name}" not in (each.help or "")]
    assert without == []
    assert [about for _, about in COMMANDS.values() if "Example: ghostback " not in about] == []


def test_the_documentation_names_every_command_and_every_exit_code() -> None:
    text = DOCUMENT.read_text()
    assert [name for name, _ in commands() if f"ghostback {name}" not in text] == []
    codes = (0, failures.FAILED, failures.USAGE, failures.UNREACHABLE, failures.FORBIDDEN, failures.INTERRUPTED)
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(code) for code in codes]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["plays", "list"], 3, "start one with `ghostback up`, or give --ingest HOST:PORT"),
        (["score", "play", "1/2", "--ghosts", "--score", "x:1"], 3, "or give --predict HOST:PORT"),
        (["plays", "list", "--ingest", "127.0.0.1:1"], 3, "Connection refused; is the suite up?"),
        (["predict", "2024091500"], 2, "'2024091500' is no play; give GAME/PLAY, such as 2024091500/55"),
        (["plays", "watch", "a game"], 2, "'a game' is no game; give its id"),
        (["import", "nowhere", "--ingest", "127.0.0.1:1"], 1, "nowhere is not a folder"),
        (["--certificate", "own.pem", "plays", "list", "--ingest", "x:1"], 2, "give both or neither"),
        (["--certificate", "own.pem", "contract", "verify", "--target", "x:1"], 2, "give both or neither"),
        (["contract", "verify", "--suite"], 2, "no contract is at contracts"),
        (["--ca", "nowhere.pem", "plays", "list"], 2, "nowhere.pem"),
        (["play"], 2, "Did you mean"),
    ],
)
def test_what_goes_wrong_is_one_sentence_with_the_next_step(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "own.pem").write_text("")
    got, out, errors = run(*arguments, folder=tmp_path)
    assert (got, out) == (code, ""), errors
    assert said in errors
    if not errors.startswith("Usage"):
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1


def test_a_client_without_the_suite_says_where_to_get_it(tmp_path: Path) -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder
class Without(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("deploy", "simulator"):
            raise ModuleNotFoundError(name)
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [each for each in sys.path if "site-packages" in each or "python3" in each]
sys.path.append(sys.argv.pop(1))
from ghostback.cli.__main__ import main
main()
"""
    client = Path(suite.__file__).parents[2]
    for command in ("up", "simulate"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(client), command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "is not installed" in done.stderr
        assert f"run `make setup` in a checkout of Ghostback and then .venv/bin/ghostback {command}" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            failed(grpc.StatusCode.NOT_FOUND, "there is no play X", error_details_pb2.ErrorInfo(reason="PLAY_UNKNOWN")),
            1,
            "there is no play X; `ghostback plays list GAME` lists the plays of a game",
        ),
        (
            failed(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "too many calls",
                error_details_pb2.ErrorInfo(reason="TOO_MANY_CALLS"),
                error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=500_000_000)),
            ),
            1,
            "too many calls; try again in 0.5 s",
        ),
        (
            failed(grpc.StatusCode.UNAVAILABLE, "locked", error_details_pb2.ErrorInfo(reason="STORAGE_UNAVAILABLE")),
            3,
            "locked; `ghostback doctor` tells what is wrong",
        ),
        (
            failed(grpc.StatusCode.UNAUTHENTICATED, "no identity."),
            4,
            "no identity; say who you are with --certificate and --key, or --token-file",
        ),
        (failed(grpc.StatusCode.INTERNAL, "a defect"), 1, "a defect"),
    ],
)
def test_what_a_service_says_is_told_with_the_next_step(error: grpc.aio.AioRpcError, code: int, said: str) -> None:
    told = failures.told(error)
    assert told is not None
    assert (told.code, str(told)) == (code, said)


def test_a_defect_of_the_command_is_not_hidden() -> None:
    assert failures.told(ZeroDivisionError()) is None


def test_addresses_given_go_before_those_of_the_suite_in_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "suite.json"
    with pytest.raises(CommandError, match="or give --predict HOST:PORT"):
        suite.addresses({"ingest": "a:1", "predict": ""}, file)
    assert suite.addresses({"ingest": "a:1"}, file) == Addresses(ingest="a:1")
    file.write_text(json.dumps({"pid": 1, "triton": "t:1"} | {name: f"{name}:1" for name in SERVERS}))
    both = suite.addresses({"ingest": "a:1", "predict": ""}, file)
    assert (both.ingest, both.predict) == ("a:1", "predict:1")


def test_files_of_tls_and_token_come_from_options_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    monkeypatch.setenv("GHOSTBACK_TOKEN_FILE", str(token))
    renewed = suite.security().token
    assert renewed is not None
    assert renewed() == "first"
    token.write_text("second\n")
    assert renewed() == "second"


@pytest.mark.parametrize(
    ("variable", "value", "tls"),
    [
        ("GHOSTBACK_TLS", "true", Tls()),
        ("GHOSTBACK_TLS", "false", None),
        ("GHOSTBACK_SERVER_NAME", "suite.test", Tls(server_name="suite.test")),
        ("GHOSTBACK_CA", "ca.pem", Tls(Path("ca.pem"))),
    ],
)
def test_what_is_said_of_tls_means_tls(
    variable: str, value: str, tls: Tls | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert suite.security() == Security(tls)


def test_doctor_tells_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    broken = tmp_path / ".run" / "ingest.db"
    broken.parent.mkdir()
    broken.write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    with sqlite3.connect(tmp_path / ".run" / "predict.db") as connection:
        connection.execute("create table t (x)")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / ".run" / "suite.json").write_text(json.dumps({"pid": gone.pid}))
    code, out, errors = run("doctor", "--json", folder=tmp_path)
    assert code == 1, errors
    found = json.loads(out)
    checks = {each["check"]: each for each in found["checks"]}
    assert not found["well"]
    wrong = {name for name, each in checks.items() if each["state"] == "wrong"}
    assert wrong == {"triton", "database ingest.db", "suite"}
    assert checks["database predict.db"]["state"] == "ok"
    assert "make setup" in checks["triton"]["cure"]
    assert f"process {gone.pid} is gone" in checks["suite"]["found"]
    assert [name for name in wrong if not checks[name]["cure"]] == []
    assert {"python", "versions", "processors", "disk", "clock", "system", "libpython", "ports"} <= checks.keys()


def test_doctor_tells_of_a_port_that_is_taken_and_a_database_that_is_away(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ("--port", str(port), "--database-url", "postgresql+psycopg://nobody@127.0.0.1:1/none")
        code, out, _ = run("doctor", *flags, folder=tmp_path)
    assert code == 1
    lines = out.splitlines()
    assert f"wrong    port {port}" in out
    assert "cannot be listened on: Address already in use" in out
    away = next(i for i, line in enumerate(lines) if line.startswith("wrong    database postgresql+psycopg"))
    assert "Connection refused" in lines[away]
    assert "to do: start the database" in lines[away + 1]


def test_shells_complete_commands_and_those_below(tmp_path: Path) -> None:
    def complete(words: str, position: int) -> set[str]:
        variables = {"_PYTHON_M_GHOSTBACK_CLI_COMPLETE": "complete_bash", "_GHOSTBACK_COMPLETE": "complete_bash"}
        done = subprocess.run(
            [Path(sys.executable).with_name("ghostback")],
            env={"PATH": "/usr/bin", "COMP_WORDS": words, "COMP_CWORD": str(position), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return set(done.stdout.split())

    assert complete("ghostback pl", 1) == {"plays"}
    assert complete("ghostback plays ", 2) == {"list", "show", "quality", "watch"}
