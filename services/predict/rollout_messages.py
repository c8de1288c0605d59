"""Rollouts as messages of the contract."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from ghostback import wire
from ghostback.predict.v1 import rollout_service_pb2 as pb
from services.common import requests
from services.predict.rollouts import policy as policies
from services.predict.rollouts.controller import Standing
from services.predict.rollouts.machine import Rollout
from services.predict.rollouts.policy import Policy
from services.predict.rollouts.schema import EventRow
from services.predict.rollouts.tally import Tally


def policy_from_message(message: pb.RolloutPolicy) -> Policy:
    """The policy of a message.

    Raises:
        InvalidInput: it does not keep to the form; every field that is wrong is named.
    """
    return policies.parse(dict(_policy_document(message)))


def _policy_document(message: pb.RolloutPolicy) -> Iterator[tuple[str, object]]:
    yield "model", requests.resource_id(message.model, "models", "policy.model")
    yield "mode", _word(pb.RolloutMode, message.mode)
    yield "arms", {arm.name: arm.version for arm in message.arms}
    yield "steps", [dict(_step_document(step)) for step in message.steps]
    if message.routing_key:
        yield "key", _word(pb.RoutingKey, message.routing_key)
    yield (
        "guardrails",
        [
            {field.name: value for field, value in guardrail.ListFields()} | {"limit": guardrail.limit}
            for guardrail in message.guardrails
        ],
    )
    if message.HasField("alpha"):
        yield "alpha", message.alpha
    if message.HasField("answer_budget"):
        yield "answer_budget", _seconds(message.answer_budget)


def _step_document(step: pb.RolloutStep) -> Iterator[tuple[str, object]]:
    yield "weights", {weight.arm: weight.percent for weight in step.weights}
    yield "plays", step.plays
    if step.HasField("dwell"):
        yield "seconds", _seconds(step.dwell)
    if step.HasField("patience"):
        yield "patience", _seconds(step.patience)


def policy_to_message(policy: Policy) -> pb.RolloutPolicy:
    """The message of a policy."""
    message = wire.view(pb.RolloutPolicy)(
        model=f"models/{policy.model}",
        mode=pb.RolloutMode.Value(f"ROLLOUT_MODE_{policy.mode.name}"),
        arms=[wire.view(pb.Arm)(name=name, version=version) for name, version in policy.arms.items()],
        routing_key=pb.RoutingKey.Value(f"ROUTING_KEY_{policy.key.name}"),
        guardrails=[wire.view(pb.Guardrail)(**each.model_dump(mode="json")) for each in policy.guardrails],
        alpha=policy.alpha,
    )
    _set_seconds(message.answer_budget, policy.answer_budget)
    for step in policy.steps:
        added = message.steps.add(weights=weights_to_messages(step.weights), plays=step.plays)
        _set_seconds(added.dwell, step.seconds)
        _set_seconds(added.patience, step.patience)
    return message


def weights_to_messages(weights: Mapping[str, float]) -> list[pb.ArmWeight]:
    """The messages of weights."""
    return [wire.view(pb.ArmWeight)(arm=arm, percent=percent) for arm, percent in weights.items()]


def rollout_to_message(standing: Standing) -> pb.Rollout:
    """The message of a rollout with its evidence."""
    rollout = standing.rollout
    message = wire.view(pb.Rollout)(
        name=rollout.name,
        etag=str(rollout.revision),
        policy=policy_to_message(rollout.policy),
        state=pb.RolloutState.Value(f"ROLLOUT_STATE_{rollout.state.name}"),
        state_description=rollout.reason,
        step=rollout.step,
        arms=[_arm(rollout, arm, standing.tallies.get(arm, Tally())) for arm in rollout.versions],
    )
    _set_time(message.create_time, rollout.created)
    _set_time(message.step_time, rollout.since)
    for arm, readings in standing.readings.items():
        for reading in readings:
            message.readings.add(
                arm=arm,
                kind=reading.kind,
                limit=reading.limit,
                estimate=reading.estimate,
                lower=reading.lower,
                upper=reading.upper,
                count=reading.n,
                verdict=pb.Verdict.Value(f"VERDICT_{reading.verdict.name}"),
                description=reading.text,
            )
    return message


def _arm(rollout: Rollout, arm: str, tally: Tally) -> pb.ArmStatus:
    return wire.view(pb.ArmStatus)(
        arm=arm,
        model_version=f"models/{rollout.policy.model}/versions/{rollout.versions[arm]}",
        percent=rollout.percents[arm],
        call_count=tally.calls,
        error_count=tally.errors,
        judged_count=tally.ade.n + tally.loss.n,
        problem=rollout.dropped.get(arm, ""),
    )


def event_to_message(row: EventRow) -> pb.RolloutEvent:
    """The message of an entry of the log."""
    message = wire.view(pb.RolloutEvent)(
        event=row.id,
        rollout=f"models/{row.model}/rollouts/{row.number}",
        actor=row.actor,
        action=row.action,
        reason=row.reason,
        before=row.before,
        after=row.after,
        evidence=row.evidence,
    )
    _set_time(message.time, row.time)
    return message


def _word(enum: Any, value: int) -> str:
    """An enum's value without its prefix, as policies write it; a number that the enum lacks as such."""
    if value not in enum.values():
        return str(value)
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return str(enum.Name(value)).removeprefix(prefix).lower().replace("_", "-")


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _set_seconds(duration: Any, seconds: float) -> None:
    duration.FromMicroseconds(round(seconds * 1e6))


def _set_time(timestamp: Any, time: datetime) -> None:
    timestamp.FromDatetime(time)
