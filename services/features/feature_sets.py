"""The feature sets: what tensors they hold, by name and version."""

import hashlib
import json
from dataclasses import asdict, dataclass

from services.common.errors import NotFound


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a feature set.

    Attributes:
        name: the tensor's name.
        shape: sizes of the axes after the row axis.
        entries: names of the last axis' entries, with their units.
    """

    name: str
    shape: tuple[int, ...]
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A versioned set of model inputs.

    Attributes:
        name: such as `ghosting-kinematics`.
        version: counts up from 1; a change of any tensor's meaning is a new version.
        description: what it holds.
        setting: `live` or `retrospective`.
        rate: steps per second.
        observed: steps observed, the last at pass forward.
        horizon: steps after pass forward.
        tensors: the tensors.
    """

    name: str
    version: int
    description: str
    setting: str
    rate: float
    observed: int
    horizon: int
    tensors: tuple[TensorSpec, ...]

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def digest(self) -> str:
        """SHA-256 over the definition, its description aside; lower-case hexadecimal."""
        definition = asdict(self) | {"description": None}
        return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def _ghosting_kinematics(observed: int = 5, horizon: int = 40) -> FeatureSet:
    steps = observed + horizon
    return FeatureSet(
        name="ghosting-kinematics",
        version=1,
        description="Motion of the defender up to the pass, of the targeted receiver and the ball up to arrival",
        setting="retrospective",
        rate=10.0,
        observed=observed,
        horizon=horizon,
        tensors=(
            TensorSpec(
                "defender",
                (observed, 8),
                ("x yd", "y yd", "vx yd/s", "vy yd/s", "ax yd/s^2", "ay yd/s^2", "ox 1", "oy 1"),
            ),
            TensorSpec("receiver", (steps, 4), ("x yd", "y yd", "vx yd/s", "vy yd/s")),
            TensorSpec("ball", (steps, 3), ("x yd", "y yd", "time to arrival s")),
        ),
    )


FEATURE_SETS: dict[str, FeatureSet] = {each.id: each for each in (_ghosting_kinematics(),)}
"""Every feature set, by id."""


def get(feature_set_id: str) -> FeatureSet:
    """The feature set of an id.

    Raises:
        NotFound: there is none.
    """
    if feature_set_id not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        raise NotFound(
            "FEATURE_SET_UNKNOWN", f"there is no feature set {feature_set_id!r}; there are {known}", feature_set_id
        )
    return FEATURE_SETS[feature_set_id]
