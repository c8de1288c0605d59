"""Every way in which a plugin may be wrong is found before its code runs or Triton sees it."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.common.errors import FailedPrecondition
from services.features.feature_sets import FEATURE_SETS
from services.predict import registry
from services.predict.registry import Registry, State
from tests import plugins
from tests.plugins import Plugin, npz, plugin, random_inputs, sha256


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def discover(site: Path) -> Registry:
    return registry.discover(FEATURE_SETS, plugins.entry_points(site))


def table(made: Plugin, name: str) -> dict[str, object]:
    part = made.manifest[name]
    assert isinstance(part, dict)
    return part


def with_golden(made: Plugin, content: bytes) -> None:
    """Another golden example, with the digest that fits it."""
    made.files["golden.npz"] = content
    table(made, "golden")["sha256"] = sha256(content)


def test_a_sound_plugin_is_verified_and_none_of_its_code_runs(site: Path) -> None:
    folder = plugin("2.0.0").install(site, "a_parent.of.a_plugin")
    found = discover(site).get("ghosting", "2.0.0")
    assert (found.state, found.problem) == (State.VERIFIED, "")
    assert (found.folder, found.distribution) == (folder, "quick-models 0.1")
    assert not [name for name in sys.modules if name.startswith("a_parent")]


FAILED: dict[str, tuple[Callable[[Plugin], object], str]] = {
    "artifact missing": (lambda p: p.files.pop("model.onnx"), "model.onnx cannot be read: No such file"),
    "golden example changed": (lambda p: p.files.update({"golden.npz": b"other"}), "golden.npz has SHA-256"),
    "golden example is no npz": (lambda p: with_golden(p, b"PK not one"), "golden.npz is no npz file"),
    "golden example lacks the answer": (
        lambda p: with_golden(p, npz(random_inputs(("receiver",)), {})),
        "output.displacement is missing",
    ),
    "golden answer not finite": (
        lambda p: with_golden(
            p, npz(x := random_inputs(("receiver",)), {"displacement": plugins.follow(x)["displacement"] * np.nan})
        ),
        "golden.npz: output.displacement is not finite everywhere",
    ),
    "needs a newer Ghostback": (
        lambda p: p.manifest.update(minimum_ghostback="99.0"),
        "needs Ghostback 99.0 or newer, this is 0.1.0",
    ),
    "golden example of another shape": (
        lambda p: with_golden(p, npz(random_inputs(("receiver",)), {"displacement": random_inputs(("ball",))["ball"]})),
        "output.displacement is float32 of shape (3, 45, 3), must be float32 of shape (3, 40, 2)",
    ),
    "golden example without rows": (
        lambda p: with_golden(p, npz(none := random_inputs(("receiver",), 0), plugins.follow(none))),
        "must be float32 of shape (1, 45, 4)",
    ),
    "claims to be live": (lambda p: p.manifest.update(setting="live"), "says that it is live, but"),
    "takes what the feature set does not give": (
        lambda p: p.manifest.update(inputs=[{"name": "receiver", "dtype": "FP32", "shape": [45, 5]}]),
        "takes receiver [45, 5], which feature set ghosting-kinematics@2 does not give",
    ),
    "gives displacements of another length": (
        lambda p: p.manifest.update(outputs=[{"name": "displacement", "dtype": "FP32", "shape": [10, 2]}]),
        "must give displacement [40, 2]",
    ),
    "gives something else": (
        lambda p: p.manifest.update(outputs=[{"name": "place", "dtype": "FP32", "shape": [40, 2]}]),
        "must give displacement [40, 2]",
    ),
}


@pytest.mark.parametrize("case", FAILED)
def test_a_plugin_that_does_not_hold_together_is_listed_as_failed(case: str, site: Path) -> None:
    spoil, reason = FAILED[case]
    bad = plugin("3.0.0")
    spoil(bad)
    bad.install(site, "bad", "bad-models")
    plugin("2.0.0").install(site, "good")
    found = discover(site)
    assert found.get("ghosting", "3.0.0").state is State.FAILED
    assert reason in found.get("ghosting", "3.0.0").problem
    assert found.usable("ghosting")[-1].id == "ghosting-2.0.0"


BROKEN: dict[str, tuple[Callable[[Plugin], object], str]] = {
    "no digest of the golden example": (lambda p: table(p, "golden").pop("sha256"), "golden.sha256: Field required"),
    "no golden example": (lambda p: p.manifest.pop("golden"), "golden: Field required"),
    "the folder above": (lambda p: table(p, "artifact").update(file=".."), "must be a file of the plugin's own"),
    "an absolute file": (lambda p: table(p, "artifact").update(file="/etc/passwd"), "must be a file of the plugin's"),
    "shape of nothing": (
        lambda p: p.manifest.update(inputs=[{"name": "receiver", "dtype": "FP32", "shape": [0]}]),
        "inputs.0.shape.0: Input should be greater than 0",
    ),
    "no version": (
        lambda p: p.manifest.update(minimum_ghostback="new"),
        "minimum_ghostback: Value error, 'new' is not a",
    ),
    "made for a newer Ghostback's manifest": (
        lambda p: p.manifest.update(minimum_ghostback="99.0", something="new"),
        "manifest.toml: needs Ghostback 99.0 or newer, this is 0.1.0",
    ),
    "no instances": (
        lambda p: p.manifest.update(resources={"instances": 0}),
        "resources.instances: Input should be greater than 0",
    ),
    "another device": (lambda p: p.manifest.update(resources={"device": "tpu"}), "resources.device: Input should be"),
    "batches above the largest": (
        lambda p: p.manifest.update(batching={"preferred_sizes": [65]}),
        "batching.preferred_sizes are above max_batch_size 64",
    ),
    "not even text": (lambda p: p.files.update({"manifest.toml": b"\xff\xfe"}), "manifest.toml is not TOML"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_plugin_whose_manifest_is_broken_is_told_with_the_field(case: str, site: Path) -> None:
    spoil, reason = BROKEN[case]
    bad = plugin("3.0.0")
    spoil(bad)
    bad.install(site, "bad", "bad-models")
    plugin("2.0.0").install(site, "good")
    found = discover(site)
    assert list(found.broken) == ["bad of bad-models 0.1"]
    assert reason in found.broken["bad of bad-models 0.1"]
    assert found.usable("ghosting")[-1].id == "ghosting-2.0.0"


def test_an_entry_point_to_nothing_is_told(site: Path) -> None:
    (plugin().install(site, "gone") / "manifest.toml").unlink()
    plugin().install(site, "real")
    metadata = site / "quick_models-0.1.dist-info" / "entry_points.txt"
    metadata.write_text(metadata.read_text() + "nowhere=no_such_package.at_all\nattribute=real:thing\n")
    found = discover(site)
    assert found.broken == {
        "gone of quick-models 0.1": "manifest.toml cannot be read: No such file or directory",
        "nowhere of quick-models 0.1": "'no_such_package.at_all' is not a package",
        "attribute of quick-models 0.1": "'real:thing' is not a package",
    }
    assert found.usable("ghosting")[-1].id == "ghosting-2.0.0"


@pytest.mark.parametrize(("one", "other"), [("2.0.0", "2.0.0"), ("2.0", "2.0.0")])
def test_a_version_brought_twice_is_refused_naming_both_distributions(one: str, other: str, site: Path) -> None:
    plugin(one).install(site, "first", "models-a")
    plugin(other).install(site, "second", "models-b")
    plugin("1.0.0").install(site, "third", "models-c")
    found = discover(site)
    for version in (one, other):
        twin = found.get("ghosting", version)
        assert twin.state is State.FAILED
        assert "models-a 0.1 and models-b 0.1" in twin.problem
    assert found.usable("ghosting")[-1].id == "ghosting-1.0.0"


def test_the_highest_version_that_works_is_chosen_as_pep_440_orders_them(site: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.0rc1", "0.10"):
        plugin(version).install(site, "v" + version.replace(".", "_"))
    found = discover(site)
    assert list(found.versions) == [f"ghosting-{v}" for v in ("0.10", "1.9.0", "1.10.0rc1", "1.10.0")]
    for expected in ("1.10.0", "1.10.0rc1", "1.9.0", "0.10"):
        chosen = found.usable("ghosting")[-1]
        assert chosen.manifest.version == expected
        chosen.fail(f"no more of {expected}")
    with pytest.raises(FailedPrecondition, match=r"no version of ghosting can be used: .*no more of 1\.9\.0"):
        found.usable("ghosting")[-1]


def test_a_plugin_changed_on_disk_is_noticed_before_it_is_loaded_again(site: Path) -> None:
    folder = plugin("2.0.0").install(site, "one")
    found = discover(site).get("ghosting", "2.0.0")
    registry.check_files(found)
    (folder / "model.onnx").write_bytes(b"upgraded in place")
    with pytest.raises(ValueError, match=r"model\.onnx has SHA-256"):
        registry.check_files(found)


def test_a_plugin_whose_import_hangs_or_fails_does_no_harm_for_it_is_not_imported(site: Path) -> None:
    for version, package, code in (("3.0", "hangs", "while True:\n    pass\n"), ("3.1", "fails", "import nothing\n")):
        (plugin(version).install(site, package, f"{package}-models") / "__init__.py").write_text(code)
    plugin("4.0").install(site, "last")
    assert [each.state for each in discover(site).versions.values()] == [State.VERIFIED] * 3


def test_a_version_that_is_in_service_stays_when_another_plugin_brings_it_too(site: Path) -> None:
    plugin("2.0.0").install(site, "first", "models-b")
    models = discover(site)
    serving = models.get("ghosting", "2.0.0")
    plugin("2.0").install(site, "second", "models-a")
    found = registry.find(plugins.entry_points(site), models)
    registry.check(found, FEATURE_SETS)
    models.update(found)
    assert models.versions == {"ghosting-2.0.0": serving}
    reason = "brings ghosting-2.0, as models-b 0.1 does already; uninstall one of them"
    assert models.broken == {"second of models-a 0.1": reason}


def test_what_came_what_changed_and_what_went_is_told_and_the_rest_stays_as_it_is(site: Path) -> None:
    kept = plugin("1.0.0").install(site, "kept")
    gone = plugin("1.1.0").install(site, "gone", "other-models")
    changed = plugin("1.2.0").install(site, "changed", "changed-models")
    models = discover(site)
    serving = models.get("ghosting", "1.0.0")
    serving.state = State.READY
    assert not any(vars(models.update(discover(site))).values())
    (gone / "manifest.toml").unlink()
    (changed / "model.onnx").unlink()
    plugin("1.3.0").install(site, "new", "new-models")
    changes = models.update(discover(site))
    assert {kind: [each.id for each in versions] for kind, versions in vars(changes).items()} == {
        "added": ["ghosting-1.3.0"],
        "changed": ["ghosting-1.2.0"],
        "removed": ["ghosting-1.1.0"],
    }
    assert models.get("ghosting", "1.0.0") is serving
    assert (serving.state, serving.folder) == (State.READY, kept)


def test_a_version_whose_feature_set_cannot_be_asked_for_yet_waits(site: Path) -> None:
    plugin("2.0.0").install(site, "one")
    other = plugin("3.0.0")
    other.manifest["feature_set"] = "ghosting-screened@1"
    other.install(site, "other", "other-models")
    found = registry.find(plugins.entry_points(site))
    registry.check(found, FEATURE_SETS, {"ghosting-screened@1": "features does not answer"})
    waiting = found.get("ghosting", "3.0.0")
    assert waiting.state is State.DISCOVERED
    assert waiting.problem == "needs feature set ghosting-screened@1: features does not answer"
    assert found.usable("ghosting")[-1].id == "ghosting-2.0.0"
