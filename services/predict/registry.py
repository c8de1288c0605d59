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
from services.predict import manifest
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
        versions: by id, those that failed too.
        broken: why each of the others was refused, by entry point and distribution.
    """

    versions: Mapping[str, ModelVersion]
    broken: Mapping[str, str] = field(default_factory=dict)

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
        good = sorted((each for each in versions if each.state is not State.FAILED), key=lambda each: each.version)
        if not good:
            problems = "; ".join(f"{each.id}: {each.problem}" for each in versions)
            raise FailedPrecondition(
                "MODEL_VERSION_UNUSABLE", f"no version of {model} can be used: {problems}", f"models/{model}"
            )
        return good


def discover(feature_sets: Mapping[str, str], found: Iterable[EntryPoint] | None = None) -> Registry:
    """Find and check every plugin; one that is broken never stops the others.

    Nothing of a plugin is imported: its folder is that of the package its entry point names.

    Args:
        feature_sets: digest of each known feature set, by id.
        found: the entry points to look at; those installed when not given.
    """
    versions: dict[str, ModelVersion] = {}
    sources: defaultdict[str, list[str]] = defaultdict(list)
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if found is None else found:
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"
        try:
            folder = _folder_of(point.value)
            declared = manifest.read(folder)
        except ManifestError as error:
            broken[f"{point.name} of {distribution}"] = str(error)
            continue
        each = ModelVersion(declared, folder, distribution)
        sources[each.id].append(distribution)
        versions[each.id] = each
        if problem := _problem(each, feature_sets):
            each.fail(problem)
    for name, distributions in sources.items():
        if len(distributions) > 1:
            versions[name].fail(f"brought twice, by {' and '.join(sorted(distributions))}; uninstall one of them")
    return Registry(versions, broken)


def _folder_of(package: str) -> Path:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise ManifestError(f"package {package!r} cannot be found: {error}") from None
    if spec is None or not spec.submodule_search_locations:
        raise ManifestError(f"{package!r} is not a package")
    return Path(next(iter(spec.submodule_search_locations)))


def _problem(each: ModelVersion, feature_sets: Mapping[str, str]) -> str:
    declared = each.manifest
    if declared.feature_set not in feature_sets:
        return f"needs feature set {declared.feature_set}, which is not known here"
    if feature_sets[declared.feature_set] != declared.feature_set_digest:
        return f"was made for another definition of feature set {declared.feature_set}: the digests differ"
    return _file_problem(each.folder, declared.artifact) or _file_problem(each.folder, declared.golden)


def _file_problem(folder: Path, declared: DigestedFile) -> str:
    try:
        with (folder / declared.file).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{declared.file} cannot be read: {error.strerror}"
    if digest != declared.sha256:
        return f"{declared.file} has SHA-256 {digest[:12]}..., the manifest says {declared.sha256[:12]}..."
    return ""
