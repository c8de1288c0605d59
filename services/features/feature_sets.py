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
        row: what a row of the tensors stands for: a `defender` for a target, a `target` with all players, or a
            `pass` to a target.
        tensors: the tensors.
    """

    name: str
    version: int
    description: str
    setting: str
    rate: float
    observed: int
    horizon: int
    row: str
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


RATE, OBSERVED, HORIZON = 10.0, 5, 40
SLOTS = 22
"""Players of a scene: the defense in the first 11 slots, the offense in the next."""
_SETTINGS = {"retrospective": "", "live": "-live"}
_AHEAD = (
    TensorSpec("receiver", (OBSERVED + HORIZON, 4), ("x yd", "y yd", "vx yd/s", "vy yd/s")),
    TensorSpec("ball", (OBSERVED + HORIZON, 3), ("x yd", "y yd", "time to arrival s")),
)


def _ghosting(setting: str, name: str, description: str, row: str, tensors: tuple[TensorSpec, ...]) -> FeatureSet:
    ahead = "as they went" if setting == "retrospective" else "as the moment of the pass tells"
    return FeatureSet(
        name=f"{name}{_SETTINGS[setting]}",
        version=2,
        description=f"{description}; receiver and ball up to arrival {ahead}",
        setting=setting,
        rate=RATE,
        observed=OBSERVED,
        horizon=HORIZON,
        row=row,
        tensors=tensors + _AHEAD,
    )


def _ghosting_kinematics(setting: str) -> FeatureSet:
    motion = ("x yd", "y yd", "vx yd/s", "vy yd/s", "ax yd/s^2", "ay yd/s^2", "ox 1", "oy 1")
    defender = TensorSpec("defender", (OBSERVED, 8), motion)
    return _ghosting(setting, "ghosting-kinematics", "A defender up to the pass", "defender", (defender,))


def _ghosting_scene(setting: str) -> FeatureSet:
    players = TensorSpec("players", (SLOTS, OBSERVED, 6), ("x yd", "y yd", "vx yd/s", "vy yd/s", "ox 1", "oy 1"))
    roles = ("thrower", "line", "eligible", "target", "front", "linebacker", "defensive back", "present")
    return _ghosting(
        setting,
        "ghosting-scene",
        "All players up to the pass",
        "target",
        (players, TensorSpec("roles", (SLOTS, len(roles)), tuple(f"{role} 1" for role in roles))),
    )


def _of_passes(setting: str, name: str, description: str, entries: tuple[str, ...]) -> FeatureSet:
    ahead = "by ghosts, to a receiver who runs on" if setting == "live" else "as it went"
    return FeatureSet(
        name=f"{name}{_SETTINGS[setting]}",
        version=1,
        description=f"{description} {ahead}",
        setting=setting,
        rate=RATE,
        observed=OBSERVED,
        horizon=HORIZON,
        row="pass",
        tensors=(TensorSpec("measurements", (len(entries),), entries),),
    )


def _pass_outcome(setting: str) -> FeatureSet:
    entries: tuple[str, ...] = (
        "time to throw s",
        "passer speed yd/s",
        "rush separation yd",
        "air distance yd",
        "air yards yd",
        "sideline separation yd",
        "target separation yd",
        "receiver speed yd/s",
        "closing speed yd/s",
        "closing angle deg",
    )
    if setting == "retrospective":
        entries += ("receiver to ball yd", "defender to ball yd")
    return _of_passes(setting, "pass-outcome", "Measurements of a pass, at the throw and at its arrival", entries)


def _yards_after_catch(setting: str) -> FeatureSet:
    entries: tuple[str, ...] = (
        "air yards yd",
        "end zone yd",
        "sideline separation yd",
        "receiver speed downfield yd/s",
        "receiver speed to the middle yd/s",
    )
    for which in ("nearest", "second", "third"):
        entries += (f"{which} defender yd", f"{which} defender ahead yd", f"{which} defender closing speed yd/s")
    entries += ("first defender ahead yd",)
    entries += tuple(f"defenders ahead within {yards} yd 1" for yards in (5, 10, 20))
    entries += ("blockers ahead within 10 yd 1",)
    return _of_passes(
        setting, "yards-after-catch", "Measurements of where a pass comes down and of who is there", entries
    )


FEATURE_SETS: dict[str, FeatureSet] = {
    each.id: each
    for kind in (_ghosting_kinematics, _ghosting_scene, _pass_outcome, _yards_after_catch)
    for each in map(kind, _SETTINGS)
}
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
