"""Plugins are checked before use, and one that is broken never stops the others."""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import ghostback_models.live.scene_transformer as built_in
from services.common.errors import FailedPrecondition, NotFound
from services.features.feature_sets import FEATURE_SETS
from services.predict import registry, repository
from services.predict.registry import Registry, State
from services.predict.rollouts import drift
from services.predict.rollouts.tally import Tally
from tests.plugins import entry_points, plugin, sha256

BUILT_IN = Path(next(iter(built_in.__path__)))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of plugin packages that can be found."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("plugin_")]:
        del sys.modules[name]


def add(plugins: Path, name: str, *edits: tuple[str, str]) -> EntryPoint:
    """A copy of the built-in plugin with its manifest edited; importing it would fail."""
    folder = plugins / name
    shutil.copytree(BUILT_IN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "__init__.py").write_text("raise RuntimeError('a plugin is not imported to be checked')")
    text = (folder / "manifest.toml").read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / "manifest.toml").write_text(text)
    return EntryPoint(name, name, registry.GROUP)


def discover(*points: EntryPoint) -> Registry:
    return registry.discover(FEATURE_SETS, points)


def test_the_built_in_model_is_found_and_whole() -> None:
    version = registry.discover(FEATURE_SETS).get("ghosting", "2.0.0")
    assert (version.state, version.problem) == (State.VERIFIED, "")
    assert version.distribution == "ghostback-models 0.1.0"


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (('file = "model.onnx"', 'file = "other.onnx"'), "other.onnx cannot be read"),
        (('feature_set = "ghosting-scene-live@2"', 'feature_set = "new@7"'), "needs feature set new@7"),
        (('feature_set_digest = "', 'feature_set_digest = "' + 64 * "0" + '"\n#'), "the digests differ"),
    ],
)
def test_a_version_that_cannot_work_is_listed_as_failed(plugins: Path, edit: tuple[str, str], problem: str) -> None:
    found = discover(add(plugins, "plugin_a", edit), add(plugins, "plugin_b", ('"2.0.0"', '"2.1.0"')))
    assert problem in found.get("ghosting", "2.0.0").problem
    assert found.usable("ghosting")[-1].id == "ghosting-2.1.0"


def test_an_artifact_that_was_changed_is_refused(plugins: Path) -> None:
    point = add(plugins, "plugin_a")
    with (plugins / "plugin_a" / "model.onnx").open("ab") as artifact:
        artifact.write(b"x")
    assert "model.onnx has SHA-256" in discover(point).get("ghosting", "2.0.0").problem


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (('version = "2.0.0"', 'version = "one"'), "'one' is not a PEP 440 version"),
        (('file = "model.onnx"', 'file = "../model.onnx"'), "must be a file of the plugin's own folder"),
        (("sha256 = ", "#"), "artifact.sha256: Field required"),
        (('dtype = "FP32"', 'dtype = "BYTES"'), "inputs.0.dtype"),
        (('name = "ghosting"', 'name = "ghosting"\nextra = 1'), "extra: Extra inputs are not permitted"),
        (('name = "ghosting"', "name = "), "is not TOML"),
    ],
)
def test_a_manifest_out_of_form_is_refused_with_the_reason(plugins: Path, edit: tuple[str, str], problem: str) -> None:
    found = discover(add(plugins, "plugin_a", edit), add(plugins, "plugin_b", ('"2.0.0"', '"2.1.0"')))
    assert list(found.versions) == ["ghosting-2.1.0"]
    assert problem in found.broken["plugin_a of unknown distribution"]


def test_a_package_that_is_not_there_is_refused() -> None:
    found = discover(EntryPoint("gone", "plugin_gone", registry.GROUP), EntryPoint("sub", "no.such", registry.GROUP))
    assert len(found.broken) == 2


def test_the_same_version_brought_twice_is_refused_in_both(plugins: Path) -> None:
    found = discover(add(plugins, "plugin_a"), add(plugins, "plugin_b"))
    assert "brought twice" in found.get("ghosting", "2.0.0").problem
    with pytest.raises(FailedPrecondition, match="brought twice"):
        found.usable("ghosting")[-1]


def test_the_highest_version_is_chosen_by_number_and_not_by_letter(plugins: Path) -> None:
    versions = ["1.9.0", "1.10.0", "1.10.0rc1"]
    points = [add(plugins, f"plugin_{i}", ('"2.0.0"', f'"{v}"')) for i, v in enumerate(versions)]
    assert discover(*points).usable("ghosting")[-1].id == "ghosting-1.10.0"


def test_what_is_not_there_is_told() -> None:
    found = registry.discover(FEATURE_SETS)
    with pytest.raises(NotFound, match=r"there are ghosting-0\.1\.0"):
        found.get("ghosting", "7")
    with pytest.raises(NotFound, match="no model 'other'"):
        found.usable("other")


def test_the_repository_is_what_triton_reads(tmp_path: Path) -> None:
    version = registry.discover(FEATURE_SETS).get("ghosting", "2.0.0")
    for _ in range(2):
        repository.write(tmp_path, version)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "ghosting-2.0.0/1/model.onnx",
        "ghosting-2.0.0/config.pbtxt",
    ]
    config = (tmp_path / "ghosting-2.0.0" / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in config
    assert "kind" not in config
    assert (tmp_path / "ghosting-2.0.0" / "1" / "model.onnx").read_bytes() == version.artifact.read_bytes()


def test_a_plugin_may_bring_counts_of_the_inputs_it_was_trained_on(plugins: Path) -> None:
    counts = {"3.0": Tally(calls=1, inputs={"receiver": (1.0,) * drift.BINS * 4}), "3.1": Tally(calls=1), "3.2": None}
    for version, tally in counts.items():
        made = plugin(version)
        if tally:
            made.files["counts.json"] = tally.model_dump_json().encode()
            made.manifest["training_inputs"] = {"file": "counts.json", "sha256": sha256(made.files["counts.json"])}
        made.install(plugins, f"plugin_{version[-1]}", f"models-{version[-1]}")
    found = discover(*entry_points(plugins))
    assert [found.get("ghosting", version).training for version in ("3.0", "3.2")] == [counts["3.0"], None]
    problem = "counts.json does not have 25 bins for each entry of receiver"
    assert found.get("ghosting", "3.1").problem == problem
