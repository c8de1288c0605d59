"""The model versions there are: found by entry point, checked, and refused with a reason."""

import hashlib
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from packaging.version import Version

from services.common.errors import FailedPrecondition, NotFound
from services.features.feature_sets import SLOTS, FeatureSet
from services.predict import ghosts, golden, manifest
from services.predict.manifest import DigestedFile, Manifest, ManifestError

GROUP = "ghostback.models"


class State(Enum):
    """What a model version is good for."""

    VERIFIED = "verified"
    READY = "ready"
    FAILED = "failed"


@dataclass
class ModelVersion:
    """A model version that a plugin brought.

    Attributes:
        manifest: what the plugin says of it.
        folder: where the plugin's files are.
        distribution: the Python distribution that brought it, with its version.
        state: what it is good for now.
        problem: why it failed; empty when it did not.
    """

    manifest: Manifest
    folder: Path
    distribution: str
    state: State = State.VERIFIED
    problem: str = ""

    @property
    def id(self) -> str:
        """`name-version`, the name of its Triton model."""
        return f"{self.manifest.name}-{self.manifest.version}"

    @property
    def name(self) -> str:
        """Its resource name, `models/{model}/versions/{version}`."""
        return f"models/{self.manifest.name}/versions/{self.manifest.version}"

    @property
    def version(self) -> Version:
        """Its PEP 440 version."""
        return Version(self.manifest.version)

    @property
    def artifact(self) -> Path:
        """The model file."""
        return self.folder / self.manifest.artifact.file

    @property
    def golden(self) -> Path:
        """The file with the known answer."""
        return self.folder / self.manifest.golden.file

    def fail(self, problem: str) -> None:
        """Take it out of use, with the reason."""
        self.state, self.problem = State.FAILED, problem


@dataclass(frozen=True)
class Registry:
    """Model versions by id, and plugins so broken that not even name and version are known.

    Attributes:
        versions: by id, those that failed too; in order of name and version.
        broken: why each of the others was refused, by entry point and distribution.
    """

    versions: Mapping[str, ModelVersion]
    broken: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The models that there are versions of."""
        return list(dict.fromkeys(each.manifest.name for each in self.versions.values()))

    def get(self, model: str, version: str) -> ModelVersion:
        """A model version.

        Raises:
            NotFound: there is none of that name and version.
        """
        found = self.versions.get(f"{model}-{version}")
        if found is None:
            known = ", ".join(self.versions) or "none"
            raise NotFound(
                "MODEL_VERSION_UNKNOWN",
                f"there is no version {version!r} of model {model!r}; there are {known}",
                f"models/{model}/versions/{version}",
            )
        return found

    def usable(self, model: str) -> list[ModelVersion]:
        """Versions of a model that did not fail, the lowest first.

        Raises:
            NotFound: there is no such model.
            FailedPrecondition: every version of it failed.
        """
        versions = [each for each in self.versions.values() if each.manifest.name == model]
        if not versions:
            raise NotFound("MODEL_VERSION_UNKNOWN", f"there is no model {model!r}", f"models/{model}")
        good = [each for each in versions if each.state is not State.FAILED]
        if not good:
            problems = "; ".join(f"{each.id}: {each.problem}" for each in versions)
            raise FailedPrecondition(
                "MODEL_VERSION_UNUSABLE", f"no version of {model} can be used: {problems}", f"models/{model}"
            )
        return good


def discover(feature_sets: Mapping[str, FeatureSet], found: Iterable[EntryPoint] | None = None) -> Registry:
    """Find and check every plugin; one that is broken never stops the others.

    Nothing of a plugin is imported: its folder is that of the package its entry point names.

    Args:
        feature_sets: the known feature sets, by id.
        found: the entry points to look at; those installed when not given.
    """
    versions: dict[tuple[str, Version], list[ModelVersion]] = defaultdict(list)
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if found is None else found:
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"
        try:
            folder = _folder_of(point.value)
            each = ModelVersion(manifest.read(folder), folder, distribution)
        except ManifestError as error:
            broken[f"{point.name} of {distribution}"] = str(error)
            continue
        versions[each.manifest.name, each.version].append(each)
        if problem := _problem(each, feature_sets):
            each.fail(problem)
    for twins in versions.values():
        if len(twins) > 1:
            sources = " and ".join(sorted(each.distribution for each in twins))
            for each in twins:
                each.fail(f"brought twice, by {sources}; uninstall one of them")
    return Registry({each.id: each for key in sorted(versions) for each in versions[key]}, broken)


def check_files(version: ModelVersion) -> None:
    """Check that a version's files are those its manifest tells of.

    Raises:
        ManifestError: a file is missing, has another digest, or is no golden example of its tensors.
    """
    declared = version.manifest
    _check_digest(version.artifact, declared.artifact)
    _check_digest(version.golden, declared.golden)
    golden.read(version.folder, declared)


def _folder_of(package: str) -> Path:
    """Where a package lies; found without importing the packages above it, as `find_spec` alone would."""
    top, *below = package.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError) as error:
        raise ManifestError(f"package {package!r} cannot be found: {error}") from None
    for root in (spec and spec.submodule_search_locations) or ():
        folder = Path(root, *below)
        if folder.is_dir():
            return folder
    raise ManifestError(f"{package!r} is not a package")


def _problem(each: ModelVersion, feature_sets: Mapping[str, FeatureSet]) -> str:
    declared = each.manifest
    feature_set = feature_sets.get(declared.feature_set)
    if feature_set is None:
        return f"needs feature set {declared.feature_set}, which is not known here"
    if feature_set.digest != declared.feature_set_digest:
        return f"was made for another definition of feature set {feature_set.id}: the digests differ"
    if feature_set.setting != declared.setting:
        return f"says that it is {declared.setting}, but feature set {feature_set.id} is {feature_set.setting}"
    try:
        _check_tensors(declared, feature_set)
        check_files(each)
    except ManifestError as error:
        return str(error)
    return ""


def _check_tensors(declared: Manifest, feature_set: FeatureSet) -> None:
    given = {tensor.name: tensor.shape for tensor in feature_set.tensors}
    for tensor in declared.inputs:
        if given.get(tensor.name) != tensor.shape:
            there = ", ".join(f"{name} {list(shape)}" for name, shape in given.items())
            raise ManifestError(
                f"takes {tensor.name} {list(tensor.shape)}, which feature set {feature_set.id} does not give: {there}"
            )
    row = (SLOTS // 2, feature_set.horizon) if feature_set.row == "target" else (feature_set.horizon,)
    gives = {tensor.name: tensor.shape for tensor in declared.outputs}
    for name, shape in ((ghosts.OUTPUT, (*row, 2)), (ghosts.COVARIANCE, (*row, 3))):
        if gives.get(name) != shape and (name in gives or name == ghosts.OUTPUT):
            raise ManifestError(f"must give {name} {list(shape)}, the task's answer")


def _check_digest(path: Path, declared: DigestedFile) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ManifestError(f"{declared.file} cannot be read: {error.strerror}") from None
    if digest != declared.sha256:
        raise ManifestError(
            f"{declared.file} has SHA-256 {digest[:12]}..., the manifest says {declared.sha256[:12]}..."
        )
