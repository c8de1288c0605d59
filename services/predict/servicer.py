"""`ghostback.predict.v1.PredictService`."""

import asyncio
import re
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from google.protobuf.message import Message
from prometheus_client import Counter

from ghostback import wire
from ghostback.predict.v1 import predict_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common import identity, interceptor, requests
from services.common.errors import InvalidInput, PermissionDenied, Violation
from services.common.upstream import Upstream
from services.features.lookups import MARK_KEY
from services.predict.attempts import Attempted, Drawing, Features, Running
from services.predict.forecasts import Draw, PassOutcomes, YardsAfterCatch
from services.predict.registry import Registry
from services.predict.rollouts.answering import Answering, Attempt
from services.predict.rollouts.policy import RoutingKey
from services.predict.routing import Decision, Router
from services.predict.triton import ModelServer

PREDICT_SERVICE = pb.DESCRIPTOR.services_by_name["PredictService"]
ARM_KEY = "x-ghostback-arm"
ROUTING_KEY = "x-ghostback-routing-key"

_DEFAULT_MODEL = "models/ghosting"
_MOST_DRAWS = 64
_GHOSTS = Counter("ghostback_ghosts_total", "Ghosts drawn, by arm and model version.", ["arm", "model_version"])
_FORECASTS = Counter(
    "ghostback_pass_outcomes_total", "Outcomes of passes forecast, by arm and model version.", ["arm", "model_version"]
)
_RUNS = Counter(
    "ghostback_yards_after_catch_total", "Runs after the catch forecast, by arm and version.", ["arm", "model_version"]
)
_MODEL_NAME = re.compile(r"models/([^/]+)(?:/versions/([^/]+))?")

_Response = pb.PredictGhostsResponse | pb.PredictPassOutcomesResponse | pb.PredictYardsAfterCatchResponse
_Forecast = pb.PredictPassOutcomesRequest | pb.PredictYardsAfterCatchRequest


class PredictServicer:
    """Draws ghosts and forecasts: features from upstream, a model version by the routing, its outputs from Triton."""

    def __init__(
        self,
        registry: Registry,
        model_server: ModelServer,
        features: Upstream,
        router: Router,
        answering: Answering[Attempted],
        arm_callers: Iterable[IPv4Network | IPv6Network],
    ) -> None:
        self._registry = registry
        self._model_server = model_server
        self._features = features
        self._router = router
        self._answering = answering
        self._arm_callers = tuple(arm_callers)

    async def PredictGhosts(self, request: pb.PredictGhostsRequest, context: Any) -> Message:
        """Predict the ghosts of one play."""
        requests.at_most(request, target_ids=16, defender_ids=32)
        [decision] = self._decide(request.model or _DEFAULT_MODEL, [_name_of(request.source)], context)
        _check_task(decision, "ghosting", "model")
        _pass_on(decision)
        asked = {name: getattr(request, name) for name in ("source", "target_ids", "defender_ids")}
        drawing = Drawing(Features(self._features, **asked), self._model_server)
        response: pb.PredictGhostsResponse = await self._answer(decision, drawing.of, context)
        _GHOSTS.labels(response.arm, response.model_version).inc(len(response.ghosts))
        await _tell(response, context)
        return response

    async def PredictPassOutcomes(self, request: pb.PredictPassOutcomesRequest, context: Any) -> Message:
        """Predict how a pass to each of some targets ends."""
        decision = self._forecasting(request, "pass-outcome", context)
        forecasting = PassOutcomes(
            Features(self._features, source=request.source, target_ids=request.target_ids),
            self._model_server,
            self._drawing(request, context),
            request.ghost_draws,
            request.by_defender,
        )
        response: pb.PredictPassOutcomesResponse = await self._answer(decision, forecasting.of, context)
        _FORECASTS.labels(response.arm, response.model_version).inc(len(response.forecasts))
        await _tell(response, context)
        return response

    async def PredictYardsAfterCatch(self, request: pb.PredictYardsAfterCatchRequest, context: Any) -> Message:
        """Predict how far each of some targets runs once he has caught a pass."""
        decision = self._forecasting(request, "yards-after-catch", context)
        forecasting = YardsAfterCatch(
            Features(self._features, source=request.source, target_ids=request.target_ids),
            self._model_server,
            self._drawing(request, context),
            request.ghost_draws,
        )
        response: pb.PredictYardsAfterCatchResponse = await self._answer(decision, forecasting.of, context)
        _RUNS.labels(response.arm, response.model_version).inc(len(response.forecasts))
        await _tell(response, context)
        return response

    def _forecasting(self, request: _Forecast, task: str, context: Any) -> Decision:
        """Who answers a call for forecasts, by the model that is named as its task is."""
        requests.at_most(request, target_ids=16)
        if request.ghost_draws > _MOST_DRAWS:
            told = f"is {request.ghost_draws}, must be at most {_MOST_DRAWS}"
            raise InvalidInput("FIELD_INVALID", [Violation("ghost_draws", told)])
        [decision] = self._decide(request.model or f"models/{task}", [_name_of(request.source)], context)
        _check_task(decision, task, "model")
        _pass_on(decision)
        return decision

    async def _answer(self, decision: Decision, attempt: Attempt[Attempted], context: Any) -> Any:
        """The response of the arm that answers, which it names; it is counted once the call is done."""
        arm, attempted = await self._answering.answer(decision, attempt)
        context.add_done_callback(lambda _: self._answering.conclude(decision, arm, attempted, attempt))
        attempted.response.arm, attempted.response.rollout = arm, decision.rollout.name if decision.rollout else ""
        return attempted.response

    def _drawing(self, request: _Forecast, context: Any) -> Draw:
        """What draws the ghosts of all defensive backs for every target of a call for forecasts."""

        async def draw(before_flight: bool) -> pb.PredictGhostsResponse:
            name = request.ghost_model or _DEFAULT_MODEL
            [decision] = self._decide(name, [_name_of(request.source)], context, may_choose_arm=False)
            _check_task(decision, "ghosting", "ghost_model")
            if decision.stable.manifest.setting != "live":
                told = f"{decision.stable.name} is {decision.stable.manifest.setting}, must be live"
                raise InvalidInput("FIELD_INVALID", [Violation("ghost_model", told)])
            asked = {"source": request.source, "target_ids": request.target_ids, "before_flight": before_flight}
            drawing = Drawing(Features(self._features, **asked), self._model_server)
            ghosts: pb.PredictGhostsResponse = await self._answer(decision, drawing.of, context)
            return ghosts

        return draw

    async def PredictTensors(self, request: pb.PredictTensorsRequest, context: Any) -> Message:
        """Run a model on tensors of many plays."""
        requests.at_most(request, plays=256)
        if not request.plays:
            raise InvalidInput("FIELD_REQUIRED", [Violation("plays", "is empty")])
        feature_set = requests.resource_id(request.feature_set, "featureSets", "feature_set")
        keys = [play.routing_key for play in request.plays]
        decided = self._decide(request.model or _DEFAULT_MODEL, keys, context)
        decisions = [decision.for_feature_set(feature_set) for decision in decided]
        runs = [
            Running(play, f"plays[{i}]", decision.stable, self._model_server)
            for i, (play, decision) in enumerate(zip(request.plays, decisions, strict=True))
        ]
        asked = [self._answering.answer(d, r.of) for d, r in zip(decisions, runs, strict=True)]
        answers = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        response = wire.view(pb.PredictTensorsResponse)()
        for decision, run, (arm, ran) in zip(decisions, runs, answers, strict=True):
            conclude = partial(self._answering.conclude, decision, arm, ran, run.of)
            context.add_done_callback(lambda _, conclude=conclude: conclude())
            ran.response.arm, ran.response.rollout = arm, decision.rollout.name if decision.rollout else ""
            response.plays.append(ran.response)
        return response

    def _decide(self, name: str, plays: Sequence[str], context: Any, may_choose_arm: bool = True) -> list[Decision]:
        match = _MODEL_NAME.fullmatch(name)
        if not match:
            form = "models/{model} or models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("model", f"{name!r} is not of the form {form}")])
        model, version = match.groups()
        if version:
            return [Decision(self._registry.get(model, version), arm="")] * len(plays)
        metadata: dict[str, str] = dict(context.invocation_metadata() or ())
        arm = metadata.get(ARM_KEY, "") if may_choose_arm else ""
        if arm:
            self._check_caller(context.peer())
        if ROUTING_KEY in metadata:
            keys = dict.fromkeys(RoutingKey, metadata[ROUTING_KEY])
            return [self._router.decide(model, keys, arm) for _ in plays]
        return [self._router.decide(model, _keys(play), arm) for play in plays]

    def _check_caller(self, peer: str) -> None:
        """Check that a caller may choose its arm, where its identity was not asked for that.

        `peer` as gRPC gives it, such as `ipv4:127.0.0.1:4711`.
        """
        if identity.caller.get():
            return
        address = identity.caller_at(peer)
        if not any(ip_address(address) in network for network in self._arm_callers):
            raise PermissionDenied("ARM_OVERRIDE_REFUSED", f"callers from {address} may not choose the arm", peer=peer)


def _name_of(source: source_pb2.PlaySource) -> str:
    name: str = source.name or source.play.name
    return name


def _check_task(decision: Decision, task: str, field: str) -> None:
    """Check that the model that a call asks does what the method is for."""
    does = decision.stable.manifest.task
    if does != task:
        told = f"models/{decision.stable.manifest.name} does {does}, must do {task}"
        raise InvalidInput("FIELD_INVALID", [Violation(field, told)])


def _pass_on(decision: Decision) -> None:
    """Have the calls to other services name the arm, and be known as those of one call."""
    arm = ((ARM_KEY, decision.arm),) if decision.arm else ()
    interceptor.passed_on.set((*arm, (MARK_KEY, uuid.uuid4().hex)))


async def _tell(response: _Response, context: Any) -> None:
    """Tell in the initial metadata who answered."""
    decided = {ARM_KEY: response.arm, "x-ghostback-rollout": response.rollout}
    decided["x-ghostback-model-version"] = response.model_version
    await context.send_initial_metadata(tuple((key, value) for key, value in decided.items() if value))


def _keys(play: str) -> dict[RoutingKey, str]:
    """What a play offers to route by."""
    request = interceptor.request_id.get()
    return {
        RoutingKey.PLAY: play or request,
        RoutingKey.GAME: play.partition("/plays/")[0] or request,
        RoutingKey.REQUEST: request,
    }
