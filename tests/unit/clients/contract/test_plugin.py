"""The pytest plugin, as a consumer's own run of pytest has it."""

import subprocess
import sys
from pathlib import Path

import pytest

KEPT = """
consumer: overlay
interactions:
  - name: ghosts have paths
    call: ghostback.predict.v1.PredictService/PredictGhosts
    request: {source: {name: games/1/plays/2}}
    response: {"ghosts[*].path.x": {type: repeated float}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "ghosts.yaml").write_text(KEPT)
    (tmp_path / "other.yaml").write_text("not: a contract")
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout


def test_contracts_of_a_folder_are_tests_and_no_other_file_is(folder: Path) -> None:
    code, output = run(folder)
    assert code == 0, output
    assert "1 passed" in output


def test_a_broken_one_fails_with_the_difference(folder: Path) -> None:
    (folder / "contracts" / "ghosts.yaml").write_text(KEPT.replace("path.x", "route.x"))
    code, output = run(folder)
    assert code == 1
    assert "response.ghosts[*].route.x" in output
    assert "ghostback.tracking.v1.Ghost has no field route" in output
    assert "Traceback" not in output


def test_a_file_that_is_no_contract_is_an_error_that_says_why(folder: Path) -> None:
    (folder / "contracts" / "ghosts.yaml").write_text("consumer: overlay")
    code, output = run(folder)
    assert code == 2
    assert "is no contract: interactions: Field required" in output


def test_a_server_that_does_not_answer_is_said_in_a_sentence(folder: Path) -> None:
    code, output = run(folder, "--ghostback-target=predict=127.0.0.1:1")
    assert code == 1
    assert "predict does not answer at 127.0.0.1:1" in output
