"""What every server does, whatever it serves."""

import asyncio
import json
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ghostback.tracking.v1 import operation_service_pb2 as pb
from ghostback.tracking.v1.operation_service_pb2_grpc import OperationServiceStub
from tests.failures import failure
from tests.processes import Server, running, spawn

MODULE = "tests.integration.common.chassis_server"
SERVICE = "ghostback.tracking.v1.OperationService"


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with running(MODULE) as started:
        yield started


@pytest.fixture(scope="module")
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(server.address) as opened:
        yield opened


async def the_operation(stub: OperationServiceStub) -> str:
    return (await stub.ListOperations(pb.ListOperationsRequest())).operations[0].name


async def test_health_is_told_for_the_server_and_for_each_service(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == 1


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([request])):
        assert SERVICE in {service.name for service in response.list_services_response.service}


async def test_an_error_names_its_reason_and_field(channel: grpc.aio.Channel) -> None:
    stub = OperationServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.GetOperation(pb.GetOperationRequest(name="operations/none"))
    assert (failure(unknown.value).code, failure(unknown.value).reason) == ("NOT_FOUND", "OPERATION_UNKNOWN")
    with pytest.raises(grpc.aio.AioRpcError) as size:
        await stub.ListOperations(pb.ListOperationsRequest(page_size=-1))
    assert failure(size.value).code == "INVALID_ARGUMENT"
    assert failure(size.value).fields == {"page_size": "is -1, must be 0 to 1000"}
    with pytest.raises(grpc.aio.AioRpcError) as token:
        await stub.ListOperations(pb.ListOperationsRequest(page_token="forged"))
    assert failure(token.value).reason == "PAGE_TOKEN_INVALID"


async def test_a_message_within_a_request_that_is_none_is_an_invalid_argument(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await OperationServiceStub(channel).CancelOperation(pb.CancelOperationRequest(name="none"))
    assert (failure(refused.value).code, failure(refused.value).reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")


async def test_a_defect_tells_the_request_id_and_nothing_of_its_cause(
    server: Server, channel: grpc.aio.Channel
) -> None:
    stub = OperationServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as defect:
        await stub.CancelOperation(pb.CancelOperationRequest(), metadata=(("x-request-id", "abc123"),))
    told = failure(defect.value)
    assert (told.code, told.reason) == ("INTERNAL", "INTERNAL")
    assert "abc123" in told.message
    assert "secret" not in told.message
    logged = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert any(
        line["request_id"] == "abc123" and "secret detail" in str(line.get("exception"))
        for line in logged
        if "request_id" in line
    )


async def test_calls_are_counted_by_method_and_code(server: Server, channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await OperationServiceStub(channel).WaitOperation(pb.WaitOperationRequest(name="operations/none"))
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(server.metrics).read().decode())
    assert f'ghostback_grpc_calls_total{{code="NOT_FOUND",method="/{SERVICE}/WaitOperation"}} 1.0' in page


async def test_a_message_over_the_limit_is_refused() -> None:
    async with (
        running(MODULE, "--max-message-bytes=1000") as small,
        grpc.aio.insecure_channel(small.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as large:
            await OperationServiceStub(channel).GetOperation(pb.GetOperationRequest(name="x" * 2000))
        assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_at_sigterm_a_call_in_flight_ends_well_and_new_ones_are_refused() -> None:
    async with running(MODULE) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = OperationServiceStub(channel)
        request = pb.WaitOperationRequest(name=await the_operation(stub), timeout=Duration(seconds=2))
        in_flight = asyncio.ensure_future(stub.WaitOperation(request))
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await anext(aiter(health))).status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert (await anext(aiter(health))).status == health_pb2.HealthCheckResponse.NOT_SERVING
        async with grpc.aio.insecure_channel(server.address) as late:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await OperationServiceStub(late).ListOperations(pb.ListOperationsRequest(), timeout=1)
            assert refused.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        health.cancel()
        assert not (await in_flight).operation.done
        assert await server.process.wait() == 0


async def test_a_port_in_use_is_told_in_one_sentence(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "log"
    second = await spawn(MODULE, f"--port={server.address.split(':')[1]}", log=log)
    assert await second.wait() == 1
    assert "is the port in use?" in log.read_text()
    assert "Traceback" not in log.read_text()


async def test_help_names_the_settings(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert await (await spawn(MODULE, "--help", log=log)).wait() == 0
    assert "--drain-seconds" in log.read_text()
