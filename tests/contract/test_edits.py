"""The checks of the contract are checked: edits that break consumers are caught, and harmless ones are not."""

import shutil
from pathlib import Path

import pytest

from protos import compatibility
from protos.images import PROTOS, compile_protos
from tests.contract.edits import BREAKING, HARMLESS, UNSEEN, Edit
from tests.contract.exchange import differences


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_protos(PROTOS, tmp_path_factory.mktemp("image") / "1.binpb")


def caught(edit: Edit, image: Path, folder: Path) -> dict[str, set[str]]:
    """What an edit breaks, by the check that found it."""
    edited = edited_image(edit, folder)
    found = {
        "buf": {layer for finding in compatibility.breaking(edited, image) for layer in finding.breaks},
        "messages": {layer for layer, _ in differences(image, edited)},
        "units": {layer for finding in compatibility.units_changed(edited, image) for layer in finding.breaks},
    }
    return {check: layers for check, layers in found.items() if layers}


def edited_image(edit: Edit, folder: Path) -> Path:
    shutil.copytree(PROTOS / "ghostback", folder / "ghostback")
    edit.apply(folder)
    return compile_protos(folder, folder / "2.binpb")


@pytest.mark.parametrize("edit", BREAKING, ids=lambda edit: edit.name)
def test_an_edit_that_breaks_consumers_is_caught(edit: Edit, image: Path, tmp_path: Path) -> None:
    found = caught(edit, image, tmp_path)
    assert found.keys() == set(edit.caught.split())
    assert found.get("messages", set()) <= set(edit.breaks.split())


def test_every_edit_that_breaks_the_wire_is_caught() -> None:
    wire = [edit for edit in BREAKING if "wire" in edit.breaks]
    assert len(wire) >= 20
    assert all(edit.caught for edit in wire)


@pytest.mark.parametrize("edit", HARMLESS, ids=lambda edit: edit.name)
def test_a_harmless_edit_passes(edit: Edit, image: Path, tmp_path: Path) -> None:
    assert caught(edit, image, tmp_path) == {}


@pytest.mark.parametrize("edit", UNSEEN, ids=lambda edit: edit.name)
def test_what_no_check_sees(edit: Edit, image: Path, tmp_path: Path) -> None:
    assert caught(edit, image, tmp_path) == {}
