"""What goes over the wire stays what it was."""

import json

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass

from ghostback import wire
from tests.contract.examples import FIXED_WIDTH, GOLDEN, descriptors, example, golden


def ids(descriptor: Descriptor) -> str:
    return descriptor.full_name


def test_wire_bytes_and_json_are_the_golden_ones() -> None:
    assert golden() == [json.loads(line) for line in GOLDEN.read_text().splitlines()]


@pytest.mark.parametrize("line", GOLDEN.read_text().splitlines(), ids=lambda line: json.loads(line)["message"])
def test_the_golden_json_is_read_as_the_golden_bytes(line: str) -> None:
    entry = json.loads(line)
    descriptor = next(found for found in descriptors() if found.full_name == entry["message"])
    message = ParseDict(entry["json"], GetMessageClass(descriptor)())
    assert message.SerializeToString(deterministic=True).hex() == entry["wire"]


@pytest.mark.parametrize("descriptor", descriptors(), ids=ids)
def test_an_example_survives_the_wire(descriptor: Descriptor) -> None:
    message = example(descriptor)
    assert GetMessageClass(descriptor).FromString(message.SerializeToString()) == message


@pytest.mark.parametrize("descriptor", descriptors(), ids=ids)
def test_a_view_sends_the_very_same_bytes(descriptor: Descriptor) -> None:
    sent = example(descriptor).SerializeToString(deterministic=True)
    view = wire.view(GetMessageClass(descriptor))
    assert view.FromString(sent).SerializeToString(deterministic=True) == sent


@pytest.mark.parametrize("descriptor", descriptors(), ids=ids)
def test_a_view_reads_the_columns_that_were_sent(descriptor: Descriptor) -> None:
    message = example(descriptor)
    viewed = wire.view(GetMessageClass(descriptor)).FromString(message.SerializeToString())
    for field in descriptor.fields:
        if field.is_repeated and field.type in FIXED_WIDTH:
            np.testing.assert_array_equal(wire.read_column(viewed, field.name), list(getattr(message, field.name)))


def test_numbers_in_columns_are_packed_and_of_fixed_width() -> None:
    for descriptor in descriptors():
        if descriptor.name in {"Samples", "Path"}:
            columns = [field for field in descriptor.fields if field.is_repeated]
            assert all(field.type in FIXED_WIDTH and field.is_packed for field in columns)
