"""Starts and stops a real Triton server on loopback, without Docker or a GPU."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

HOST = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 15.0
_SERVICE_NAME = "opentelemetry,resource=service.name=ghostback-triton"


class TritonError(RuntimeError):
    """The server could not be started; the message says why."""


@dataclass(frozen=True)
class Ports:
    """Where a server listens."""

    grpc: int
    http: int
    metrics: int

    @classmethod
    def free(cls) -> "Ports":
        """Three free ports; the server does not take port 0."""
        sockets = [socket.socket() for _ in range(3)]
        try:
            for each in sockets:
                each.bind((HOST, 0))
            return cls(*(each.getsockname()[1] for each in sockets))
        finally:
            for each in sockets:
                each.close()

    @property
    def grpc_address(self) -> str:
        """`host:port` of the gRPC endpoint."""
        return f"{HOST}:{self.grpc}"

    @property
    def metrics_url(self) -> str:
        """The metrics page."""
        return f"http://{HOST}:{self.metrics}/metrics"


@dataclass(frozen=True)
class Triton:
    """A running server."""

    ports: Ports
    process: asyncio.subprocess.Process


def command(environment: Path, repository: Path, ports: Ports) -> tuple[list[str], dict[str, str]]:
    """The server's command line and environment variables.

    Args:
        environment: virtual environment made by `deploy/triton/install.py`.
        repository: model repository; the server starts with no model loaded.
        ports: where to listen.

    `GHOSTBACK_OTLP_ENDPOINT` counts here as it does for the services.

    Raises:
        TritonError: the environment is missing.
    """
    environment = environment.absolute()
    packages = next(environment.glob("lib/python3.*/site-packages"), None)
    binary = packages / "pytriton/tritonserver/bin/tritonserver" if packages else None
    if not packages or not binary or not binary.exists():
        raise TritonError(f"there is no Triton server in {environment}; `make setup` puts one there")
    arguments = [
        str(binary),
        f"--model-repository={repository.absolute()}",
        f"--backend-directory={environment / 'backends'}",
        f"--id={_server_id(ports)}",
        *(f"--{endpoint}-address={HOST}" for endpoint in ("grpc", "http", "metrics")),
        f"--grpc-port={ports.grpc}",
        f"--http-port={ports.http}",
        f"--metrics-port={ports.metrics}",
        f"--backend-config=python,shm-region-prefix-name={_shared_memory_prefix(ports)}",
        "--model-control-mode=explicit",
        "--disable-auto-complete-config",
        "--strict-readiness=false",
        "--exit-timeout-secs=10",
        "--pinned-memory-pool-byte-size=0",
        "--allow-gpu-metrics=false",
        "--metrics-config=summary_latencies=true",
        *_traces(os.environ.get("GHOSTBACK_OTLP_ENDPOINT", "")),
    ]
    variables = os.environ | {
        "LD_LIBRARY_PATH": f"{packages / 'nvidia_pytriton.libs'}:{environment / 'libpython'}",
        "PATH": f"{environment / 'bin'}:{os.environ.get('PATH', '')}",
        "OMP_NUM_THREADS": "1",
    }
    return arguments, variables


@asynccontextmanager
async def running(environment: Path, repository: Path, log: Path, ports: Ports | None = None) -> AsyncIterator[Triton]:
    """A server that is ready; stopped at the end, with no process and nothing in shared memory left.

    Args:
        environment: virtual environment made by `deploy/triton/install.py`.
        repository: model repository.
        log: where the server's output goes.
        ports: where to listen; free ones when not given.

    Raises:
        TritonError: the environment is missing, or the server did not become ready.
    """
    ports = ports or Ports.free()
    arguments, variables = command(environment, repository, ports)
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *arguments, env=variables, stdout=output, stderr=output, start_new_session=True
        )
    try:
        await _ready(process, ports, log)
        yield Triton(ports, process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        with suppress(ProcessLookupError):  # models' processes outlive a server that was killed
            os.killpg(process.pid, signal.SIGKILL)
        for left in Path("/dev/shm").glob(f"{_shared_memory_prefix(ports)}*"):  # noqa: S108
            left.unlink(missing_ok=True)


async def _ready(process: asyncio.subprocess.Process, ports: Ports, log: Path) -> None:
    """Wait until the server answers, and check that it is ours and not another on its port."""
    async with grpc.aio.insecure_channel(ports.grpc_address, [("grpc.max_reconnect_backoff_ms", 200)]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        ended = asyncio.create_task(process.wait())
        answer = asyncio.ensure_future(
            stub.ServerMetadata(service_pb2.ServerMetadataRequest(), wait_for_ready=True, timeout=READY_SECONDS)
        )
        await asyncio.wait([ended, answer], return_when=asyncio.FIRST_COMPLETED)
        tail = "\n  ".join(log.read_text(errors="replace").strip().splitlines()[-5:])
        if ended.done():
            answer.cancel()
            raise TritonError(f"Triton ended with exit code {process.returncode} at start; the end of {log}:\n  {tail}")
        ended.cancel()
        if answer.exception():
            raise TritonError(f"Triton was not ready after {READY_SECONDS:.0f} s; the end of {log}:\n  {tail}")
        if answer.result().name != _server_id(ports):
            raise TritonError(f"another server, {answer.result().name!r}, answers on {ports.grpc_address}")


def _traces(otlp_endpoint: str) -> list[str]:
    """Flags that have the traces of requests recorded which carry one that is, and no others."""
    url = f"{otlp_endpoint.rstrip('/')}/v1/traces"
    settings = ("mode=opentelemetry", "level=TIMESTAMPS", "rate=0", f"opentelemetry,url={url}", _SERVICE_NAME)
    return [f"--trace-config={setting}" for setting in settings] if otlp_endpoint else []


def _server_id(ports: Ports) -> str:
    return f"ghostback-{ports.grpc}"


def _shared_memory_prefix(ports: Ports) -> str:
    return f"triton{ports.grpc}-"


def execute(environment: Path, repository: Path, ports: Ports) -> None:
    """Become the server: it takes over this process, so that its pid and signals are the server's."""
    try:
        arguments, variables = command(environment, repository, ports)
    except TritonError as error:
        sys.exit(f"error: {error}")
    os.execve(arguments[0], arguments, variables)  # noqa: S606
