"""A collector of traces on loopback: takes what is sent by OTLP/HTTP, as protobuf or JSON, and keeps it."""

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """A running collector.

    Attributes:
        endpoint: to give as `--otlp-endpoint`.
        sent: what came so far: the type of its content, and the content.
    """

    endpoint: str
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    def spans(self) -> list[tuple[str, Span]]:
        """Spans that came so far, each with the name of its service."""
        return [
            (service.value.string_value, span)
            for kind, body in list(self.sent)
            for resource in _parsed(kind, body).resource_spans
            for service in resource.resource.attributes
            if service.key == "service.name"
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def _parsed(kind: str, body: bytes) -> ExportTraceServiceRequest:
    """A request; in OTLP's JSON ids are hexadecimal, where protobuf's has base64."""
    if kind != "application/json":
        return ExportTraceServiceRequest.FromString(body)
    text = re.sub(
        r'"(traceId|spanId|parentSpanId)":"([0-9a-f]*)"',
        lambda found: f'"{found[1]}":"{b64encode(bytes.fromhex(found[2])).decode()}"',
        body.decode(),
    )
    return json_format.Parse(text, ExportTraceServiceRequest(), ignore_unknown_fields=True)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.sent.append((self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()
