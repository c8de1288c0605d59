"""Real messages that one version of the contract writes and another reads."""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from protos import images
from tests.contract.examples import example, variants


def messages(files: FileDescriptorSet) -> dict[str, Descriptor]:
    """Every message of ours in an image, by full name, in a pool of their own."""
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    ours = [pool.FindFileByName(file.name) for file in files.file if file.name.startswith("ghostback/")]
    return {found.full_name: found for file in ours for found in file.message_types_by_name.values()}


def differences(released: Path, current: Path) -> set[tuple[str, str]]:
    """What messages of either version lose or change when the other reads them: `wire` or `JSON`, and what."""
    old, new = messages(images.read(released)), messages(images.read(current))
    found = set()
    for name in old.keys() & new.keys():
        for writer, reader, older in ((old[name], new[name], False), (new[name], old[name], True)):
            for variant in variants(writer):
                sent = known(example(writer, variant, nested=False), reader, older)
                found |= {(layer, name) for layer in _changed(sent, GetMessageClass(reader))}
    return found


def _changed(sent: Message, reader: type[Message]) -> set[str]:
    layers = set()
    try:
        read = reader.FromString(sent.SerializeToString())
        if by_number(read) != by_number(sent):
            layers.add("wire")
        text = MessageToDict(sent)
        if not MessageToDict(read) == MessageToDict(ParseDict(text, reader())) == text:
            layers.add("JSON")
    except DecodeError:
        layers.add("wire")
    except ParseError:
        layers.add("JSON")
    return layers


def known(message: Message, reader: Descriptor, older: bool) -> Message:
    """The message without what the reader has reserved; without what is new, when the reader is older."""
    definition = DescriptorProto()
    reader.CopyToProto(definition)
    for field, value in message.ListFields():
        here = reader.fields_by_number.get(field.number)
        retired = any(reserved.start <= field.number < reserved.end for reserved in definition.reserved_range)
        new = here is None
        if here and here.enum_type and field.enum_type:
            values = value if field.is_repeated else [value]
            new = not set(values) <= set(here.enum_type.values_by_number)
        if retired or (older and new):
            message.ClearField(field.name)
    return message


def by_number(message: Message) -> dict[int, Any]:
    """A message's values by field number, whatever the fields are called."""
    return {field.number: _plain(value) for field, value in message.ListFields()}


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return by_number(value)
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, (bool, int, float, bytes)) else [_plain(item) for item in value]
