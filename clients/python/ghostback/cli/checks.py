"""What may be wrong with a machine or a suite, and what to do for each."""

import ctypes
import json
import os
import platform
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from packaging.requirements import Requirement

from ghostback import wire
from ghostback.channels import Security, aio_channel
from ghostback.cli.failures import CommandError, told
from ghostback.client import Addresses, Client
from ghostback.contract.document import SERVERS
from ghostback.predict.v1 import predict_service_pb2

DISTRIBUTIONS = ("ghostback-protos", "ghostback", "ghostback-models", "ghostback-suite")
HEALTH_SECONDS = 5.0
_CLOCK_NOT_SYNCHRONISED = 5
_GIB = 2**30


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: what was looked at.
        state: how it came out.
        found: what was found.
        cure: what to do; empty where nothing need be done.
    """

    check: str
    state: State
    found: str
    cure: str = ""


def machine(folder: Path) -> Iterator[Finding]:
    """Python, versions, memory, disk and clock.

    Args:
        folder: where the suite keeps, or will keep, its database.
    """
    python = platform.python_version()
    yield Finding("python", State.OK, f"{platform.python_implementation()} {python}, {sys.executable}")
    yield _versions()
    cores, memory = os.cpu_count() or 1, _memory()
    small = cores < 2 or memory < 4 * _GIB
    yield Finding(
        "processors",
        State.WARNING if small else State.OK,
        f"{cores} cores, {memory / _GIB:.0f} GiB of memory",
        "the suite runs best with 2 cores and 4 GiB or more" * small,
    )
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    full = free < _GIB
    yield Finding(
        "disk",
        State.WARNING if full else State.OK,
        f"{free / _GIB:.0f} GiB free for {folder}",
        "make room, or keep the suite elsewhere with `ghostback up --folder`" * full,
    )
    yield _clock()


def suite_installation(triton: Path, ports: Sequence[int]) -> Iterator[Finding]:
    """What `ghostback up` needs: the suite itself, glibc, a shared libpython, Triton, shared memory, ports.

    Args:
        triton: Triton's virtual environment.
        ports: that a service shall listen on.
    """
    if not find_spec("deploy"):
        yield Finding("suite's code", State.OK, "the client alone is installed here; the suite runs elsewhere")
        return
    from deploy.triton import install, launcher

    problem = install.unsupported()
    libc = " ".join(platform.libc_ver())
    yield Finding("system", State.WRONG if problem else State.OK, problem or f"{platform.machine()}, {libc}")
    if not problem:
        library = install.libpython()
        yield (
            Finding("libpython", State.OK, str(library))
            if library
            else Finding(
                "libpython",
                State.WRONG,
                f"Python {install.PYTHON} has no shared library, which Triton's backend needs",
                f"install libpython{install.PYTHON} (Debian), or use a Python built with --enable-shared",
            )
        )
        try:
            command, variables = launcher.command(triton, triton, launcher.Ports(0, 0, 0))
            ran = subprocess.run([command[0], "--help"], env=variables, capture_output=True, text=True, check=False)
            works = "Usage: tritonserver" in ran.stdout + ran.stderr
            yield Finding(
                "triton",
                State.OK if works else State.WRONG,
                f"{triton}" if works else f"the server in {triton} does not start: {ran.stderr.strip()[-200:]}",
                "" if works else f"remove {triton} and run `make setup` again",
            )
        except launcher.TritonError:
            yield Finding(
                "triton", State.WRONG, f"there is no Triton server in {triton}", "run `make setup`, or give --triton"
            )
        shared = shutil.disk_usage("/dev/shm").free  # noqa: S108
        small = shared < 64 * 2**20
        yield Finding(
            "shared memory",
            State.WARNING if small else State.OK,
            f"{shared / 2**20:,.0f} MiB free in /dev/shm",
            "Triton passes tensors through it; give the container more (--shm-size=256m)" * small,
        )
    yield from map(_port, ports or [0])


def databases(folder: Path, urls: Sequence[str]) -> Iterator[Finding]:
    """Whether the databases of a suite can be read, or others by their SQLAlchemy URL."""
    files = {file.name: f"sqlite:///{file}" for file in sorted(folder.glob("*.db"))}
    for name, url in {**files, **{url.partition("://")[0]: url for url in urls}}.items():
        problem = _sqlite(Path(url.removeprefix("sqlite:///"))) if url.startswith("sqlite:///") else _server(url)
        yield Finding(
            f"database {name}",
            State.WRONG if problem else State.OK,
            problem or "can be read",
            "start the database or correct its URL; a file that is broken must come from a backup" * bool(problem),
        )


async def running(where: Addresses, security: Security, suite: Path) -> list[Finding]:
    """Whether each service answers and can do its work, and whether each model has a version in service."""
    named = {name: address for name in SERVERS if (address := getattr(where, name))}
    found = [await _health(name, address, security, suite.with_name(f"{name}.log")) for name, address in named.items()]
    if where.predict and all(each.state is State.OK for each in found if each.check == "predict"):
        found += await _models(where, security)
    return found


def left_behind(suite: Path) -> Finding | None:
    """Whether the suite of a folder was killed, so that its file tells addresses where nobody listens."""
    pid = json.loads(suite.read_text()).get("pid", 0)
    if not pid or Path(f"/proc/{pid}").exists():
        return None
    cure = "`ghostback up` starts it again; what was acknowledged is there"
    return Finding("suite", State.WRONG, f"the suite of {suite.parent} was killed (process {pid} is gone)", cure)


def _versions() -> Finding:
    installed = {}
    problems = []
    for name in DISTRIBUTIONS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            try:
                version = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                problems.append(f"{name} needs {requirement.name}, which is not installed")
                continue
            if not requirement.specifier.contains(version, prereleases=True):
                problems.append(f"{name} needs {requirement}, {version} is installed")
    if len({version.rpartition(".")[0] for version in installed.values()}) > 1:
        problems.append("the parts of Ghostback are not of one version")
    told = ", ".join(f"{name} {version}" for name, version in installed.items())
    return Finding(
        "versions",
        State.WRONG if problems else State.OK,
        f"{'; '.join(problems)} ({told})" if problems else f"{told}, grpcio {metadata.version('grpcio')}",
        "install them again, with the pins of constraints.txt: `make setup`" * bool(problems),
    )


def _memory() -> int:
    limit = Path("/sys/fs/cgroup/memory.max")
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    text = limit.read_text().strip() if limit.exists() else "max"
    return min(whole, int(text)) if text.isdigit() else whole


def _clock() -> Finding:
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if time.time() < Path(__file__).stat().st_mtime - 60:
        return Finding(
            "clock", State.WRONG, f"it is {now}, before this command was installed", "set the clock; certificates fail"
        )
    timex = ctypes.create_string_buffer(256)
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (AttributeError, OSError):
        return Finding("clock", State.OK, now)
    if state != _CLOCK_NOT_SYNCHRONISED:
        error = struct.unpack_from("I4xqqq", timex)[3] / 1e6
        return Finding("clock", State.OK, f"{now}, right within {error:.3f} s")
    return Finding(
        "clock",
        State.WARNING,
        f"{now}, and nothing keeps it right",
        "run an NTP client (chrony, systemd-timesyncd); certificates, tokens and completion times depend on it",
    )


def _port(port: int) -> Finding:
    name = f"port {port}" if port else "ports"
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
    except OSError as error:
        cure = f"`ss -ltnp 'sport = :{port}'` tells who has it; `ghostback up` itself takes free ports"
        return Finding(name, State.WRONG, f"cannot be listened on: {error.strerror}", cure)
    return Finding(name, State.OK, "free" if port else "loopback has free ones")


def _sqlite(file: Path) -> str:
    if not file.exists():
        return f"{file} is not there"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=2)) as connection:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return f"{file}: {error}"
    return "" if said == "ok" else f"{file}: {said}"


def _server(url: str) -> str:
    if not find_spec("sqlalchemy"):
        return "its driver comes with the suite and is not installed here"
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
    except (SQLAlchemyError, ImportError) as error:
        return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return ""


async def _health(name: str, address: str, security: Security, log: Path) -> Finding:
    try:
        async with aio_channel(address, security) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
    except grpc.aio.AioRpcError as error:
        problem = told(error) or CommandError(str(error))
        return Finding(name, State.WRONG, f"{address}: {error.code().name}: {error.details()}", str(problem))
    where = f"its log says why: {log}" if log.exists() else "its log says why"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return Finding(name, State.OK, f"serves at {address}")
    return Finding(name, State.WRONG, f"answers at {address}, but cannot do its work", f"wait if it starts; {where}")


async def _models(where: Addresses, security: Security) -> list[Finding]:
    request = wire.view(predict_service_pb2.ListModelsRequest)(page_size=1000)
    async with Client(where, security=security) as client:
        try:
            listed = await client.models.ListModels(request, timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError as error:
            return [Finding("models", State.WARNING, f"cannot be listed: {error.details()}")]
    look = "`ghostback models list` tells why"
    return [
        Finding("models", State.OK, each.serving_version)
        if each.serving_version
        else Finding("models", State.WARNING, f"{each.name} has no version in service", look)
        for each in listed.models
    ] + [
        Finding("models", State.WARNING, f"{each.plugin} was refused: {each.description}", look)
        for each in listed.broken_plugins
    ]
