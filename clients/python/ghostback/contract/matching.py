"""What a contract expects, held against the types of the descriptors and against values."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from ghostback.contract.document import Interaction, Matcher, Scalar
from ghostback.contract.paths import ABSENT, Place

_LONGEST = 80
_MOST_TOLD = 10
_INTEGERS = frozenset(
    {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
    | {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
)
_NUMBERS = _INTEGERS | {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference: where in the interaction, what the consumer relies on, and what there is."""

    path: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one interaction; kept where nothing was found."""

    interaction: Interaction
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0


def type_differences(matcher: Matcher, place: Place, path: str) -> Iterator[Finding]:
    """What of a matcher can never hold for values of a type."""
    names = {place.type, *_kinds(place)}
    if matcher.type is not None and matcher.type not in names:
        yield Finding(path, f"type {matcher.type}", f"type {place.type}")
    needs = {
        "range": (matcher.range, "a number", "number" in names),
        "close": (matcher.close, "a number", "number" in names),
        "regex": (matcher.regex, "a text", "text" in names),
        "length": (matcher.length, "a list or a text", place.listed or "text" in names or "bytes" in names),
        "each": (matcher.each, "a list", place.listed),
    }
    for key, (given, wanted, good) in needs.items():
        if given is not None and not good:
            yield Finding(path, f"{key}, so {wanted}", f"type {place.type}")
    if matcher.each and place.listed:
        yield from type_differences(matcher.each, Place(place.field, listed=False), f"{path}[*]")
    value = Place(place.field, listed=False)
    for constant in _constants(matcher):
        if not _can_be(constant, value):
            yield Finding(path, f"{json.dumps(constant)} possible", f"type {value.type}{_choices(value)}")


def _kinds(place: Place) -> Iterator[str]:
    prefix = "repeated " if place.listed else ""
    if place.field.message_type:
        return
    if place.field.enum_type:
        yield from (f"{prefix}enum", f"{prefix}text")
    elif place.field.cpp_type in _NUMBERS:
        yield f"{prefix}number"
        if place.field.cpp_type in _INTEGERS:
            yield f"{prefix}integer"
    elif place.field.type == FieldDescriptor.TYPE_STRING:
        yield f"{prefix}text"


def _constants(matcher: Matcher) -> list[Scalar]:
    equal = [] if matcher.equal is None else matcher.equal if isinstance(matcher.equal, list) else [matcher.equal]
    constants: list[Scalar] = [*equal, *(matcher.one_of or [])]
    return [constant for constant in constants if not (isinstance(constant, str) and constant.startswith("$"))]


def _can_be(constant: Scalar, place: Place) -> bool:
    if place.field.enum_type:
        return constant in place.field.enum_type.values_by_name
    if place.field.cpp_type in _NUMBERS:
        whole = place.field.cpp_type in _INTEGERS
        return not isinstance(constant, bool) and isinstance(constant, int if whole else int | float)
    if place.field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return isinstance(constant, bool)
    return place.field.type == FieldDescriptor.TYPE_STRING and isinstance(constant, str)


def _choices(place: Place) -> str:
    return f" of {', '.join(place.field.enum_type.values_by_name)}" if place.field.enum_type else ""


def differences(matcher: Matcher, value: Any, path: str) -> Iterator[Finding]:
    """What of a matcher does not hold for a value: a number, a text, a message, a list of them, or `ABSENT`."""
    if matcher.present is not None and matcher.present != _is_present(value):
        yield Finding(path, "a value" if matcher.present else "nothing", shown(value))
    if value is ABSENT:
        if matcher.present is None:
            yield Finding(path, described(matcher), "nothing")
        return
    checks = {
        "equal": matcher.equal is None or value == matcher.equal,
        "one_of": matcher.one_of is None or value in matcher.one_of,
        "range": matcher.range is None or _between(value, *matcher.range),
        "close": matcher.close is None or _between(abs(value - matcher.close.to), 0, matcher.close.within),
        "regex": matcher.regex is None or re.fullmatch(matcher.regex, str(value)) is not None,
        "length": matcher.length is None or _between(len(value), *_bounds(matcher.length)),
    }
    for key, good in checks.items():
        if not good:
            got = f"{len(value)} values" if key == "length" and isinstance(value, list) else shown(value)
            yield Finding(path, described(Matcher(**{key: getattr(matcher, key)})), got)
    if matcher.each:
        for i, each in enumerate(value):
            yield from differences(matcher.each, each, f"{path}[{i}]")


def _is_present(value: Any) -> bool:
    return value is not ABSENT and (isinstance(value, Message) or bool(value))


def _between(value: float, least: float | None, greatest: float | None) -> bool:
    return (least is None or value >= least) and (greatest is None or value <= greatest)


def _bounds(length: int | tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    return length if isinstance(length, tuple) else (length, length)


def described(matcher: Matcher) -> str:
    """A matcher in words."""
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in matcher.model_dump(exclude_none=True).items())


def shown(value: Any) -> str:
    """A value as a difference shows it: JSON, cut when it is long."""
    if value is ABSENT:
        return "nothing"
    if isinstance(value, Message):
        value = MessageToDict(value, preserving_proto_field_name=True)
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def told(findings: list[Finding]) -> str:
    """Findings as text, each with what was expected above what was got; the first of many."""
    first = [f"{each.path}\n  expected  {each.expected}\n  got       {each.got}" for each in findings[:_MOST_TOLD]]
    more = len(findings) - len(first)
    return "\n".join([*first, f"and {more:,} more differences"] if more else first)
