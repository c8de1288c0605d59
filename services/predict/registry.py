"""The model versions there are: found by entry point, checked, and refused with a reason."""

import asyncio
import hashlib
import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from packaging.version import Version

from services.common.errors import FailedPrecondition, NotFound
from services.features.feature_sets import SLOTS, FeatureSet
from services.predict import ghosts, golden, manifest, outcomes, yards
from services.predict.golden import Tensors
from services.predict.manifest import DigestedFile, Manifest, ManifestError
from services.predict.rollouts import drift
from services.predict.rollouts.tally import Tally

GROUP = "ghostback.models"


class State(Enum):
    """What a model version is good for."""

    DISCOVERED = "discovered"
    VERIFIED = "verified"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(eq=False)
class ModelVersion:
    """A model version that a plugin brought.

    Attributes:
        manifest: what the plugin says of it.
        folder: where the plugin's files are.
        distribution: the Python distribution that brought it, with its version.
        state: what it is good for now.
        problem: why it is in that state; empty when all is well.
        verdict: state and problem when its plugin was checked.
        recoveries: how often it was loaded again because Triton had lost it.
        recovery: what was wrong the last time.
        example: inputs and outputs of the golden example, by name, as they were when it was last checked to be loaded.
        replaces: the version of its id that was there before, whose calls have not ended.
        idle: set while no call uses it.
    """

    manifest: Manifest
    folder: Path
    distribution: str
    state: State = State.DISCOVERED
    problem: str = ""
    verdict: tuple[State, str] = (State.DISCOVERED, "")
    recoveries: int = 0
    recovery: str = ""
    example: tuple[Tensors, Tensors] = ({}, {})
    replaces: "ModelVersion | None" = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _calls: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

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

    @cached_property
    def training(self) -> Tally | None:
        """Counts of the inputs it was trained on; None where its plugin brings none.

        Raises:
            ManifestError: the file holds something else.
        """
        declared = self.manifest.training_inputs
        if declared is None:
            return None
        try:
            tally = Tally.model_validate_json((self.folder / declared.file).read_bytes())
        except ValueError:
            raise ManifestError(f"{declared.file} is no tally") from None
        for tensor in self.manifest.inputs:
            if len(tally.inputs.get(tensor.name, ())) != drift.BINS * tensor.shape[-1]:
                raise ManifestError(f"{declared.file} does not have {drift.BINS} bins for each entry of {tensor.name}")
        return tally

    @property
    def as_found(self) -> tuple[object, ...]:
        """What tells it from the same version found another time."""
        return self.manifest, self.folder, self.distribution, self.verdict

    def judge(self, state: State, problem: str = "") -> None:
        """Say what the check of its plugin came to."""
        self.state, self.problem = self.verdict = state, problem

    def fail(self, problem: str) -> None:
        """Take it out of use, with the reason."""
        self.state, self.problem = State.FAILED, problem

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it from being unloaded while a call uses it."""
        self._calls += 1
        self.idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self.idle.set()


@dataclass(frozen=True)
class Changes:
    """What became of the registry: versions that came, that replaced others of their id, and that went."""

    added: tuple[ModelVersion, ...]
    changed: tuple[ModelVersion, ...]
    removed: tuple[ModelVersion, ...]


@dataclass
class Registry:
    """Model versions by id, and plugins so broken that not even name and version are known.

    Attributes:
        versions: by id, those that failed too; in order of name and version.
        broken: why each of the others was refused, by entry point and distribution.
    """

    versions: Mapping[str, ModelVersion] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The models that there are versions of."""
        return list(dict.fromkeys(each.manifest.name for each in self.versions.values()))

    def of(self, model: str) -> list[ModelVersion]:
        """Every version of a model, the lowest first.

        Raises:
            NotFound: there is no such model.
        """
        versions = [each for each in self.versions.values() if each.manifest.name == model]
        if not versions:
            raise NotFound("MODEL_VERSION_UNKNOWN", f"there is no model {model!r}", f"models/{model}")
        return versions

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
        """Versions of a model that can be loaded or are, the lowest first.

        Raises:
            NotFound: there is no such model.
            FailedPrecondition: no version of it can be used.
        """
        versions = self.of(model)
        good = [each for each in versions if each.state not in (State.DISCOVERED, State.FAILED)]
        if not good:
            problems = "; ".join(f"{each.id}: {each.problem}" for each in versions)
            raise FailedPrecondition(
                "MODEL_VERSION_UNUSABLE", f"no version of {model} can be used: {problems}", f"models/{model}"
            )
        return good

    def same_as(self, found: "Registry") -> bool:
        """Whether another look found the same."""
        return self.broken == found.broken and {key: each.as_found for key, each in self.versions.items()} == {
            key: each.as_found for key, each in found.versions.items()
        }

    def update(self, found: "Registry") -> Changes:
        """Take over what a later look found; versions that are as they were stay the objects they are."""
        before = self.versions
        self.versions = {
            key: before[key] if key in before and before[key].as_found == each.as_found else each
            for key, each in found.versions.items()
        }
        for key, each in self.versions.items():
            if key in before and each is not before[key]:
                each.replaces = before[key]
        self.broken = found.broken
        return Changes(
            added=tuple(each for key, each in self.versions.items() if key not in before),
            changed=tuple(each for each in self.versions.values() if each.replaces in before.values()),
            removed=tuple(each for key, each in before.items() if key not in self.versions),
        )


def discover(feature_sets: Mapping[str, FeatureSet], found: Iterable[EntryPoint] | None = None) -> Registry:
    """Find and check every plugin; one that is broken never stops the others.

    Args:
        feature_sets: the known feature sets, by id.
        found: the entry points to look at; those installed when not given.
    """
    registry = find(found)
    check(registry, feature_sets)
    return registry


def find(found: Iterable[EntryPoint] | None = None, known: Registry | None = None) -> Registry:
    """Find every plugin and read its manifest.

    Nothing of a plugin is imported: its folder is that of the package its entry point names. Of plugins that
    bring the same version, the one that was known before stays; where none was, all are refused.

    Args:
        found: the entry points to look at; those installed when not given.
        known: what was found before.
    """
    importlib.invalidate_caches()
    versions: dict[tuple[str, Version], dict[str, ModelVersion]] = defaultdict(dict)
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if found is None else found:
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"
        plugin = f"{point.name} of {distribution}"
        try:
            folder = _folder_of(point.value)
            each = ModelVersion(manifest.read(folder), folder, distribution)
        except ManifestError as error:
            broken[plugin] = str(error)
            continue
        versions[each.manifest.name, each.version][plugin] = each
    sound = {each.folder for each in known.versions.values() if each.verdict[0] is State.VERIFIED} if known else set()
    for twins in versions.values():
        if len(twins) == 1:
            continue
        first = next((each for each in twins.values() if each.folder in sound), None)
        sources = " and ".join(sorted(each.distribution for each in twins.values()))
        for plugin, each in list(twins.items()):
            if first is None:
                each.judge(State.FAILED, f"brought twice, by {sources}; uninstall one of them")
            elif each is not first:
                broken[plugin] = f"brings {each.id}, as {first.distribution} does already; uninstall one of them"
                del twins[plugin]
    return Registry({each.id: each for key in sorted(versions) for each in versions[key].values()}, broken)


def check(found: Registry, feature_sets: Mapping[str, FeatureSet], unanswered: Mapping[str, str] | None = None) -> None:
    """Check every plugin that was found.

    Args:
        found: what `find` gave.
        feature_sets: the known feature sets, by id.
        unanswered: feature sets of which it is not known whether they exist, and why.
    """
    for each in found.versions.values():
        if each.state is State.FAILED:
            continue
        if reason := (unanswered or {}).get(each.manifest.feature_set):
            each.judge(State.DISCOVERED, f"needs feature set {each.manifest.feature_set}: {reason}")
            continue
        problem = _problem(each, feature_sets)
        each.judge(State.FAILED if problem else State.VERIFIED, problem)


def check_files(version: ModelVersion) -> tuple[Tensors, Tensors]:
    """Check that a version's files are those its manifest tells of; inputs and outputs of its golden example.

    Raises:
        ManifestError: a file is missing, has another digest, or does not hold what it should of its tensors.
    """
    declared = version.manifest
    _check_digest(version.artifact, declared.artifact)
    _check_digest(version.golden, declared.golden)
    if declared.training_inputs:
        _check_digest(version.folder / declared.training_inputs.file, declared.training_inputs)
        _ = version.training
    return golden.read(version.folder, declared)


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
    if problem := manifest.too_new(declared.minimum_ghostback):
        return problem
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
    if (feature_set.row == "pass") != (declared.task != "ghosting"):
        rows = f"whose rows stand for a {feature_set.row}"
        raise ManifestError(f"cannot do {declared.task} from feature set {feature_set.id}, {rows}")
    gives = {tensor.name: tensor.shape for tensor in declared.outputs}
    for i, (name, shape) in enumerate(_answer(declared.task, feature_set).items()):
        if gives.get(name) != shape and (name in gives or i == 0):
            raise ManifestError(f"must give {name} {list(shape)}, the task's answer")


def _answer(task: str, feature_set: FeatureSet) -> dict[str, tuple[int, ...]]:
    """The tensors of a task's answer with their shapes; what comes after the first may be left out."""
    if task == "pass-outcome":
        return {outcomes.OUTPUT: (len(outcomes.Outcome),)}
    if task == "yards-after-catch":
        return {yards.OUTPUT: (yards.N_YARDS,)}
    row = (SLOTS // 2, feature_set.horizon) if feature_set.row == "target" else (feature_set.horizon,)
    return {ghosts.OUTPUT: (*row, 2), ghosts.COVARIANCE: (*row, 3)}


def _check_digest(path: Path, declared: DigestedFile) -> None:
    try:
        status = path.stat()
        digest = _digest(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ManifestError(f"{declared.file} cannot be read: {error.strerror}") from None
    if digest != declared.sha256:
        raise ManifestError(
            f"{declared.file} has SHA-256 {digest[:12]}..., the manifest says {declared.sha256[:12]}..."
        )


@lru_cache(1024)
def _digest(path: Path, modified: int, size: int) -> str:
    """SHA-256 of a file; computed once as long as it is not changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
