"""The images and the compose file."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
SERVICES = ("ingest", "features", "predict", "score")


@pytest.mark.parametrize("service", SERVICES)
def test_a_dockerfile_is_lint_clean(service: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run(
        [hadolint, DEPLOY / "docker" / f"{service}.Dockerfile"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_compose_builds_every_service_from_a_file_that_is_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in SERVICES:
        build = compose["services"][service]["build"]
        assert (
            DEPLOY / build["context"] / build["dockerfile"]
        ).resolve() == DEPLOY / "docker" / f"{service}.Dockerfile"


def test_compose_names_only_settings_that_the_services_have() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in SERVICES:
        module = subprocess.run(
            [sys.executable, "-m", f"services.{service}", "--help"], capture_output=True, text=True, check=True
        )
        for name in compose["services"][service]["environment"]:
            assert "--" + name.removeprefix("GHOSTBACK_").lower().replace("_", "-") in module.stdout


def test_a_service_reads_its_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.score.__main__ import ScoreSettings

    monkeypatch.setenv("GHOSTBACK_INGEST", "ingest:8443")
    monkeypatch.setenv("GHOSTBACK_PREDICT", "predict:8443")
    monkeypatch.setenv("GHOSTBACK_HOST", "0.0.0.0")  # noqa: S104
    settings = ScoreSettings()  # type: ignore[call-arg]
    assert (settings.ingest, settings.predict, settings.host) == ("ingest:8443", "predict:8443", "0.0.0.0")  # noqa: S104
