"""A contract drafted from recorded calls: the requests as they were, of the answers what was set, by type."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ghostback.contract import descriptors, matching, paths
from ghostback.contract.document import Contract, Matcher
from ghostback.contract.recording import Exchange

_RESOURCES = {
    "play": re.compile(r"games/[\w-]+/plays/[\w-]+"),
    "game": re.compile(r"games/[\w-]+"),
}
_SHORTEST_CAPTURE = 4


class Draft:
    """A contract in the making."""

    def __init__(self, consumer: str, pool: DescriptorPool, request_limit: int) -> None:
        """Begin an empty one.

        Args:
            consumer: the consumer's name.
            pool: descriptors of the services called.
            request_limit: bytes of the requests of a call; those with more are left out.
        """
        self._consumer = consumer
        self._pool = pool
        self._limit = request_limit
        self._variables: dict[str, str] = {}
        self._interactions: list[dict[str, Any]] = []
        self._answered: dict[str, tuple[int, str]] = {}

    def add(self, exchange: Exchange) -> str:
        """Add a call; gives the reason why it was left out, or nothing."""
        if exchange.request_bytes > self._limit:
            return f"its requests have {exchange.request_bytes:,} bytes, more than --max-bytes {self._limit:,}"
        try:
            method = descriptors.method(self._pool, exchange.call)
        except LookupError as error:
            return str(error)
        if exchange.code == "OK" and not exchange.responses:
            return "it was not answered"
        requests = [GetMessageClass(method.input_type).FromString(each) for each in exchange.requests]
        sent = [self._with_variables(MessageToDict(each, preserving_proto_field_name=True)) for each in requests]
        interaction: dict[str, Any] = {"name": self._name(method.name, exchange), "call": exchange.call}
        if exchange.server != exchange.call.split(".")[1]:
            interaction["server"] = exchange.server
        interaction |= {"requests": sent} if method.client_streaming else {"request": sent[0]}
        if exchange.metadata:
            interaction["metadata"] = self._with_variables(exchange.metadata)
        if exchange.code != "OK":
            refusal = {"code": exchange.code, "reason": exchange.reason, "fields": exchange.fields}
            interaction["error"] = {key: value for key, value in refusal.items() if value}
        else:
            responses = [GetMessageClass(method.output_type).FromString(each) for each in exchange.responses]
            if method.server_streaming:
                interaction["reads"] = len(responses)
            interaction["response"] = _relied_on(responses)
            for where, text in _texts(responses[-1], ""):
                self._answered.setdefault(text, (len(self._interactions), where))
        self._interactions.append(interaction)
        return ""

    def contract(self) -> Contract:
        """The contract of the calls added, one at least."""
        return Contract.model_validate(
            {"consumer": self._consumer, "variables": self._variables, "interactions": self._interactions}
        )

    def _name(self, method: str, exchange: Exchange) -> str:
        refused = f" refuses: {exchange.reason or exchange.code}" if exchange.code != "OK" else ""
        return f"{method}{refused or ' answers'}"

    def _with_variables(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._with_variables(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._with_variables(each) for each in value]
        if not isinstance(value, str):
            return value
        for resource, form in _RESOURCES.items():
            if form.fullmatch(value):
                return f"${self._variable(resource, value)}"
        if len(value) >= _SHORTEST_CAPTURE and value in self._answered:
            return f"${self._captured(*self._answered[value])}"
        return value.replace("$", "$$")

    def _variable(self, resource: str, value: str) -> str:
        said = f"recorded with {value}"
        known = next((name for name, each in self._variables.items() if each == said), "")
        if known:
            return known
        count = sum(name.startswith(resource) for name in self._variables)
        name = f"{resource}_{count + 1}" if count else resource
        self._variables[name] = said
        return name

    def _captured(self, interaction: int, path: str) -> str:
        captures: dict[str, str] = self._interactions[interaction].setdefault("capture", {})
        name = "_".join(step.field for step in paths.parse(path))
        name = f"{name}_of_{interaction + 1}"
        captures[name] = path
        return name


def _relied_on(responses: list[Message]) -> dict[str, Any]:
    """What was set in all responses, with a matcher of its type."""
    wanted = dict(each for response in responses for each in _set(response, ""))
    return {
        path: matcher
        for path, matcher in wanted.items()
        if not any(
            difference
            for response in responses
            for where, value in paths.find(response, path)
            for difference in matching.differences(Matcher.model_validate(matcher), value, where)
        )
    }


def _set(message: Message, before: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for field, value in message.ListFields():
        at = f"{before}{field.name}"
        own = field.message_type and not field.message_type.full_name.startswith("google.protobuf.")
        if own and field.is_repeated:
            for each in value:
                yield from _set(each, f"{at}[*].")
        elif own:
            yield from _set(value, f"{at}.")
        elif field.message_type and field.message_type.full_name == "google.protobuf.Any" and not field.is_repeated:
            yield from _inside_any(value, at)
        elif field.is_repeated:
            yield at, {"type": f"repeated {paths.type_name(field)}", "length": [1, None]}
        else:
            yield at, {"type": paths.type_name(field)}


def _inside_any(value: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    type_ = value.TypeName()
    inside = GetMessageClass(value.DESCRIPTOR.file.pool.FindMessageTypeByName(type_))()
    value.Unpack(inside)
    yield from _set(inside, f"{at}[{type_}].")


def _texts(message: Message, before: str) -> Iterator[tuple[str, str]]:
    """Texts of an answer that a later request may pass on, each with its path."""
    for field, value in message.ListFields():
        at = f"{before}{field.name}"
        if field.message_type:
            listed: Iterable[Message] = value[:1] if field.is_repeated else [value]
            for each in listed:
                yield from _texts(each, f"{at}[0]." if field.is_repeated else f"{at}.")
        elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            yield value, at


def to_yaml(contract: Contract) -> str:
    """A contract as a file has it."""
    document = contract.model_dump(mode="json", exclude_unset=True, exclude_none=False)
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None))
