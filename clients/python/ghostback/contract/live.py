"""A contract held against running servers: its calls are made, in order."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ghostback import streams
from ghostback.client import Addresses, Client
from ghostback.contract import descriptors, offline, paths, state
from ghostback.contract.document import Contract, ContractError, Interaction, Refusal, Unreachable
from ghostback.contract.matching import Finding, Outcome, differences, shown
from ghostback.contract.servers import Targets

_UNANSWERED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, slots=True)
class _Answer:
    responses: list[Message]
    headers: Mapping[str, str]
    error: grpc.aio.AioRpcError | None


async def verify(
    contracts: Sequence[Contract],
    pool: DescriptorPool,
    targets: Targets,
    given: Mapping[str, str],
    simulate: bool = False,
) -> list[list[Outcome]]:
    """What came of each interaction of each contract; one that the descriptors break already is not called.

    Args:
        contracts: the contracts.
        pool: descriptors of their services.
        targets: the servers.
        given: values of variables; those that are left are looked up in ingest.
        simulate: whether a small simulated game is streamed into ingest first, and looked up.

    Raises:
        ContractError: a variable has no value.
        Unreachable: a server does not answer.
    """
    async with targets:
        values: dict[str, str] = dict(given)
        if simulate or any(contract.variables.keys() - given.keys() for contract in contracts):
            await targets.channel("ingest")
            values = await _state(targets, given, simulate) | values
        for contract in contracts:
            missing = sorted(contract.variables.keys() - values.keys())
            if missing:
                names = ", ".join(f"{name} ({contract.variables[name]})" for name in missing)
                raise ContractError(
                    f"ingest gives no {names}; give it with --set {missing[0]}=VALUE, or a small game with --simulate"
                )
        return [await _outcomes(contract, pool, targets, dict(values)) for contract in contracts]


async def _state(targets: Targets, given: Mapping[str, str], simulate: bool) -> dict[str, str]:
    try:
        async with Client(Addresses(ingest=targets.address("ingest")), security=targets.security) as client:
            return await (state.simulate(client) if simulate else state.look_up(client, given))
    except grpc.aio.AioRpcError as error:
        kind = Unreachable if error.code() in _UNANSWERED else ContractError
        raise kind(f"ingest does not give the state: {_told(error)}; give it with --set NAME=VALUE") from None


async def _outcomes(
    contract: Contract, pool: DescriptorPool, targets: Targets, values: dict[str, Any]
) -> list[Outcome]:
    return [await _outcome(interaction, pool, targets, values) for interaction in contract.interactions]


async def _outcome(interaction: Interaction, pool: DescriptorPool, targets: Targets, values: dict[str, Any]) -> Outcome:
    uncaptured = sorted(interaction.variables() - values.keys())
    if uncaptured:
        return Outcome(interaction, [Finding("request", f"${uncaptured[0]}", "the call that gives it broke")])
    findings = list(offline.findings(interaction, pool))
    if findings:
        return Outcome(interaction, findings)
    filled = interaction.filled(values)
    method = descriptors.method(pool, filled.call)
    request_type = GetMessageClass(method.input_type)
    try:
        requests = [ParseDict(each, request_type(), descriptor_pool=pool) for each in filled.sent]
    except ParseError as error:
        return Outcome(interaction, [Finding("request", f"a {method.input_type.full_name}", str(error))])
    channel = await targets.channel(filled.target)
    start = time.perf_counter()
    answer = await _call(channel, method, requests, filled)
    seconds = time.perf_counter() - start
    findings = list(_refusal(filled.error, answer) if filled.error else _answer(filled, answer))
    for name, path in filled.capture.items() if answer.responses else ():
        where, value = next(paths.find(answer.responses[-1], path))
        if value is paths.ABSENT:
            findings.append(Finding(f"response.{where}", f"a value for ${name}", "nothing"))
        else:
            values[name] = _plain(value)
    return Outcome(interaction, findings, seconds)


async def _call(
    channel: grpc.aio.Channel, method: MethodDescriptor, requests: list[Message], interaction: Interaction
) -> _Answer:
    method_call: grpc.aio.StreamStreamMultiCallable[Message, Message] = channel.stream_stream(
        f"/{interaction.call}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    rpc = method_call(iter(requests), timeout=interaction.timeout, metadata=tuple(interaction.metadata.items()))
    streams.keep_server_status(rpc)
    responses: list[Message] = []
    headers: dict[str, str] = {}
    try:
        headers = {key: value for key, value in await rpc.initial_metadata() or () if isinstance(value, str)}
        while interaction.reads is None or len(responses) < interaction.reads:
            response = await rpc.read()
            if not isinstance(response, Message):
                break
            responses.append(response)
        else:
            rpc.cancel()
    except grpc.aio.AioRpcError as error:
        return _Answer(responses, headers, error)
    return _Answer(responses, headers, None)


def _answer(interaction: Interaction, answer: _Answer) -> Iterator[Finding]:
    if answer.error:
        yield Finding("response", "an answer", _told(answer.error))
        return
    wanted = interaction.reads or 1
    if len(answer.responses) < wanted:
        yield Finding("response", f"{wanted} of them", str(len(answer.responses)))
    for i, response in enumerate(answer.responses):
        before = f"response[{i}]." if interaction.reads else "response."
        for path, matcher in interaction.response.items():
            for where, value in paths.find(response, path):
                yield from differences(matcher, value, f"{before}{where}")
    for key, matcher in interaction.headers.items():
        yield from differences(matcher, answer.headers.get(key, paths.ABSENT), f"headers.{key}")


def _refusal(expected: Refusal, answer: _Answer) -> Iterator[Finding]:
    if answer.error is None:
        got = shown(answer.responses[0]) if answer.responses else "no response"
        yield Finding("error.code", expected.code, f"OK: {got}")
        return
    if answer.error.code().name != expected.code:
        yield Finding("error.code", f"{expected.code} {expected.reason}".strip(), _told(answer.error))
        return
    reason, fields = details(answer.error)
    if expected.reason and reason != expected.reason:
        yield Finding("error.reason", expected.reason, reason or "none")
    for field in expected.fields:
        if field not in fields:
            yield Finding("error.fields", field, ", ".join(fields) or "none")


def details(error: grpc.aio.AioRpcError) -> tuple[str, list[str]]:
    """The reason of an error, and the fields that it names."""
    reason, fields = "", []
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(request):
            fields = [violation.field for violation in request.field_violations]
    return reason, fields


def _told(error: grpc.aio.AioRpcError) -> str:
    reason, _ = details(error)
    return f"{error.code().name}{f' {reason}' if reason else ''}: {error.details()}"


def _plain(value: Any) -> Any:
    """A value as proto JSON has it."""
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True)
    return [_plain(each) for each in value] if isinstance(value, list) else value
