"""Pytest plugin: fixtures with the whole suite, started once for all tests that ask for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ghostback.sync import SyncClient
    from ghostback.testing import RunningSuite


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which suite is started."""
    group = parser.getgroup("ghostback-suite", "a suite of Ghostback's services for tests")
    group.addoption(
        "--ghostback-checkout",
        type=Path,
        metavar="FOLDER",
        help="checkout of the suite, made ready by `make setup` (default: $GHOSTBACK_CHECKOUT, or as installed here)",
    )
    group.addoption(
        "--ghostback-plays", type=int, default=12, metavar="N", help="plays of the simulated game in it (default: 12)"
    )


@pytest.fixture(scope="session")
def ghostback_suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["RunningSuite"]:
    """The running suite, with a simulated game in it."""
    from ghostback.testing import running_suite

    plays, checkout = (request.config.getoption(f"--ghostback-{name}") for name in ("plays", "checkout"))
    with running_suite(tmp_path_factory.mktemp("ghostback"), plays, checkout) as suite:
        yield suite


@pytest.fixture(scope="session")
def ghostback_client(ghostback_suite: "RunningSuite") -> Iterator["SyncClient"]:
    """A client of the running suite, without asyncio."""
    from ghostback.sync import SyncClient

    with SyncClient(ghostback_suite.addresses) as client:
        yield client
