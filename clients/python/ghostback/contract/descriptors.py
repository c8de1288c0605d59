"""The services, messages and reasons that a contract is held against: of the installed stubs, or of an image."""

import importlib
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

import ghostback
from ghostback.contract.document import ContractError

_REASONS = "ghostback.tracking.v1.ErrorReason"
_PREFIX = "ERROR_REASON_"


def of_stubs() -> DescriptorPool:
    """Everything that the installed stubs describe."""
    for root in map(Path, ghostback.__path__):
        for module in root.glob("*/v*/*_pb2.py"):
            importlib.import_module(".".join(("ghostback", *module.relative_to(root).with_suffix("").parts)))
    return descriptor_pool.Default()


def of_image(path: Path) -> DescriptorPool:
    """Everything that an image describes: a `FileDescriptorSet` with its imports, as buf and protoc write it.

    Raises:
        ContractError: it cannot be read, or lacks imports.
    """
    pool = DescriptorPool()
    try:
        files = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file}
        for name in list(files):
            _add(name, files, pool)
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}") from None
    except (DecodeError, KeyError, TypeError) as error:
        raise ContractError(f"{path} is no image with its imports: {error}; `buf build` makes one") from None
    return pool


def _add(name: str, files: dict[str, descriptor_pb2.FileDescriptorProto], pool: DescriptorPool) -> None:
    if name not in files:
        pool.FindFileByName(name)
        return
    file = files.pop(name)
    for dependency in file.dependency:
        _add(dependency, files, pool)
    pool.Add(file)


def method(pool: DescriptorPool, call: str) -> MethodDescriptor:
    """The method of a call, `package.Service/Method`.

    Raises:
        LookupError: no such service or method; the message says which.
    """
    service_name, _, name = call.partition("/")
    try:
        service = pool.FindServiceByName(service_name)
    except KeyError:
        raise LookupError(f"no service {service_name}") from None
    if name not in service.methods_by_name:
        raise LookupError(f"{service_name} has {', '.join(service.methods_by_name)}")
    return service.methods_by_name[name]


def reasons(pool: DescriptorPool) -> set[str]:
    """The reasons that errors have, without their prefix."""
    try:
        names = pool.FindEnumTypeByName(_REASONS).values_by_name
    except KeyError:
        return set()
    return {name.removeprefix(_PREFIX) for name in names}
