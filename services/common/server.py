"""The chassis: runs one gRPC server from start to graceful end."""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

import grpc
import prometheus_client
import structlog
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ghostback import wire
from services.common import logs, tls, tracing
from services.common.authorization import Authorization
from services.common.health import Health, Service
from services.common.interceptor import CallInterceptor, Gate
from services.common.limits import CallLimits
from services.common.settings import ServiceSettings
from services.common.shedding import Turns
from services.common.starting import Handlers, Starting
from services.common.tarpit import Tarpit

S = TypeVar("S", bound=ServiceSettings)
Services = Sequence[Service]

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_HEALTH_CALLS = 256
"""Calls in flight beyond the limit of our own: health is told to whoever asks when the limit is reached."""
_REFUSED_SECONDS = 1.0
_REFUSED_CALLS = 32
"""Calls that a connection carries beyond the limit of a caller, and that are refused; more wait on his side."""
_PING_MILLISECONDS = 10_000
"""Clients that ping more often than this lose their connection."""

_log = structlog.get_logger()


def run(name: str, settings: S, start: Callable[[S], AbstractAsyncContextManager[Services]]) -> None:
    """Serve until SIGTERM or SIGINT, then drain and exit.

    Args:
        name: the service's name, for logs.
        settings: its settings.
        start: opens what the service needs, gives its services, and closes it all at the end.
    """
    logs.configure(name, settings.log_level)
    try:
        with tracing.exporting(name, settings.otlp_endpoint, settings.trace_sample_ratio):
            uvloop.run(_serve(name, settings, start))
    except OSError as error:
        sys.exit(f"{name}: {error}")


async def _serve(name: str, settings: S, start: Callable[[S], AbstractAsyncContextManager[Services]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    secured, gates = _security(settings)
    calls = CallInterceptor(
        settings.reader_seconds,
        settings.request_memory_bytes,
        [*gates, CallLimits(settings.max_concurrent_calls, settings.max_calls_per_peer)],
        idle_seconds=settings.idle_seconds,
        turns=Turns(settings.max_calls_at_work, settings.queue_seconds),
        tarpit=Tarpit(settings.max_concurrent_calls, _REFUSED_SECONDS),
    )
    starting, handlers, health = Starting(), Handlers(), Health()
    server = grpc.aio.server(
        interceptors=[starting, calls],
        maximum_concurrent_rpcs=2 * settings.max_concurrent_calls + _HEALTH_CALLS,
        options=_options(settings),
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_generic_rpc_handlers([handlers])
    try:
        at = f"{settings.host}:{settings.port}"
        port = server.add_secure_port(at, secured.credentials()) if secured else server.add_insecure_port(at)
    except RuntimeError:
        raise OSError(f"cannot listen on {settings.host}:{settings.port}; is the port in use?") from None
    await server.start()
    try:
        async with start(settings) as services:
            names = [service.descriptor.full_name for service in services]
            reflection.enable_server_reflection([*names, _HEALTH, reflection.SERVICE_NAME], handlers)  # type: ignore[arg-type]
            handlers.add_generic_rpc_handlers([wire.handlers(each.descriptor, each.servicer) for each in services])
            if secured:
                metrics = secured.serve_metrics(settings.metrics_port, settings.host)
            else:
                metrics, _ = prometheus_client.start_http_server(settings.metrics_port, settings.host)
            starting.over = True
            async with health.follow(services):
                addresses = {
                    "name": name,
                    "pid": os.getpid(),
                    "address": f"{settings.host}:{port}",
                    "metrics": f"{'https' if secured else 'http'}://{settings.host}:{metrics.server_port}/metrics",
                }
                _log.info("serving", **addresses)
                if settings.ready_file:
                    _write_whole(settings.ready_file, json.dumps(addresses))
                gc.collect()
                gc.freeze()
                sys.setswitchinterval(0.0005)
                await stop.wait()
            _log.info("draining", seconds=settings.drain_seconds)
            health.drain()
            calls.drain()
            await server.stop(settings.drain_seconds)
    finally:
        await server.stop(0)
    _log.info("stopped")


def _security(settings: ServiceSettings) -> tuple[tls.ServerTls | None, list[Gate]]:
    """The server's TLS, and the gate that asks who calls, where there is one."""
    try:
        gates: list[Gate] = [Authorization(settings.access_policy)] if settings.access_policy else []
        return tls.of_server(settings), gates
    except ValueError as error:
        raise OSError(str(error)) from None


def _options(settings: ServiceSettings) -> list[tuple[str, int]]:
    """Limits of connections and messages."""
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.experimental.tcp_max_read_chunk_size", 65_536),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_response_bytes),
        ("grpc.max_concurrent_streams", settings.max_calls_per_peer + _REFUSED_CALLS),
        ("grpc.server_handshake_timeout_ms", round(1000 * settings.handshake_seconds)),
        ("grpc.keepalive_time_ms", round(1000 * settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", round(1000 * settings.keepalive_seconds / 3)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_MILLISECONDS),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.max_connection_age_ms", round(1000 * settings.connection_seconds)),
    ]


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(text)
    aside.rename(path)
