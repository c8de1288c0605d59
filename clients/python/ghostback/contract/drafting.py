"""A contract drafted from recorded calls: the requests as they were, of the answers what was set, by type."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ghostback.contract import descriptors, matching, paths
from ghostback.contract.document import Contract, Matcher
from ghostback.contract.recording import Exchange

_RESOURCE = re.compile(r"(games/[\w-]+)(/plays/[\w-]+)?")
_SHORTEST_CAPTURE = 4
_SAID = "recorded with "


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
        if not exchange.requests or (exchange.code == "OK" and not exchange.responses):
            return "it was given up before it was answered"
        requests = [GetMessageClass(method.input_type).FromString(each) for each in exchange.requests]
        fields = [MessageToDict(each, preserving_proto_field_name=True) for each in requests]
        sent = [self._message(each, method.input_type, exchange.reason) for each in fields]
        interaction: dict[str, Any] = {"name": self._name(method.name, exchange), "call": exchange.call}
        if exchange.server != exchange.call.split(".")[1]:
            interaction["server"] = exchange.server
        interaction |= {"requests": sent} if method.client_streaming else {"request": sent[0]}
        if exchange.metadata:
            interaction["metadata"] = {
                key: self._text(value, exchange.reason) for key, value in exchange.metadata.items()
            }
        if exchange.code != "OK":
            refusal = {"code": exchange.code, "reason": exchange.reason, "fields": exchange.fields}
            interaction["error"] = {key: value for key, value in refusal.items() if value}
        else:
            responses = [GetMessageClass(method.output_type).FromString(each) for each in exchange.responses]
            if method.server_streaming:
                interaction["reads"] = len(responses)
            interaction["response"] = _relied_on(responses)
            for text, where in _texts(responses[-1], ""):
                self._answered[text] = (len(self._interactions), where)
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

    def _message(self, fields: dict[str, Any], descriptor: Descriptor, reason: str) -> dict[str, Any]:
        return {name: self._value(each, descriptor.fields_by_name[name], reason) for name, each in fields.items()}

    def _value(self, value: Any, field: FieldDescriptor, reason: str) -> Any:
        if isinstance(value, list):
            return [self._value(each, field, reason) for each in value]
        if isinstance(value, dict) and field.message_type and _is_own(field):
            return self._message(value, field.message_type, reason)
        return self._text(value, reason) if field.type == FieldDescriptor.TYPE_STRING else value

    def _text(self, value: str, reason: str) -> str:
        resource = _RESOURCE.fullmatch(value)
        if resource and reason in ("GAME_UNKNOWN", "PLAY_UNKNOWN"):
            game = self._known(resource[1])
            return f"${game}{resource[2]}" if game and resource[2] else value
        if resource:
            kind = "game" if not resource[2] else "run" if reason == "PLAY_WITHOUT_PASS" else "play"
            return f"${self._variable(kind, value)}"
        if len(value) >= _SHORTEST_CAPTURE and value in self._answered:
            return f"${self._captured(*self._answered[value])}"
        return value.replace("$", "$$")

    def _variable(self, kind: str, value: str) -> str:
        known = self._known(value)
        if known:
            return known
        count = sum(re.fullmatch(rf"{kind}(_\d+)?", name) is not None for name in self._variables)
        name = f"{kind}_{count + 1}" if count else kind
        self._variables[name] = f"{_SAID}{value}"
        return name

    def _known(self, value: str) -> str:
        return next((name for name, each in self._variables.items() if each == f"{_SAID}{value}"), "")

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
        own = _is_own(field)
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


def _is_own(field: FieldDescriptor) -> bool:
    return field.message_type is not None and not field.message_type.full_name.startswith("google.")


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


class _Short(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    pass


_Dumper.add_representer(
    _Short, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)
)


def to_yaml(contract: Contract) -> str:
    """A contract as a file has it."""
    document = contract.model_dump(mode="json", exclude_unset=True)
    for interaction in document["interactions"]:
        response = interaction.get("response", {})
        response |= {path: _Short(matcher) for path, matcher in response.items()}
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return str(text)
