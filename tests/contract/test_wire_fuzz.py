"""Whatever a sender does to a batch, its rows are read as the generated classes read them, or not at all."""

import struct

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostback import convert, wire
from ghostback.convert import InvalidMessage
from ghostback.play import SAMPLE_DTYPES, Samples
from ghostback.tracking.v1 import samples_pb2

FIELDS = {name: samples_pb2.Samples.DESCRIPTOR.fields_by_name[name].number for name in SAMPLE_DTYPES}
FORMATS = {"tag_id": "<Q", "frame": "<i"}
ERRORS = (InvalidMessage, DecodeError)

numbers = st.floats(-200, 200, width=32)
rows = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1), *[numbers] * 7), min_size=1, max_size=12
)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def packed(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def unpacked(field: int, values: list[bytes]) -> bytes:
    kind = 1 if len(values[0]) == 8 else 5
    return b"".join(varint(field << 3 | kind) + value for value in values)


def cells(table: list[tuple[float, ...]]) -> dict[str, list[bytes]]:
    """Each column's values as on the wire."""
    columns = zip(*table, strict=True)
    return {
        name: [struct.pack(FORMATS.get(name, "<f"), value) for value in column]
        for name, column in zip(SAMPLE_DTYPES, columns, strict=True)
    }


def count(n: int) -> bytes:
    return b"\x08" + varint(n)


def read(data: bytes) -> Samples:
    return convert.samples_from_message(wire.view(samples_pb2.Samples).FromString(data))


def meant(data: bytes) -> Samples:
    """As the generated class reads it."""
    return convert.samples_from_message(samples_pb2.Samples.FromString(data))


@given(rows, st.data())
@settings(deadline=None, max_examples=100)
def test_columns_that_are_not_packed_or_come_in_parts_are_read_as_meant(
    table: list[tuple[float, ...]], data: st.DataObject
) -> None:
    sent = count(len(table))
    for name, values in cells(table).items():
        cut = data.draw(st.integers(0, len(values)))
        if data.draw(st.booleans()):
            sent += unpacked(FIELDS[name], values)
        else:
            sent += b"".join(packed(FIELDS[name], b"".join(part)) for part in (values[:cut], values[cut:]))
    assert read(sent) == meant(sent)
    assert len(read(sent)) == len(table)


@given(rows.filter(lambda table: len(table) > 1), st.sampled_from(list(SAMPLE_DTYPES)), st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_column_that_is_packed_in_part_is_refused(
    table: list[tuple[float, ...]], mixed: str, packed_first: bool
) -> None:
    sent = count(len(table))
    for name, values in cells(table).items():
        if name != mixed:
            sent += packed(FIELDS[name], b"".join(values))
        elif packed_first:
            sent += packed(FIELDS[name], values[0]) + unpacked(FIELDS[name], values[1:])
        else:
            sent += unpacked(FIELDS[name], values[:1]) + packed(FIELDS[name], b"".join(values[1:]))
    with pytest.raises(InvalidMessage, match=rf"samples\.{mixed}: is packed in part"):
        read(sent)


@given(rows, st.sampled_from(list(SAMPLE_DTYPES)), st.data())
@settings(deadline=None, max_examples=60)
def test_a_part_that_ends_within_a_value_is_refused(
    table: list[tuple[float, ...]], name: str, data: st.DataObject
) -> None:
    columns = {column: b"".join(values) for column, values in cells(table).items()}
    whole = columns.pop(name)
    width = len(whole) // len(table)
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda at: at % width))
    sent = count(len(table)) + packed(FIELDS[name], whole[:cut]) + packed(FIELDS[name], whole[cut:])
    sent += b"".join(packed(FIELDS[column], content) for column, content in columns.items())
    with pytest.raises(ERRORS):
        read(sent)


@given(rows, st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_or_cut_batch_is_never_read_as_other_rows_than_were_sent(
    table: list[tuple[float, ...]], data: st.DataObject
) -> None:
    sent = bytearray(count(len(table)))
    for name, values in cells(table).items():
        sent += packed(FIELDS[name], b"".join(values))
    for _ in range(data.draw(st.integers(0, 3))):
        sent[data.draw(st.integers(0, len(sent) - 1))] ^= data.draw(st.integers(1, 255))
    received = bytes(sent[: data.draw(st.integers(0, len(sent)))])
    try:
        found = read(received)
    except ERRORS:
        return
    assert found == meant(received)


@pytest.mark.parametrize("length", [0, 1, 7, 2**20, 2**31 - 1, 2**32, 2**63])
def test_a_length_that_lies_is_refused(length: int) -> None:
    column = varint(FIELDS["tag_id"] << 3 | 2) + varint(length) + struct.pack("<Q", 7)
    rest = b"".join(packed(FIELDS[name], struct.pack(FORMATS.get(name, "<f"), 1)) for name in ("frame", "x", "y"))
    with pytest.raises(ERRORS):
        read(count(1) + column + rest)


def test_the_bytes_of_a_big_endian_machine_are_other_values_and_its_arrays_are_converted() -> None:
    values = np.array([1.5, -2.25, 53.3])
    message = wire.view(samples_pb2.Samples)()
    wire.write_column(message, "x", values.astype(">f4"))
    column = wire.read_column(message, "x")
    assert column.dtype == np.dtype("<f4")
    np.testing.assert_array_equal(column, values.astype("<f4"))
    assert message.SerializeToString() == samples_pb2.Samples(x=values.tolist()).SerializeToString()
    turned = samples_pb2.Samples.FromString(packed(FIELDS["x"], values.astype(">f4").tobytes()))
    np.testing.assert_array_equal(wire.read_column(turned, "x"), values.astype(">f4").view("<f4"))
