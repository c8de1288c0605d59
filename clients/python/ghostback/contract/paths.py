"""Paths into messages, such as `ghosts[*].path.x[0]`.

A step is a field's name, with `[n]` for one value of a list or `[*]` for each of them. `[type.name]` looks into a
`google.protobuf.Any`: `operation.response[ghostback.score.v1.EvaluateModelResult].model_version`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

_STEP = re.compile(r"(\w+)(?:\[(\d+|\*)\])?(?:\[([A-Za-z][\w.]*)\])?(?:\.(?=\w)|$)")
_ANY = "google.protobuf.Any"


class PathError(ValueError):
    """A path leads nowhere; the message says at which step."""


class Absent:
    """The value of what is not set, or of each of no values."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Step:
    """A step: into a field, one value of it (`*`: each; empty: all as they are), as a type where it is an Any."""

    field: str
    index: str
    type: str


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to by the descriptors: a field, as a list or as a value of its own."""

    field: FieldDescriptor
    listed: bool

    @property
    def type(self) -> str:
        """Type as the contract names it, such as `repeated float` or `ghostback.tracking.v1.Setting`."""
        return f"{'repeated ' if self.listed else ''}{type_name(self.field)}"


def type_name(field: FieldDescriptor) -> str:
    """Type of a field, or of a value of it, as the contract names it."""
    described = field.message_type or field.enum_type
    if described:
        return str(described.full_name)
    types = descriptor_pb2.FieldDescriptorProto.DESCRIPTOR.enum_types_by_name["Type"]
    return str(types.values_by_number[field.type].name).removeprefix("TYPE_").lower()


def parse(path: str) -> list[Step]:
    """The steps of a path.

    Raises:
        PathError: it is not of the form.
    """
    steps: list[Step] = []
    position = 0
    while position < len(path) or not steps:
        match = _STEP.match(path, position)
        if not match or match.end() == position:
            raise PathError(f"{path!r} is no path; `ghosts[*].path.x` is one")
        steps.append(Step(match[1], match[2] or "", match[3] or ""))
        position = match.end()
    return steps


def resolve(descriptor: Descriptor, path: str) -> Place:
    """What a path leads to in messages of a type.

    Raises:
        PathError: it is not of the form, or leads nowhere.
    """
    steps = parse(path)
    at: Descriptor | None = descriptor
    for i, step in enumerate(steps):
        if at is None:
            raise PathError(f"{steps[i - 1].field} is no message, so it has no {step.field}")
        field = at.fields_by_name.get(step.field)
        if field is None:
            raise PathError(f"{at.full_name} has no field {step.field}")
        if step.index and not field.is_repeated:
            raise PathError(f"{step.field} is no list")
        place = Place(field, field.is_repeated and not step.index)
        if place.listed and i + 1 < len(steps):
            raise PathError(f"{step.field} is a list: {step.field}[*] means each of its values, {step.field}[0] one")
        at = _inside(field, step, descriptor)
    return place


def _inside(field: FieldDescriptor, step: Step, root: Descriptor) -> Descriptor | None:
    if not step.type:
        return field.message_type
    if field.message_type is None or field.message_type.full_name != _ANY:
        raise PathError(f"{step.field} is no {_ANY}, so it is not looked into as {step.type}")
    try:
        return root.file.pool.FindMessageTypeByName(step.type)
    except KeyError:
        raise PathError(f"there is no message {step.type}") from None


def find(message: Message, path: str) -> Iterator[tuple[str, Any]]:
    """The values that a path leads to, each with its own path; `ABSENT` where it leads to nothing.

    Enum values are given by name, a float as the shortest number that is stored the same.

    Raises:
        PathError: the path leads nowhere in messages of the type.
    """
    resolve(_type(message), path)
    yield from _find(message, parse(path), "")


def _find(message: Message, steps: list[Step], before: str) -> Iterator[tuple[str, Any]]:
    step, rest = steps[0], steps[1:]
    field = _type(message).fields_by_name[step.field]
    at = f"{before}.{step.field}" if before else step.field
    for where, value in _values(message, field, step.index, at):
        inside = _unpacked(value, step.type) if step.type else value
        if rest and not isinstance(inside, Absent):
            yield from _find(inside, rest, where)
        else:
            yield where, inside


def _values(message: Message, field: FieldDescriptor, index: str, at: str) -> Iterator[tuple[str, Any]]:
    if not field.is_repeated:
        unset = field.has_presence and not message.HasField(field.name)
        yield at, ABSENT if unset else _value(field, getattr(message, field.name))
        return
    values = getattr(message, field.name)
    if not index:
        yield at, [_value(field, value) for value in values]
    elif index == "*":
        yield from ((f"{at}[{i}]", _value(field, value)) for i, value in enumerate(values))
        if not values:
            yield f"{at}[*]", ABSENT
    else:
        i = int(index)
        yield f"{at}[{i}]", _value(field, values[i]) if i < len(values) else ABSENT


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    return float(str(np.float32(value))) if field.type == FieldDescriptor.TYPE_FLOAT else value


def _unpacked(value: Any, name: str) -> Message | Absent:
    if isinstance(value, Absent) or value.TypeName() != name:
        return ABSENT
    inside = GetMessageClass(_type(value).file.pool.FindMessageTypeByName(name))()
    try:
        inside.ParseFromString(value.value)
    except DecodeError:
        return ABSENT
    return inside


def _type(message: Message) -> Descriptor:
    return cast(Descriptor, message.DESCRIPTOR)
