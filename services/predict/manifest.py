"""What a model plugin says of itself, as data: read and checked before any of its code runs."""

import tomllib
from functools import lru_cache
from importlib.metadata import version as installed
from pathlib import Path, PurePath
from typing import Annotated, Literal, Self

from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

MANIFEST = "manifest.toml"
GHOSTBACK = Version(installed("ghostback-suite"))
"""The version of Ghostback that runs here."""


class ManifestError(ValueError):
    """The manifest cannot be read, or does not keep to its form."""


def _pep440(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        raise ValueError(f"{version!r} is not a PEP 440 version") from None


def _inside(file: str) -> str:
    if PurePath(file).name != file or file == "..":
        raise ValueError(f"{file!r} must be a file of the plugin's own folder")
    return file


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorDeclaration(_Strict):
    """A tensor the model takes or gives; the shape is without the row axis."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    dtype: Literal["FP32"]
    shape: tuple[Annotated[int, Field(gt=0)], ...]


class DigestedFile(_Strict):
    """A file of the plugin with its SHA-256."""

    file: Annotated[str, AfterValidator(_inside)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class GoldenExample(DigestedFile):
    """Inputs and the outputs they must give, as an npz file of arrays `input.NAME` and `output.NAME`."""

    tolerance: Annotated[float, Field(gt=0, description="Largest difference of an output value.")]


class Resources(_Strict):
    """What a model version runs on."""

    instances: Annotated[int, Field(gt=0, description="On each GPU, or on the CPU.")] = 1
    device: Annotated[Literal["auto", "cpu", "gpu"], Field(description="`auto`: the GPU where there is one.")] = "auto"
    tensorrt: Annotated[Literal["FP32", "FP16"] | None, Field(description="Its precision, on a GPU.")] = None


class Batching(_Strict):
    """How Triton joins requests."""

    max_queue_delay_us: Annotated[int, Field(ge=0, description="How long a request may wait for others.")] = 500
    preferred_sizes: tuple[Annotated[int, Field(gt=0)], ...] = ()


class Provenance(_Strict):
    """Where the artifact comes from."""

    data: str
    command: str
    metrics: Annotated[str, AfterValidator(_inside)]
    trained_with: str


class Manifest(_Strict):
    """A model version."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Annotated[str, AfterValidator(_pep440)]
    task: Literal["ghosting", "pass-outcome", "yards-after-catch"]
    setting: Literal["live", "retrospective"]
    description: str
    feature_set: str
    feature_set_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    minimum_ghostback: Annotated[str, AfterValidator(_pep440)] | None = None
    max_batch_size: Annotated[int, Field(gt=0)]
    inputs: Annotated[tuple[TensorDeclaration, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorDeclaration, ...], Field(min_length=1)]
    artifact: DigestedFile
    golden: GoldenExample
    training_inputs: Annotated[
        DigestedFile | None, Field(description="What drift is told against: a tally with the inputs it was trained on.")
    ] = None
    provenance: Provenance
    resources: Resources = Resources()
    batching: Batching = Batching()

    @model_validator(mode="after")
    def _preferred_sizes_fit(self) -> Self:
        if any(size > self.max_batch_size for size in self.batching.preferred_sizes):
            raise ValueError(f"batching.preferred_sizes are above max_batch_size {self.max_batch_size}")
        return self


def read(folder: Path) -> Manifest:
    """The manifest in a plugin's folder.

    Raises:
        ManifestError: it is missing, is no TOML, or does not keep to its form.
    """
    path = folder / MANIFEST
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ManifestError(f"{MANIFEST} cannot be read: {error.strerror}") from None


@lru_cache(1024)
def _read(path: Path, modified: int, size: int) -> Manifest:
    """The manifest in a file; read once as long as that is not changed."""
    try:
        written = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{MANIFEST} is not TOML: {error}") from None
    try:
        return Manifest.model_validate(written)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ManifestError(f"{MANIFEST}: {too_new(written.get('minimum_ghostback')) or wrong}") from None


def too_new(minimum: object) -> str:
    """Why a manifest's `minimum_ghostback` rules out this Ghostback; empty when it does not."""
    try:
        met = minimum is None or Version(str(minimum)) <= GHOSTBACK
    except InvalidVersion:
        return ""
    return "" if met else f"needs Ghostback {minimum} or newer, this is {GHOSTBACK}"
