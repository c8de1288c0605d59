"""What health tells of services that are checked."""

import asyncio
from typing import Any, cast

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from ghostback.features.v1 import features_service_pb2
from services.common import health
from services.common.errors import Unavailable
from services.common.health import LIVENESS, OVERALL, Health, Service

DESCRIPTOR = features_service_pb2.DESCRIPTOR.services_by_name["FeaturesService"]
NAME = DESCRIPTOR.full_name
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
NOBODY = cast(Any, None)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.01)


async def told(of: Health, name: str) -> HealthCheckResponse.ServingStatus:
    return (await of.Check(HealthCheckRequest(service=name), NOBODY)).status


async def test_only_the_process_is_well_before_the_services_are_there() -> None:
    starting = Health()
    assert [await told(starting, name) for name in (LIVENESS, OVERALL, NAME)] == [SERVING, NOT_SERVING, NOT_SERVING]


async def test_a_service_is_ready_as_long_as_its_check_says_so() -> None:
    problem = ""

    async def check() -> None:
        if problem:
            raise Unavailable("STORAGE_UNAVAILABLE", problem)

    tells = Health()
    async with tells.follow([Service(DESCRIPTOR, object(), check)]), asyncio.timeout(5):
        watched = aiter(tells.Watch(HealthCheckRequest(service=NAME), NOBODY))
        assert (await anext(watched)).status == SERVING
        problem = "away"
        assert (await anext(watched)).status == NOT_SERVING
        assert [await told(tells, name) for name in (LIVENESS, OVERALL)] == [SERVING, NOT_SERVING]
        problem = ""
        assert (await anext(watched)).status == SERVING


async def test_a_service_whose_check_does_not_end_is_not_ready() -> None:
    hanging, hung = asyncio.Event(), False

    async def check() -> None:
        if hung:
            await hanging.wait()

    tells = Health()
    async with tells.follow([Service(DESCRIPTOR, object(), check)]), asyncio.timeout(5):
        watched = aiter(tells.Watch(HealthCheckRequest(service=NAME), NOBODY))
        assert (await anext(watched)).status == SERVING
        hung = True
        assert (await anext(watched)).status == NOT_SERVING
        hung = False
        hanging.set()
        assert (await anext(watched)).status == SERVING


async def test_watchers_are_told_and_let_go_when_the_server_drains() -> None:
    tells = Health()
    async with tells.follow([Service(DESCRIPTOR, object())]), asyncio.timeout(5):
        watched = aiter(tells.Watch(HealthCheckRequest(service=NAME), NOBODY))
        assert (await anext(watched)).status == SERVING
        tells.drain()
        assert [each.status async for each in watched] == [NOT_SERVING]
        assert await told(tells, LIVENESS) == SERVING
