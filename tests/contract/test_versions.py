"""Messages of earlier, of this, and of future versions of the contract reach each other whole."""

from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostback import wire
from ghostback.play import SAMPLE_DTYPES
from protos import images
from tests.contract.examples import FIXED_WIDTH, descriptors, example, variants
from tests.contract.exchange import differences, messages

RELEASES = images.releases()
RELEASED = messages(images.read(RELEASES[0]))
HERE = {descriptor.full_name: descriptor for descriptor in descriptors()}
TEXT, MESSAGE = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE
MOST = 2.0**127
"""Protobuf's JSON rounds the highest floats up to what it then refuses to read as a float."""
VALUES: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(0, 20),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(-MOST, MOST, width=32) | st.sampled_from([-inf, inf, nan]),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False) | st.just(nan),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_STRING: st.text(max_size=5),
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images.compile_protos(images.PROTOS, tmp_path_factory.mktemp("image") / "image.binpb")


def sent(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.stem)
def test_this_version_and_a_release_read_each_other(release: Path, image: Path) -> None:
    assert differences(release, image) == set()


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.stem)
def test_a_message_passes_through_a_client_of_a_release_unharmed(release: Path) -> None:
    for name, old in messages(images.read(release)).items():
        for variant in variants(HERE[name]):
            message = example(HERE[name], variant)
            passed = GetMessageClass(old).FromString(sent(message)).SerializeToString()
            assert GetMessageClass(HERE[name]).FromString(passed) == message


@given(st.sampled_from(sorted(RELEASED)), st.data())
@settings(deadline=None, max_examples=150)
def test_any_message_of_the_last_release_is_read_here_and_the_reverse(name: str, data: st.DataObject) -> None:
    old, here = GetMessageClass(RELEASED[name]), GetMessageClass(HERE[name])
    message = data.draw(anything(RELEASED[name]))
    read = here.FromString(sent(message))
    assert sent(read) == sent(message)
    assert sent(wire.view(here).FromString(sent(message))) == sent(message)
    assert MessageToDict(read) == MessageToDict(message)
    assert sent(ParseDict(MessageToDict(message), here())) == sent(message)
    answer = data.draw(anything(HERE[name]))
    assert sent(here.FromString(sent(old.FromString(sent(answer))))) == sent(answer)


@st.composite
def anything(draw: st.DrawFn, descriptor: Descriptor) -> Message:
    """A message with any of its fields set to anything."""
    message = GetMessageClass(descriptor)()
    fields = list(descriptor.fields)
    for field in draw(st.lists(st.sampled_from(fields), unique=True)) if fields else ():
        if field.message_type and field.message_type.file.package.startswith("google."):
            continue
        value = anything(field.message_type) if field.message_type else VALUES[field.cpp_type]
        if field.type == FieldDescriptor.TYPE_BYTES:
            value = st.binary(max_size=5)
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value, max_size=3)))
        elif field.message_type:
            getattr(message, field.name).CopyFrom(draw(value))
        else:
            setattr(message, field.name, draw(value))
    return message


def future(files: FileDescriptorSet) -> dict[str, Descriptor]:
    """The messages of a version to come: a text, a column, a message, and values of enums and oneofs are new."""
    for file in files.file:
        if file.name.startswith("ghostback/"):
            for enum in file.enum_type:
                enum.value.add(name=f"{enum.name}_NEW", number=1_000)
            for message in file.message_type:
                part = f".{file.package}.{message.name}.New"
                message.nested_type.add(name="New").field.add(name="text", number=1, label=1, type=TEXT)
                message.field.add(name="new_text", number=1_000, label=1, type=TEXT)
                message.field.add(name="new_column", number=1_001, label=3, type=FieldDescriptor.TYPE_DOUBLE)
                message.field.add(name="new_part", number=1_002, label=1, type=MESSAGE, type_name=part)
                for i in {field.oneof_index for field in message.field if field.HasField("oneof_index")}:
                    if not any(field.oneof_index == i and field.proto3_optional for field in message.field):
                        message.field.add(name=f"new_{i}", number=2_000 + i, label=1, type=TEXT, oneof_index=i)
    return messages(files)


@pytest.fixture(scope="module")
def newer(image: Path) -> dict[str, Descriptor]:
    return future(images.read(image))


@pytest.mark.parametrize("viewed", [False, True], ids=["generated", "view"])
def test_what_a_future_version_adds_passes_through_unharmed(newer: dict[str, Descriptor], viewed: bool) -> None:
    for name, descriptor in newer.items():
        here = GetMessageClass(HERE[name])
        for variant in variants(descriptor):
            message = example(descriptor, variant)
            read = (wire.view(here) if viewed else here).FromString(sent(message))
            assert GetMessageClass(descriptor).FromString(read.SerializeToString()) == message, name


def test_a_view_still_reads_the_columns_of_a_future_version(newer: dict[str, Descriptor]) -> None:
    name = "ghostback.tracking.v1.Samples"
    message: Any = example(newer[name])
    viewed = wire.view(GetMessageClass(HERE[name])).FromString(sent(message))
    for column in SAMPLE_DTYPES:
        assert wire.read_column(viewed, column).tolist() == list(getattr(message, column))
    assert wire.with_unpacked(viewed) is viewed


def test_a_view_reads_columns_that_their_sender_did_not_pack(image: Path) -> None:
    files = images.read(image)
    for file in files.file:
        for column in (field for message in file.message_type for field in message.field):
            if column.label == column.LABEL_REPEATED and column.type in FIXED_WIDTH:
                column.options.packed = False
    for name, descriptor in messages(files).items():
        message: Any = example(descriptor)
        viewed = wire.view(GetMessageClass(HERE[name])).FromString(sent(message))
        for field in descriptor.fields:
            if field.is_repeated and field.type in FIXED_WIDTH:
                assert not field.is_packed
                assert wire.read_column(viewed, field.name).tolist() == list(getattr(message, field.name))


def test_what_a_future_version_adds_is_left_out_of_json_when_asked(newer: dict[str, Descriptor]) -> None:
    for name, descriptor in newer.items():
        here = GetMessageClass(HERE[name])
        content = MessageToDict(example(descriptor, 1))
        read = ParseDict(content, here(), ignore_unknown_fields=True)
        assert not any(key.startswith("new") for key in MessageToDict(read))
        with pytest.raises(ParseError):
            ParseDict(content, here())
