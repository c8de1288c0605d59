"""A filled example of every message of the contract, and the golden file of their wire bytes.

`python -m tests.contract.examples` writes the golden file again; do that only when a message was
added or a field was added to one.
"""

import importlib
import json
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor
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
)
GOLDEN = Path(__file__).with_name("golden.json")


def descriptors() -> list[Descriptor]:
    """Every message of the contract."""
    files = [importlib.import_module(f"ghostback.{module}_pb2").DESCRIPTOR for module in MODULES]
    return [message for file in files for message in file.message_types_by_name.values()]


def example(descriptor: Descriptor) -> Message:
    """A message with every field set to a value made of its number; of a oneof, the last."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        repeats = 2 if field.is_repeated else 1
        values = [_value(field, i) for i in range(repeats)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return message


def _value(field: FieldDescriptor, i: int) -> object:
    seed = field.number + i
    if field.message_type:
        own = field.message_type.full_name.startswith("ghostback.")
        return example(field.message_type) if own else GetMessageClass(field.message_type)()
    if field.enum_type:
        return field.enum_type.values[-1].number
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return (
                f"{field.name}-{seed}".encode() if field.type == FieldDescriptor.TYPE_BYTES else f"{field.name}-{seed}"
            )
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return seed + 0.5
        case _:
            return seed


def wire_bytes() -> dict[str, str]:
    """Wire bytes of every example, hexadecimal, by message name."""
    return {d.full_name: example(d).SerializeToString(deterministic=True).hex() for d in descriptors()}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(wire_bytes(), indent=1, sort_keys=True) + "\n")
