"""Field masks: the part of a message that a caller wants to read."""

from typing import Any, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from services.common.errors import InvalidInput, Violation

M = TypeVar("M", bound=Message)


def check(mask: FieldMask, message: type[Message], field: str = "read_mask") -> None:
    """Check that a mask names fields that are there.

    Raises:
        InvalidInput: it names others.
    """
    descriptor: Any = message.DESCRIPTOR
    there = ", ".join(each.name for each in descriptor.fields)
    wrong = [path for path in mask.paths if not FieldMask(paths=[path]).IsValidForDescriptor(descriptor)]
    if wrong:
        violations = [Violation(field, f"{path!r} is no field of {descriptor.name}: {there}") for path in wrong]
        raise InvalidInput("FIELD_INVALID", violations)


def masked(message: M, mask: FieldMask) -> M:
    """The fields of a message that a mask names; all of them where it names none."""
    if not mask.paths:
        return message
    part = type(message)()
    FieldMask(paths=mask.paths).MergeMessage(message, part)
    return part
