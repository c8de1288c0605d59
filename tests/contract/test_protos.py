"""The contract keeps its form."""

import re
import subprocess
from pathlib import Path

import pytest

from ghostback.tracking.v1 import error_reason_pb2
from protos.compatibility import BUF, CONFIG
from protos.images import PROTOS, compile_protos

ROOT = PROTOS.parent


def buf(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_protos(PROTOS, tmp_path_factory.mktemp("image") / "image.binpb")


def test_protos_are_lint_clean(image: Path) -> None:
    result = buf("lint", image, "--config", CONFIG, "--path", "ghostback")
    assert result.returncode == 0, result.stdout


def test_protos_are_formatted() -> None:
    result = buf("format", PROTOS, "--diff", "--exit-code")
    assert result.returncode == 0, result.stdout


def test_every_method_names_its_errors() -> None:
    for path in PROTOS.glob("ghostback/**/*_service.proto"):
        for comment, method in re.findall(r"((?:  //.*\n)+)  rpc (\w+)", path.read_text()):
            assert "Errors include:" in comment, f"{path.name}: {method}"


def test_every_reason_in_the_code_is_in_the_contract() -> None:
    errors = (
        "InvalidInput|NotFound|FailedPrecondition|ResourceExhausted|Unavailable|DeadlineExceeded|Aborted"
        "|PermissionDenied|InvalidMessage"
    )
    known = {value.name.removeprefix("ERROR_REASON_") for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values}
    used = set()
    for folder in ("services", "clients/python"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(rf'(?:{errors})\(\s*"([A-Z_]+)"', path.read_text()))
    assert used
    assert used <= known
