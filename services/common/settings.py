"""Settings that every service has, from flags, then environment, then defaults."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Base of a service's settings: `--port 9000` or `GHOSTBACK_PORT=9000`."""

    model_config = SettingsConfigDict(env_prefix="GHOSTBACK_", cli_kebab_case=True, cli_hide_none_type=True)

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 0
    metrics_port: Annotated[int, Field(ge=0, le=65535, description="Port of /metrics; 0 takes a free one.")] = 0
    insecure_beyond_loopback: Annotated[
        bool, Field(description="Listen where other machines may come without TLS: anyone there may do anything.")
    ] = False
    tls_certificate: Annotated[
        Path | None,
        Field(description="PEM file: this service's certificate, shown to callers and to the services it calls."),
    ] = None
    tls_key: Annotated[Path | None, Field(description="PEM file: the key of it.")] = None
    tls_ca: Annotated[
        Path | None, Field(description="PEM file: the authorities of callers' and other services' certificates.")
    ] = None
    tls_callers: Annotated[
        Literal["certificate", "token"],
        Field(description="What callers show: a certificate, without which none is spoken with, or a token."),
    ] = "certificate"
    token_file: Annotated[
        Path | None, Field(description="A token that this service shows to the services it calls; over TLS alone.")
    ] = None
    access_policy: Annotated[
        Path | None, Field(description="YAML file: who may call what; without it whoever gets through may do all.")
    ] = None
    ready_file: Annotated[
        Path | None, Field(description="Written once the service answers: JSON with its addresses and pid.")
    ] = None
    log_level: Annotated[str, Field(description="debug, info, warning or error.")] = "info"
    otlp_endpoint: Annotated[
        str, Field(description="OTLP/HTTP endpoint that spans are sent to, http://HOST:4318; without it none are.")
    ] = ""
    trace_sample_ratio: Annotated[
        float, Field(ge=0, le=1, description="Share of the traces that begin here which is recorded.")
    ] = 0.01
    drain_seconds: Annotated[float, Field(ge=0, description="How long calls in flight may take at shutdown.")] = 10.0
    max_message_bytes: Annotated[int, Field(gt=0, description="Largest message taken.")] = 16 * 1024 * 1024
    max_response_bytes: Annotated[int, Field(gt=0, description="Largest message sent.")] = 16 * 1024 * 1024
    request_memory_bytes: Annotated[
        int, Field(gt=0, description="Memory for requests being served, 50 bytes for each byte; others wait.")
    ] = 1024 * 1024 * 1024
    max_concurrent_calls: Annotated[
        int, Field(gt=0, description="Calls and streams in flight; those beyond are refused.")
    ] = 512
    max_calls_per_peer: Annotated[
        int, Field(gt=0, description="Calls and streams in flight of one caller; those beyond are refused.")
    ] = 128
    max_calls_at_work: Annotated[
        int, Field(gt=0, description="Calls that are worked on at a time; others wait for their turn.")
    ] = 32
    queue_seconds: Annotated[
        float,
        Field(gt=0, description="How long a call may wait for its turn; a twentieth of it where a queue stands."),
    ] = 1.0
    reader_seconds: Annotated[
        float, Field(gt=0, description="How long a response of a stream may wait to be read.")
    ] = 30.0
    idle_seconds: Annotated[
        float, Field(gt=0, description="How long a stream may wait for its caller's next request.")
    ] = 900.0
    handshake_seconds: Annotated[
        float, Field(gt=0, description="How long a new connection may take until it can make calls.")
    ] = 10.0
    keepalive_seconds: Annotated[
        float, Field(gt=0, description="How often a silent connection is asked whether its other end is there.")
    ] = 60.0
    connection_seconds: Annotated[
        float, Field(gt=0, description="Age at which a connection takes no new calls: clients then find new replicas.")
    ] = 600.0
    upstream_timeout_seconds: Annotated[
        float, Field(gt=0, description="Deadline of calls to other services where the caller set none.")
    ] = 10.0
