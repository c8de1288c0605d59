"""Pytest plugin: the contracts in folders named `contracts` are tests, one for each interaction.

They are held against the installed stubs, and with `--ghostback-target` against running servers too.
"""

import asyncio
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ghostback.contract.matching import Finding, Outcome

FOLDER = "contracts"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say where servers listen and what they are asked about."""
    group = parser.getgroup("ghostback", "contracts of consumers of Ghostback")
    group.addoption(
        "--ghostback-target",
        action="append",
        default=[],
        metavar="[SERVER=]HOST:PORT",
        help="hold contracts against this server too; may be given for each of ingest, features, predict, score",
    )
    group.addoption(
        "--ghostback-set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of contracts, such as play=games/1/plays/2; what is left out is looked up in ingest",
    )
    group.addoption("--ghostback-simulate", action="store_true", help="stream a small simulated game into ingest first")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ContractFile | None":
    """Take YAML files that lie in, or below, a folder named `contracts`."""
    root = parent.config.rootpath
    folders = file_path.relative_to(root).parts if file_path.is_relative_to(root) else file_path.parts
    if file_path.suffix == ".yaml" and FOLDER in folders[:-1]:
        return ContractFile.from_parent(parent, path=file_path)
    return None


class ContractFile(pytest.File):
    """A contract."""

    def collect(self) -> Iterator["InteractionItem"]:
        """An item for each interaction.

        Raises:
            pytest.Collector.CollectError: the file is no contract.
        """
        from ghostback.contract import document

        try:
            self._contract = document.read(self.path)
        except document.ContractError as error:
            raise self.CollectError(str(error)) from None
        for i, interaction in enumerate(self._contract.interactions):
            yield InteractionItem.from_parent(self, name=interaction.name, index=i)

    @cached_property
    def outcomes(self) -> "list[Outcome]":
        """What came of each interaction; all are run at the first look, since one may pass values on to the next."""
        from ghostback.contract import descriptors, offline, servers

        pool = descriptors.of_stubs()
        options = self.config.option
        addresses = servers.addresses(options.ghostback_target)
        if not addresses:
            return offline.verify(self._contract, pool)
        from ghostback.contract import live, state

        given = state.values(options.ghostback_set)
        targets = servers.Targets(addresses, servers.security(os.environ))
        return asyncio.run(live.verify([self._contract], pool, targets, given, options.ghostback_simulate))[0]


class InteractionItem(pytest.Item):
    """An interaction of a contract."""

    def __init__(self, index: int, **kwargs: Any) -> None:
        """Make one.

        Args:
            index: its number in the contract.
            kwargs: what pytest gives.
        """
        super().__init__(**kwargs)
        self._index = index

    def runtest(self) -> None:
        """Fail where the contract is broken.

        Raises:
            Broken: it is broken.
        """
        file = self.parent
        assert isinstance(file, ContractFile)  # noqa: S101
        findings = file.outcomes[self._index].findings
        if findings:
            raise Broken(findings)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """The differences, or the sentence that says why it could not be checked."""
        from ghostback.contract import matching
        from ghostback.contract.document import ContractError

        if isinstance(excinfo.value, Broken):
            return matching.told(excinfo.value.findings)
        return str(excinfo.value) if isinstance(excinfo.value, ContractError) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is, for reports."""
        return self.path, None, self.name


class Broken(Exception):
    """An interaction is not as the consumer relies on it."""

    def __init__(self, findings: "list[Finding]") -> None:
        """Keep what was found."""
        super().__init__(findings)
        self.findings = findings
