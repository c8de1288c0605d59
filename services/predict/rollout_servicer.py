"""`ghostback.predict.v1.RolloutService`."""

import math
import re
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message

from ghostback import wire
from ghostback.predict.v1 import rollout_service_pb2 as pb
from services.common import identity, paging, requests
from services.common.errors import InvalidInput, Violation
from services.predict import rollout_messages as messages
from services.predict.rollouts import machine
from services.predict.rollouts.assignment import arm_of, mirrors_of, percents_of, slot_of
from services.predict.rollouts.controller import Controller, Transition
from services.predict.rollouts.machine import Rollout
from services.predict.rollouts.policy import STABLE, Mode
from services.predict.rollouts.store import Event, Judgement
from services.predict.routing import Router

ROLLOUT_SERVICE = pb.DESCRIPTOR.services_by_name["RolloutService"]

_NAME = re.compile(r"models/([^/]+)/rollouts/([1-9]\d{0,8})")
_MOST_KEYS = 10_000
_MOST_JUDGEMENTS = 1_000
_LONGEST = {"actor": 128, "reason": 1_024}


class RolloutServicer:
    """Starts rollouts, tells of them, and does to them what people ask for."""

    def __init__(self, controller: Controller, router: Router) -> None:
        self._controller = controller
        self._store = controller.store
        self._router = router

    async def CreateRollout(self, request: pb.CreateRolloutRequest, context: Any) -> Message:
        """Start a rollout."""
        _check_texts(request)
        policy = messages.policy_from_message(request.policy)
        rollout = await self._controller.create(policy, _actor(request), request.reason)
        return wire.view(pb.CreateRolloutResponse)(rollout=await self._message(rollout))

    async def GetRollout(self, request: pb.GetRolloutRequest, context: Any) -> Message:
        """Give one rollout."""
        return wire.view(pb.GetRolloutResponse)(rollout=await self._message(await self._get(request.name)))

    async def ListRollouts(self, request: pb.ListRolloutsRequest, context: Any) -> Message:
        """List rollouts, a page at a time."""
        model = requests.resource_id(request.parent, "models", "parent") if request.parent else ""
        size, scope = paging.page_size(request.page_size), f"ListRollouts {model} {request.active_only}"
        skip = int(paging.read_token(scope, request.page_token) or 0)
        found = await self._controller.do(self._store.rollouts, model, request.active_only, skip, size + 1)
        token = paging.make_token(scope, str(skip + size)) if len(found) > size else ""
        rollouts = [await self._message(each) for each in found[:size]]
        return wire.view(pb.ListRolloutsResponse)(rollouts=rollouts, next_page_token=token)

    async def WatchRollout(
        self, request: pb.WatchRolloutRequest, context: Any
    ) -> AsyncIterator[pb.WatchRolloutResponse]:
        """Give a rollout whenever it or its evidence has changed, until it is over."""
        told = None
        while True:
            async with self._controller.changed:
                rollout = await self._get(request.name)
                message = await self._message(rollout)
                while message == told:
                    await self._controller.changed.wait()
                    rollout = await self._get(request.name)
                    message = await self._message(rollout)
            yield wire.view(pb.WatchRolloutResponse)(rollout=message)
            if not rollout.active:
                return
            told = message

    async def PauseRollout(self, request: pb.PauseRolloutRequest, context: Any) -> Message:
        """Hold a rollout at its step."""
        rollout = await self._act(request, "pause", lambda rollout, *_: machine.pause(rollout))
        return wire.view(pb.PauseRolloutResponse)(rollout=rollout)

    async def ResumeRollout(self, request: pb.ResumeRolloutRequest, context: Any) -> Message:
        """Go on with a paused rollout."""
        return wire.view(pb.ResumeRolloutResponse)(rollout=await self._act(request, "resume", machine.resume))

    async def PromoteRollout(self, request: pb.PromoteRolloutRequest, context: Any) -> Message:
        """Go to the next step, or to the end."""
        rollout = await self._act(
            request, "promote", lambda rollout, *of: machine.promote(rollout, request.arm, request.full, *of)
        )
        return wire.view(pb.PromoteRolloutResponse)(rollout=rollout)

    async def AbortRollout(self, request: pb.AbortRolloutRequest, context: Any) -> Message:
        """End a rollout that is not wanted any more."""
        rollout = await self._act(request, "abort", lambda rollout, _, now: machine.abort(rollout, now))
        return wire.view(pb.AbortRolloutResponse)(rollout=rollout)

    async def RollBackRollout(self, request: pb.RollBackRolloutRequest, context: Any) -> Message:
        """End a rollout whose candidate is worse."""
        rollout = await self._act(request, "roll_back", lambda rollout, _, now: machine.roll_back(rollout, now))
        return wire.view(pb.RollBackRolloutResponse)(rollout=rollout)

    async def PreviewRollout(self, request: pb.PreviewRolloutRequest, context: Any) -> Message:
        """Tell what would be routed where."""
        requests.at_most(request, keys=_MOST_KEYS)
        if request.WhichOneof("subject") is None:
            raise InvalidInput("FIELD_REQUIRED", [Violation("subject", "needs a name or a policy")])
        if request.name:
            rollout = await self._get(request.name)
            policy, name, stable = rollout.policy, rollout.name, rollout.stable
            problems, dropped = [], set(rollout.dropped)
        else:
            policy = messages.policy_from_message(request.policy)
            stable = self._router.stable(policy.model).manifest.version
            name = machine.name_of(policy.model, await self._controller.do(self._store.next_number, policy.model))
            problems, dropped = self._controller.problems(policy), set()
        slots = [slot_of(name, key) for key in request.keys]
        steps = []
        for i in range(len(policy.stages)):
            if policy.mode is Mode.SHADOW:
                arms = [",".join(mirrors_of(policy, i, slot, dropped)) or STABLE for slot in slots]
            else:
                arms = [arm_of(policy, i, slot, dropped) for slot in slots]
            steps.append(
                wire.view(pb.PreviewStep)(
                    weights=messages.weights_to_messages(percents_of(policy, i, dropped)), arms=arms
                )
            )
        return wire.view(pb.PreviewRolloutResponse)(
            name=name,
            stable_version=f"models/{policy.model}/versions/{stable}",
            steps=steps,
            problems=problems,
        )

    async def RecordEvidence(self, request: pb.RecordEvidenceRequest, context: Any) -> Message:
        """Record how well arms predicted plays that are over."""
        requests.at_most(request, judgements=_MOST_JUDGEMENTS)
        judgements = [_judgement(each, f"judgements[{i}]") for i, each in enumerate(request.judgements)]
        recorded = await self._controller.record(_ids(request.name), judgements)
        return wire.view(pb.RecordEvidenceResponse)(recorded_count=recorded, ignored_count=len(judgements) - recorded)

    async def ListRolloutEvents(self, request: pb.ListRolloutEventsRequest, context: Any) -> Message:
        """List what was done to rollouts, the latest first."""
        model, number = "", 0
        if "/rollouts/" in request.parent:
            model, number = _ids(request.parent, "parent")
        elif request.parent:
            model = requests.resource_id(request.parent, "models", "parent")
        size, scope = paging.page_size(request.page_size), f"ListRolloutEvents {request.parent}"
        before = int(paging.read_token(scope, request.page_token) or 0)
        found = await self._controller.do(self._store.events, model, number, before, size + 1)
        token = paging.make_token(scope, str(found[size - 1].id)) if len(found) > size else ""
        events = [messages.event_to_message(each) for each in found[:size]]
        return wire.view(pb.ListRolloutEventsResponse)(events=events, next_page_token=token)

    async def _get(self, name: str) -> Rollout:
        return await self._controller.do(self._store.get, *_ids(name))

    async def _act(self, request: Any, action: str, transition: Transition) -> pb.Rollout:
        _check_texts(request)
        event = Event(_actor(request), action, request.reason)
        return await self._message(await self._controller.act(_ids(request.name), request.etag, transition, event))

    async def _message(self, rollout: Rollout) -> pb.Rollout:
        return messages.rollout_to_message(await self._controller.standing(rollout))


def _ids(name: str, field: str = "name") -> tuple[str, int]:
    match = _NAME.fullmatch(name)
    if not match:
        form = "models/{model}/rollouts/{rollout}"
        raise InvalidInput("NAME_INVALID", [Violation(field, f"{name!r} is not of the form {form}")])
    return match[1], int(match[2])


def _judgement(message: pb.Judgement, field: str) -> Judgement:
    requests.play_ids(message.play, f"{field}.play")
    numbers = {name: getattr(message, name) for name in ("stable_ade", "arm_ade", "stable_score", "arm_score")}
    losses = {name: getattr(message, name) for name in ("stable_loss", "arm_loss") if message.HasField(name)}
    wrong = [
        Violation(f"{field}.{name}", f"is {value}, must be a finite number{' of yards' if 'ade' in name else ''}")
        for name, value in (numbers | losses).items()
        if not math.isfinite(value) or (name.endswith("ade") and value < 0)
    ]
    if len(losses) == 1:
        missing = "arm_loss" if "stable_loss" in losses else "stable_loss"
        wrong.append(Violation(f"{field}.{missing}", f"is missing, {next(iter(losses))} is there"))
    if wrong:
        raise InvalidInput("FIELD_INVALID", wrong)
    return Judgement(message.play, message.arm, *numbers.values(), **losses)


def _actor(request: Any) -> str:
    """Who does something: the caller's identity, or whom it names where callers need none."""
    return identity.caller.get() or str(request.actor)


def _check_texts(request: Any) -> None:
    wrong = [
        Violation(name, f"has {len(getattr(request, name))} characters, the limit is {limit}")
        for name, limit in _LONGEST.items()
        if len(getattr(request, name)) > limit
    ]
    if wrong:
        raise InvalidInput("FIELD_INVALID", wrong)
