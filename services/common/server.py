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
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ghostback import wire
from services.common import logs
from services.common.interceptor import CallInterceptor
from services.common.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
Servicers = Sequence[tuple[ServiceDescriptor, object]]

_log = structlog.get_logger()


def run(name: str, settings: S, start: Callable[[S], AbstractAsyncContextManager[Servicers]]) -> None:
    """Serve until SIGTERM or SIGINT, then drain and exit.

    Args:
        name: the service's name, for logs.
        settings: its settings.
        start: opens what the service needs, gives its servicers, and closes it all at the end.
    """
    logs.configure(name, settings.log_level)
    try:
        uvloop.run(_serve(name, settings, start))
    except OSError as error:
        sys.exit(f"{name}: {error}")


async def _serve(name: str, settings: S, start: Callable[[S], AbstractAsyncContextManager[Servicers]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with start(settings) as servicers:
        server = grpc.aio.server(
            interceptors=[CallInterceptor(settings.reader_seconds, settings.request_memory_bytes)],
            maximum_concurrent_rpcs=settings.max_concurrent_calls,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.experimental.tcp_max_read_chunk_size", 65_536),
                ("grpc.http2.bdp_probe", 0),
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_response_bytes),
            ],
        )
        health_servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
        names = [service.full_name for service, _ in servicers]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        server.add_generic_rpc_handlers([wire.handlers(service, servicer) for service, servicer in servicers])
        try:
            port = server.add_insecure_port(f"{settings.host}:{settings.port}")
        except RuntimeError:
            raise OSError(f"cannot listen on {settings.host}:{settings.port}; is the port in use?") from None
        metrics, _ = prometheus_client.start_http_server(settings.metrics_port, settings.host)
        await server.start()
        for service in ("", *names):
            await health_servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
        addresses = {
            "name": name,
            "pid": os.getpid(),
            "address": f"{settings.host}:{port}",
            "metrics": f"http://{settings.host}:{metrics.server_port}/metrics",
        }
        _log.info("serving", **addresses)
        if settings.ready_file:
            _write_whole(settings.ready_file, json.dumps(addresses))
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(0.0005)
        await stop.wait()
        _log.info("draining", seconds=settings.drain_seconds)
        await health_servicer.enter_graceful_shutdown()
        await server.stop(settings.drain_seconds)
        metrics.shutdown()
    _log.info("stopped")


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(text)
    aside.rename(path)
