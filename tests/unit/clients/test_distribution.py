"""What comes with the client, and what does not."""

import subprocess
import sys
from importlib.metadata import distribution

from packaging.requirements import Requirement

HEAVY = {
    "torch",
    "lightgbm",
    "scikit-learn",
    "scipy",
    "tritonclient",
    "sqlalchemy",
    "ghostback-suite",
    "ghostback-models",
}


def requirements(name: str, found: set[str]) -> set[str]:
    """Names of all distributions that come with one that has no extras."""
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.name not in found and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
            found.add(requirement.name)
            requirements(requirement.name, found)
    return found


def test_the_client_comes_without_servers_and_without_anything_to_train_with() -> None:
    assert "grpcio" in requirements("ghostback", set())
    assert not requirements("ghostback", set()) & HEAVY


def test_the_client_is_imported_without_servers_and_without_polars() -> None:
    code = "import sys, ghostback.client, ghostback.sync, ghostback.feed; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "numpy" in modules
    assert not {"services", "polars", "torch", "lightgbm", "opentelemetry"} & set(modules)
