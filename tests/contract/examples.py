"""Filled examples of every message of the contract, and the golden file of their wire bytes and JSON.

`python -m tests.contract.examples` writes the golden file again; do that only when a message was
added or a field was added to one.
"""

import importlib
import json
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

MODULES = (
    "tracking.v1.error_reason",
    "tracking.v1.operation_service",
    "tracking.v1.play",
    "tracking.v1.samples",
    "tracking.v1.source",
    "ingest.v1.ingest_service",
    "features.v1.features_service",
    "predict.v1.predict_service",
    "predict.v1.rollout_service",
    "score.v1.score_service",
    "score.v1.statistics_service",
)
GOLDEN = Path(__file__).with_name("golden.jsonl")
FIXED_WIDTH = {
    FieldDescriptor.TYPE_FLOAT,
    FieldDescriptor.TYPE_DOUBLE,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED32,
    FieldDescriptor.TYPE_SFIXED64,
}
UNSIGNED = (
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
)
WIDE = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64, FieldDescriptor.CPPTYPE_DOUBLE)


def descriptors() -> list[Descriptor]:
    """Every message of the contract."""
    files = [importlib.import_module(f"ghostback.{module}_pb2").DESCRIPTOR for module in MODULES]
    return [message for file in files for message in file.message_types_by_name.values()]


def example(descriptor: Descriptor, variant: int = 0, *, nested: bool = True) -> Message:
    """A message with every field set, of a oneof one: `variant` chooses it, the values of enums, and numbers.

    Variant 0 has numbers made of the field's, and the last of oneofs and enums; variants 1 and 2 have the
    largest and the smallest numbers. Without `nested` the messages in it are empty.
    """
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if oneof and field is not oneof.fields[(variant - 1) % len(oneof.fields)]:
            continue
        values = [_value(field, i, variant, nested) for i in range(2 if field.is_repeated else 1)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return message


def variants(descriptor: Descriptor) -> range:
    """As many variants as show every enum value and every member of a oneof."""
    enums = [len(field.enum_type.values) for field in descriptor.fields if field.enum_type]
    return range(max([3, *enums, *(len(oneof.fields) for oneof in descriptor.oneofs)]))


def _value(field: FieldDescriptor, i: int, variant: int, nested: bool) -> object:
    seed = field.number + i
    if field.message_type:
        own = nested and field.message_type.full_name.startswith("ghostback.")
        return example(field.message_type, variant) if own else GetMessageClass(field.message_type)()
    if field.enum_type:
        return field.enum_type.values[(variant - 1 - i * bool(variant)) % len(field.enum_type.values)].number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return f"{field.name}-{seed}".encode()
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return f"{field.name}-{seed}" + "é☂" * bool(variant)
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            largest = 2.0 ** (1000 if field.cpp_type in WIDE else 100)
            return (seed + 0.5, largest, -1 / largest)[variant % 3]
        case _:
            bits = 64 if field.cpp_type in WIDE else 32
            largest = 2**bits - 1 if field.type in UNSIGNED else 2 ** (bits - 1) - 1
            return (seed, largest, 0 if field.type in UNSIGNED else -largest - 1)[variant % 3]


def golden() -> list[dict[str, Any]]:
    """Name, wire bytes (hexadecimal) and JSON of every message; of one with a oneof, for each member of it."""
    lines = []
    for descriptor in descriptors():
        for variant in range(max([1, *(len(oneof.fields) for oneof in descriptor.oneofs)])):
            message = example(descriptor, variant)
            wire = message.SerializeToString(deterministic=True).hex()
            lines.append({"message": descriptor.full_name, "wire": wire, "json": MessageToDict(message)})
    return lines


if __name__ == "__main__":
    GOLDEN.write_text("".join(json.dumps(line) + "\n" for line in golden()))
