"""Policies and rollouts for tests."""

from datetime import UTC, datetime
from typing import Any

from services.predict.rollouts.guardrails import Guardrail, Kind, Reading, Verdict
from services.predict.rollouts.machine import Rollout
from services.predict.rollouts.policy import Policy

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = (
    {"weights": {"candidate": 5}, "seconds": 60, "plays": 100, "patience": 30},
    {"weights": {"candidate": 25}, "seconds": 60},
)


def policy(**changes: Any) -> Policy:
    document = {"model": "ghosting", "mode": "canary", "arms": {"candidate": "2.1.0"}, "steps": STEPS} | changes
    return Policy.model_validate(document)


def rollout(**changes: Any) -> Rollout:
    return Rollout(number=1, policy=policy(**changes), stable="2.0.0", created=START, since=START)


def reading(verdict: Verdict, text: str = "failed calls") -> Reading:
    return Reading(
        kind=Kind.ERROR_RATE, limit=0.01, estimate=None, lower=None, upper=None, n=10, verdict=verdict, text=text
    )


GUARDRAIL = Guardrail(kind=Kind.ERROR_RATE, limit=0.01)
