"""A contract held against descriptors: does what the consumer calls and relies on still exist."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass

from ghostback.contract import descriptors, paths
from ghostback.contract.document import Contract, Interaction
from ghostback.contract.matching import Finding, Outcome, type_differences


def verify(contract: Contract, pool: DescriptorPool) -> list[Outcome]:
    """What came of each interaction."""
    return [Outcome(interaction, list(findings(interaction, pool))) for interaction in contract.interactions]


def findings(interaction: Interaction, pool: DescriptorPool) -> Iterator[Finding]:
    """What an interaction relies on and is not there."""
    try:
        method = descriptors.method(pool, interaction.call)
    except LookupError as error:
        yield Finding("call", interaction.call, str(error))
        return
    yield from _kind(interaction, method)
    for i, request in enumerate(interaction.sent):
        yield from _request(request, method.input_type, f"requests[{i}]" if interaction.requests else "request")
    for path, matcher in interaction.response.items():
        try:
            place = paths.resolve(method.output_type, path)
        except paths.PathError as error:
            yield Finding(f"response.{path}", "a field", str(error))
        else:
            yield from type_differences(matcher, place, f"response.{path}")
    for name, path in interaction.capture.items():
        try:
            paths.resolve(method.output_type, path)
        except paths.PathError as error:
            yield Finding(f"capture.{name}", f"a field {path}", str(error))
    reason = interaction.error.reason if interaction.error else ""
    if reason and reason not in descriptors.reasons(pool):
        yield Finding("error.reason", reason, "no such reason")


def _kind(interaction: Interaction, method: MethodDescriptor) -> Iterator[Finding]:
    if method.client_streaming and interaction.requests is None:
        yield Finding("request", "one request", "the method takes a stream: give `requests`")
    if not method.client_streaming and interaction.requests is not None:
        yield Finding("requests", "a stream of requests", "the method takes one request")
    if method.server_streaming and interaction.reads is None and interaction.error is None:
        yield Finding("response", "one response", "the method gives a stream: say with `reads` how many to read")
    if not method.server_streaming and interaction.reads is not None:
        yield Finding("reads", "a stream of responses", "the method gives one response")


def _request(request: dict[str, Any], descriptor: Descriptor, at: str) -> Iterator[Finding]:
    try:
        message = GetMessageClass(descriptor)()
        ParseDict(_without_variables(request), message, descriptor_pool=descriptor.file.pool)
    except ParseError as error:
        yield Finding(at, f"a {descriptor.full_name}", str(error))


def _without_variables(document: Any) -> Any:
    """A request without the values that only the provider's state gives; their fields stay, as null."""
    if isinstance(document, dict):
        return {name: None if _is_variable(each) else _without_variables(each) for name, each in document.items()}
    if isinstance(document, list):
        return [_without_variables(each) for each in document if not _is_variable(each)]
    return document


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and value.startswith("$") and value[1:].isidentifier()
