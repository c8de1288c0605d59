"""Which arm a key goes to: a keyed hash, so that nothing has to be remembered of any key."""

from collections.abc import Container
from hashlib import blake2b

from services.predict.rollouts.policy import STABLE, Mode, Policy

SLOTS = 10_000
"""A slot is 0.01% of the keys."""


def slot_of(rollout: str, key: str) -> int:
    """The slot of a key, 0 to 9,999, the same for the whole of a rollout and unrelated in any other."""
    salt = blake2b(rollout.encode(), digest_size=16).digest()
    return int.from_bytes(blake2b(key.encode(), key=salt, digest_size=8).digest(), "big") % SLOTS


def arm_of(policy: Policy, step: int, slot: int, dropped: Container[str] = ()) -> str:
    """The arm that answers a slot during a step; stable for all that no arm has.

    Each arm has a range of slots of its own, as long as its largest weight, and takes the range from its start: so an
    arm whose weight grows keeps those it had, whatever the other arms do.
    """
    start = 0
    for arm in policy.arms:
        if arm not in dropped and start <= slot < start + _slots(policy.stages[step].weights.get(arm, 0.0)):
            return arm
        start += _slots(policy.largest(arm))
    return STABLE


def mirrors_of(policy: Policy, step: int, slot: int, dropped: Container[str] = ()) -> list[str]:
    """The arms of a shadow rollout that a slot is mirrored to during a step."""
    weights = policy.stages[step].weights
    return [arm for arm in policy.arms if arm not in dropped and slot < _slots(weights.get(arm, 0.0))]


def percents_of(policy: Policy, step: int, dropped: Container[str] = ()) -> dict[str, float]:
    """Percent of plays of each arm during a step, stable first; of a shadow arm what is mirrored to it."""
    weights = policy.stages[step].weights
    percents = {arm: 0.0 if arm in dropped else weights.get(arm, 0.0) for arm in policy.arms}
    return {STABLE: 100.0 - (0.0 if policy.mode is Mode.SHADOW else sum(percents.values())), **percents}


def _slots(percent: float) -> int:
    return round(percent * SLOTS / 100)
