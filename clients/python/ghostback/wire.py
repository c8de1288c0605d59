"""Wire views: protobuf messages whose packed columns are read and written as arrays.

A packed repeated field of a fixed-width type has the same bytes on the wire as a `bytes` field of
the same number. For every message of the contract this module builds a twin class, its *view*, in
which such fields are `repeated bytes`; gRPC parses into and serialises from the view. What is sent
is byte for byte what the generated classes send, but a column becomes an array without a Python
object for each value. Views carry the generated classes' types; only columns are reached
differently, through `read_column` and `write_column`.
"""

from collections.abc import Iterable
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

_DTYPES: dict[int, np.dtype[Any]] = {
    FieldDescriptor.TYPE_FLOAT: np.dtype("<f4"),
    FieldDescriptor.TYPE_DOUBLE: np.dtype("<f8"),
    FieldDescriptor.TYPE_FIXED32: np.dtype("<u4"),
    FieldDescriptor.TYPE_FIXED64: np.dtype("<u8"),
    FieldDescriptor.TYPE_SFIXED32: np.dtype("<i4"),
    FieldDescriptor.TYPE_SFIXED64: np.dtype("<i8"),
}
_POOL = descriptor_pool.DescriptorPool()
_COLUMN_DTYPES: dict[tuple[str, str], np.dtype[Any]] = {}

M = TypeVar("M", bound=Message)


class ColumnError(ValueError):
    """A column cannot be read.

    Attributes:
        column: the field's name.
        problem: what is wrong with it.
    """

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(f"{column} {problem}")
        self.column = column
        self.problem = problem


def view(message_class: type[M]) -> type[M]:
    """The view of a generated message class; itself when given a view."""
    return cast(type[M], _view_of(message_class.DESCRIPTOR))


@cache
def _view_of(descriptor: Descriptor) -> type[Message]:
    _add_file(descriptor.file)
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(descriptor.full_name))


@cache
def _add_file(file: FileDescriptor) -> None:
    if file.pool is _POOL:
        return
    for dependency in file.dependencies:
        _add_file(dependency)
    definition = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(definition)
    for message in definition.message_type:
        _turn_columns_into_bytes(message, f"{file.package}.{message.name}")
    _POOL.Add(definition)


def _turn_columns_into_bytes(message: descriptor_pb2.DescriptorProto, full_name: str) -> None:
    for field in message.field:
        dtype = _DTYPES.get(field.type)
        if field.label == FieldDescriptor.LABEL_REPEATED and dtype is not None:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.options.ClearField("packed")
            _COLUMN_DTYPES[full_name, field.name] = dtype
    for nested in message.nested_type:
        _turn_columns_into_bytes(nested, f"{full_name}.{nested.name}")


def read_column(message: Message, name: str) -> NDArray[Any]:
    """The values of a packed fixed-width field, of a view or of a generated message: (n,), read-only.

    Values that their sender did not pack are read too.

    Raises:
        ColumnError: the field's bytes, or those of a part of them, are not a whole number of values; or this or
            another column of the message is packed in part.
    """
    message = with_unpacked(message)
    values = getattr(message, name)
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.type != FieldDescriptor.TYPE_BYTES:
        column: NDArray[Any] = np.asarray(values, dtype=_DTYPES[field.type])
        return column
    dtype = _column_dtype(message, name)
    _check_whole(name, values, dtype)
    return np.frombuffer(values[0] if len(values) == 1 else b"".join(values), dtype)


def _check_whole(name: str, parts: Iterable[bytes], dtype: np.dtype[Any]) -> None:
    if any(len(part) % dtype.itemsize for part in parts):
        raise ColumnError(name, "is not a whole number of values")


def _column_dtype(message: Message, name: str) -> np.dtype[Any]:
    return _COLUMN_DTYPES[message.DESCRIPTOR.full_name, name]


def write_column(message: Message, name: str, values: NDArray[Any]) -> None:
    """Put values into a packed fixed-width field of a view: (n,), converted to the field's type."""
    dtype = _column_dtype(message, name)
    column = getattr(message, name)
    del column[:]
    if len(values):
        column.append(np.ascontiguousarray(values, dtype).tobytes())


def with_unpacked(message: M) -> M:
    """The message, or a generated one with the same content where its sender did not pack all columns.

    A view sees unpacked values as unknown fields; they survive serialisation.

    Raises:
        ColumnError: a column is packed in part, and a view does not know the order of the parts; or the bytes of
            one are not a whole number of values.
    """
    fields = UnknownFieldSet(message)
    if not len(fields):
        return message
    descriptor = message.DESCRIPTOR
    columns = [name for owner, name in _COLUMN_DTYPES if owner == descriptor.full_name]
    if not columns or descriptor.file.pool is not _POOL:
        return message
    unknown = {fields[i].field_number for i in range(len(fields))}
    unpacked = [name for name in columns if descriptor.fields_by_name[name].number in unknown]
    if not unpacked:
        return message
    for name in columns:
        parts = getattr(message, name)
        if parts and name in unpacked:
            raise ColumnError(name, "is packed in part")
        _check_whole(name, parts, _column_dtype(message, name))
    generated = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(descriptor.full_name))
    return cast(M, generated.FromString(message.SerializeToString()))


def stub(service: ServiceDescriptor, channel: grpc.Channel | grpc.aio.Channel) -> SimpleNamespace:
    """Callables for every method of a service, by name, that take and give views."""
    methods = {}
    for method in service.methods:
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        methods[method.name] = getattr(channel, kind)(
            f"/{service.full_name}/{method.name}",
            request_serializer=_view_of(method.input_type).SerializeToString,
            response_deserializer=_view_of(method.output_type).FromString,
        )
    return SimpleNamespace(**methods)


def handlers(service: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """GRPC handlers that call the servicer's methods, by name, with views."""
    methods = {}
    for method in service.methods:
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        methods[method.name] = getattr(grpc, f"{kind}_rpc_method_handler")(
            getattr(servicer, method.name),
            request_deserializer=_view_of(method.input_type).FromString,
            response_serializer=_view_of(method.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(service.full_name, methods)
