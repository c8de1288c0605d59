"""A model plugin to start from: a distribution with a tiny model, its training, and its tests."""

import json
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from ghostback.cli.failures import CommandError
from ghostback.features.v1 import features_service_pb2 as pb

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_SUFFIX = ".tmpl"


def write(folder: Path, name: str, setting: str, feature_set: pb.FeatureSet) -> None:
    """Write a plugin into a new folder.

    Args:
        folder: where; it must not be there yet.
        name: of the model and of its distribution.
        setting: `live` or `retrospective`.
        feature_set: what the model takes its inputs from.

    Raises:
        CommandError: the name is out of form, or the folder is there.
    """
    if not _NAME.fullmatch(name):
        raise CommandError(f"{name!r} is no name of a model; use small letters, digits and -, such as acme-ghosting")
    if folder.exists():
        raise CommandError(f"{folder} is there already; name another folder with --into")
    set_id = feature_set.name.removeprefix("featureSets/")
    package = name.replace("-", "_")
    for path, text in _files(resources.files("ghostback.cli") / "plugin"):
        place = folder / path.replace("package/", f"{package}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(Template(text).substitute(name=name, package=package, feature_set=set_id))
    definition = {
        "id": set_id,
        "digest": feature_set.digest,
        "setting": setting,
        "rate": feature_set.step_rate_hz,
        "horizon": feature_set.horizon_steps,
        "tensors": {tensor.name: list(tensor.shape) for tensor in feature_set.tensors},
    }
    (folder / "feature_set.json").write_text(json.dumps(definition, indent=2) + "\n")


def _files(folder: Traversable, above: str = "") -> list[tuple[str, str]]:
    """The files of the template: where each goes, and its text."""
    found = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _files(each, f"{above}{each.name}/")
        elif each.name.endswith(_SUFFIX):
            found.append((above + each.name.removesuffix(_SUFFIX), each.read_text()))
    return found
