"""The contract keeps its form, and a change that breaks consumers is refused."""

import re
import site
import subprocess
import sys
from pathlib import Path

import pytest

from ghostback.tracking.v1 import error_reason_pb2

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
BUF = Path(sys.executable).with_name("buf")


def image_of(protos: Path, image: Path) -> Path:
    """Compile the protos of a folder with everything they import."""
    files = sorted(path.relative_to(protos).as_posix() for path in protos.glob("ghostback/**/*.proto"))
    includes = [f"-I{protos}", *(f"-I{folder}" for folder in site.getsitepackages())]
    flags = ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *flags, *files], check=True)
    return image


def buf(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_of(PROTOS, tmp_path_factory.mktemp("image") / "image.binpb")


def breaking(image: Path, against: Path) -> subprocess.CompletedProcess[str]:
    return buf("breaking", image, "--against", against, "--config", PROTOS / "buf.yaml", "--path", "ghostback")


def test_protos_are_lint_clean(image: Path) -> None:
    result = buf("lint", image, "--config", PROTOS / "buf.yaml", "--path", "ghostback")
    assert result.returncode == 0, result.stdout


def test_protos_are_formatted() -> None:
    result = buf("format", PROTOS, "--diff", "--exit-code")
    assert result.returncode == 0, result.stdout


def test_nothing_breaks_consumers_of_the_previous_commit(image: Path, tmp_path: Path) -> None:
    archive = subprocess.run(["git", "archive", "HEAD~1", "protos"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("there is no previous commit with protos")
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    result = breaking(image, image_of(tmp_path / "protos", tmp_path / "previous.binpb"))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("tracking/v1/samples.proto", "repeated float x = 4;", "repeated float x = 11;"),
        ("tracking/v1/samples.proto", "repeated sfixed32 frame = 3;", "repeated sfixed64 frame = 3;"),
        ("tracking/v1/play.proto", "string offense_team = 4;", "string team = 4;"),
        ("tracking/v1/error_reason.proto", "ERROR_REASON_PLAY_UNKNOWN = 12;", "ERROR_REASON_NO_PLAY = 12;"),
        ("ingest/v1/ingest_service.proto", "returns (stream StreamTagsResponse)", "returns (StreamTagsResponse)"),
    ],
)
def test_a_breaking_edit_is_caught(image: Path, tmp_path: Path, file: str, before: str, after: str) -> None:
    subprocess.run(["cp", "-r", PROTOS, tmp_path / "protos"], check=True)
    edited = tmp_path / "protos" / "ghostback" / file
    text = edited.read_text()
    assert before in text
    edited.write_text(text.replace(before, after))
    assert breaking(image_of(tmp_path / "protos", tmp_path / "edited.binpb"), image).returncode != 0


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
