"""What tests do with rollouts of the model `chaser`, over gRPC."""

from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict

from ghostback import convert, wire
from ghostback.client import Client
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2
from ghostback.predict.v1 import rollout_service_pb2 as pb
from tests.candidates import BETTER, MODEL, STABLE

SECONDS = 20.0


async def pinned(client: Client) -> None:
    """Put the version into service that the tests call stable: without any, the highest sound one is."""
    rollout = await create(client, version=STABLE, mode="ROLLOUT_MODE_BLUE_GREEN", steps=[])
    await act(client, "PromoteRollout", rollout.name, full=True)


def policy(version: str = BETTER, percent: float = 50, mode: str = "ROLLOUT_MODE_CANARY", **changes: Any) -> Any:
    fields = {
        "model": f"models/{MODEL}",
        "mode": mode,
        "arms": [{"name": "candidate", "version": version}],
        "steps": [{"weights": [{"arm": "candidate", "percent": percent}], "dwell": "3600s"}],
    }
    return ParseDict(fields | changes, wire.view(pb.RolloutPolicy)())


async def create(client: Client, **changes: Any) -> Any:
    request = wire.view(pb.CreateRolloutRequest)(policy=policy(**changes), actor="ann", reason="a test")
    return (await client.rollouts.CreateRollout(request, timeout=SECONDS)).rollout


async def act(client: Client, method: str, name: str, **fields: Any) -> Any:
    request = getattr(pb, f"{method}Request")(name=name, actor="ann", **fields)
    return (await getattr(client.rollouts, method)(request, timeout=SECONDS)).rollout


async def get(client: Client, name: str) -> Any:
    return (await client.rollouts.GetRollout(pb.GetRolloutRequest(name=name), timeout=SECONDS)).rollout


async def until(client: Client, name: str, state: str, seconds: float = SECONDS) -> Any:
    """Watch until it is in a state."""
    watch = client.rollouts.WatchRollout(pb.WatchRolloutRequest(name=name), timeout=seconds)
    async for response in watch:
        if pb.RolloutState.Name(response.rollout.state) == f"ROLLOUT_STATE_{state}":
            return response.rollout
    raise AssertionError(f"{name} was never {state}")


async def ask(client: Client, play: Play, key: str = "", arm: str = "", model: str = f"models/{MODEL}") -> Any:
    """One call; gives the response and its initial metadata."""
    request = wire.view(predict_service_pb2.PredictGhostsRequest)(model=model)
    request.source.play.CopyFrom(convert.play_to_message(play))
    metadata = [(n, v) for n, v in (("x-ghostback-routing-key", key), ("x-ghostback-arm", arm)) if v]
    call = client.predict.PredictGhosts(request, timeout=SECONDS, metadata=metadata)
    response = await call
    return response, dict(await call.initial_metadata())


def first_step(response: Any) -> np.ndarray:
    return np.array([convert.path_from_message(ghost.path, "path")[1] for ghost in response.ghosts])


async def right(client: Client, play: Play, response: Any) -> bool:
    """Whether the ghosts are those of the version that the response names."""
    named, _ = await ask(client, play, model=response.model_version)
    return np.array_equal(first_step(named), first_step(response))
