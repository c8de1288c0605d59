"""Which model version answers a call: the place where traffic is divided between versions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from services.common.errors import FailedPrecondition, InvalidInput, NotFound, Violation
from services.predict.registry import ModelVersion, Registry, State
from services.predict.rollouts.assignment import arm_of, mirrors_of, slot_of
from services.predict.rollouts.machine import Rollout
from services.predict.rollouts.policy import STABLE, Mode, RoutingKey


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers a call.

    Attributes:
        stable: the version in service; or the one that the caller named.
        arm: the arm that answers; empty where the caller named a version.
        candidate: the version of the arm, where that is not stable.
        rollout: the active rollout of the model.
        mirrors: versions that are asked afterwards, by arm.
        counted: whether what comes of it is evidence.
    """

    stable: ModelVersion
    arm: str = STABLE
    candidate: ModelVersion | None = None
    rollout: Rollout | None = None
    mirrors: Mapping[str, ModelVersion] | None = None
    counted: bool = True

    def for_feature_set(self, feature_set: str) -> "Decision":
        """The decision for tensors of a feature set: arms that take another one are passed over.

        Raises:
            FailedPrecondition: stable takes another one.
        """
        if self.stable.manifest.feature_set != feature_set:
            raise FailedPrecondition(
                "FEATURE_SET_UNUSABLE",
                f"{self.stable.name} takes feature set {self.stable.manifest.feature_set}, not {feature_set}",
                self.stable.name,
            )
        if self.rollout is None:
            return self
        mirrors = {a: v for a, v in (self.mirrors or {}).items() if v.manifest.feature_set == feature_set}
        if self.candidate and self.candidate.manifest.feature_set != feature_set:
            return replace(self, arm=STABLE, candidate=None, mirrors=mirrors)
        return replace(self, mirrors=mirrors)


def choose(registry: Registry, model: str, reluctantly: Collection[str] = ()) -> ModelVersion:
    """The highest usable version of a model, which is in service where no rollout has put one there.

    Args:
        registry: the versions there are.
        model: the model.
        reluctantly: versions that are chosen only where there is no other.

    Raises:
        NotFound: there is no such model.
        FailedPrecondition: no version of it can be used.
    """
    usable = registry.usable(model)
    return ([each for each in usable if each.manifest.version not in reluctantly] or usable)[-1]


class Router:
    """Decides by what is in service, as last told."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._stable: Mapping[str, str] = {}
        self._rollouts: Mapping[str, Rollout] = {}

    def follow(self, stable: Mapping[str, str], rollouts: Iterable[Rollout]) -> None:
        """Take over what is in service.

        Args:
            stable: the stable version of each model that has one.
            rollouts: the active ones.
        """
        self._stable, self._rollouts = stable, {each.policy.model: each for each in rollouts}

    def rollout(self, model: str) -> Rollout | None:
        """The active rollout of a model."""
        return self._rollouts.get(model)

    def stable(self, model: str) -> ModelVersion:
        """The version of a model that is in service; where that cannot be used, the highest that can and is no arm.

        Raises:
            NotFound: there is no such model.
            FailedPrecondition: no version of it can be used.
        """
        for each in self._registry.usable(model):
            if each.manifest.version == self._stable.get(model):
                return each
        rollout = self._rollouts.get(model)
        return choose(self._registry, model, rollout.policy.arms.values() if rollout else ())

    def check_unused(self, version: ModelVersion) -> None:
        """Check that no active rollout needs a version.

        Raises:
            FailedPrecondition: one does; of its arms, those that were dropped are not needed.
        """
        rollout = self._rollouts.get(version.manifest.name)
        if rollout is None:
            return
        for arm, needed in rollout.versions.items():
            if needed == version.manifest.version and arm not in rollout.dropped:
                why = f"{version.name} is arm {arm!r} of {rollout.name}, which is active; abort or promote it"
                raise FailedPrecondition("ROLLOUT_IN_THE_WAY", why, rollout.name)

    def decide(self, model: str, keys: Mapping[RoutingKey, str], arm: str = "") -> Decision:
        """Who answers a call; stable where an arm's version is not ready here.

        Args:
            model: the model that is asked.
            keys: what the call offers to decide by.
            arm: the arm that the caller chose.

        Raises:
            NotFound: there is no such model.
            FailedPrecondition: no version of it can be used.
            InvalidInput: there is no such arm.
        """
        stable, rollout = self.stable(model), self._rollouts.get(model)
        if arm and arm != STABLE and (rollout is None or arm not in rollout.policy.arms):
            arms = ", ".join([STABLE, *(rollout.policy.arms if rollout else ())])
            violation = Violation("x-ghostback-arm", f"{arm!r} is not an arm of {model} now; there is {arms}")
            raise InvalidInput("ARM_UNKNOWN", [violation])
        if rollout is None:
            return Decision(stable)
        if arm:
            return Decision(stable, *self._ready(rollout, arm), rollout, counted=False)
        slot = slot_of(rollout.name, keys[rollout.policy.key])
        if rollout.policy.mode is Mode.SHADOW:
            mirrored = mirrors_of(rollout.policy, rollout.step, slot, rollout.dropped)
            ready = dict(self._ready(rollout, each) for each in mirrored)
            mirrors = {each: version for each, version in ready.items() if version}
            return Decision(stable, rollout=rollout, mirrors=mirrors)
        chosen = arm_of(rollout.policy, rollout.step, slot, rollout.dropped)
        return Decision(stable, *self._ready(rollout, chosen), rollout)

    def _ready(self, rollout: Rollout, arm: str) -> tuple[str, ModelVersion | None]:
        """An arm with its version, or stable without one."""
        if arm != STABLE:
            try:
                version = self._registry.get(rollout.policy.model, rollout.policy.arms[arm])
            except NotFound:
                return STABLE, None
            if version.state is State.READY:
                return arm, version
        return STABLE, None
