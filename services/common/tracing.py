"""Traces: a span for each call served and each call made, joined across processes by `traceparent`.

Without an endpoint nothing is recorded; what callers send as `traceparent` is still handed on.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import grpc
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACEPARENT = "traceparent"
_EXPORT_SECONDS = 5.0
"""How long a collector may take to answer; also what it may hold up the end of a service."""
_SERVER_ERRORS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
"""Codes that are a server's fault and not its caller's, by OpenTelemetry's conventions for gRPC."""


@dataclass
class _State:
    exporting: bool = False
    """Whether spans are recorded at all; where they are not, and a call has no trace, nothing is done for it."""


_state = _State()
_tracer = trace.get_tracer("ghostback")
_traceparent = TraceContextTextMapPropagator()


@contextmanager
def exporting(service: str, endpoint: str, sample_ratio: float) -> Iterator[None]:
    """Send spans to a collector as long as the context lasts; those not sent yet are sent at its end.

    OpenTelemetry's own environment variables count as well, and before the arguments where they are about sampling.

    Args:
        service: the service's name.
        endpoint: the collector's OTLP/HTTP endpoint, such as `http://127.0.0.1:4318`; where it is empty and the
            environment names none either, nothing is recorded.
        sample_ratio: share of the traces that begin here which is recorded; others are as their caller decided.
    """
    if not endpoint and not any(os.environ.get(name) for name in _ENDPOINTS):
        yield
        return
    provider = TracerProvider(
        sampler=None if "OTEL_TRACES_SAMPLER" in os.environ else ParentBased(TraceIdRatioBased(sample_ratio)),
        resource=Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or f"ghostback-{service}"}),
        shutdown_on_exit=False,
    )
    to = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(to, timeout=_EXPORT_SECONDS)))
    trace.set_tracer_provider(provider)
    _state.exporting = True
    try:
        yield
    finally:
        _state.exporting = False
        provider.shutdown()


def serve(method: str, metadata: Mapping[str, str]) -> Span:
    """Start the span of a call being served, the current one for the rest of its task.

    Args:
        method: `/package.Service/Method`.
        metadata: the call's.
    """
    if not _state.exporting and _TRACEPARENT not in metadata:
        return trace.INVALID_SPAN
    parent = _traceparent.extract(metadata)
    span = _tracer.start_span(
        method[1:], parent, SpanKind.SERVER, {"rpc.system.name": "grpc", "rpc.method": method[1:]}
    )
    context.attach(trace.set_span_in_context(span, parent))
    return span


def end(span: Span, code: grpc.StatusCode) -> None:
    """End the span of a call that was served, or of a stream that was opened."""
    span.set_attribute("rpc.response.status_code", code.name)
    if code in _SERVER_ERRORS:
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def calling(name: str, **attributes: str | int) -> AbstractContextManager[Span]:
    """A span of a call to another server, as long as the context lasts.

    Args:
        name: of the call, such as `package.Service/Method`.
        attributes: what else is worth knowing of it.
    """
    if not _state.exporting:
        return nullcontext(trace.get_current_span())
    return _tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)


@contextmanager
def opening(name: str) -> Iterator[Span]:
    """A span of a stream from another server, the current one only while the context lasts; `end` ends it.

    Args:
        name: of the call, such as `package.Service/Method`.
    """
    if not _state.exporting:
        yield trace.INVALID_SPAN
        return
    span = _tracer.start_span(name, kind=SpanKind.CLIENT)
    with trace.use_span(span):
        yield span


def headers(*, recorded: bool = False) -> dict[str, str]:
    """What a call to another server carries, so that its spans are of the same trace; nothing without a span.

    Args:
        recorded: nothing either where the trace is not recorded, for servers that record whatever carries one.
    """
    carrier: dict[str, str] = {}
    if not recorded or trace.get_current_span().is_recording():
        _traceparent.inject(carrier)
    return carrier


def ids(span: Span) -> dict[str, str]:
    """`trace_id` and `span_id` of a span, as logs name them; nothing where there is none."""
    of = span.get_span_context()
    return {"trace_id": f"{of.trace_id:032x}", "span_id": f"{of.span_id:016x}"} if of.is_valid else {}


def exemplar(span: Span) -> dict[str, str] | None:
    """What joins a measurement to its trace, where that is recorded."""
    return ids(span) if span.get_span_context().trace_flags.sampled else None
