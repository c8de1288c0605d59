"""Settings that every service has, from flags, then environment, then defaults."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Base of a service's settings: `--port 9000` or `GHOSTBACK_PORT=9000`."""

    model_config = SettingsConfigDict(env_prefix="GHOSTBACK_", cli_kebab_case=True, cli_hide_none_type=True)

    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 0
    metrics_port: Annotated[int, Field(ge=0, le=65535, description="Port of /metrics; 0 takes a free one.")] = 0
    ready_file: Annotated[
        Path | None, Field(description="Written once the service answers: JSON with its addresses and pid.")
    ] = None
    log_level: Annotated[str, Field(description="debug, info, warning or error.")] = "info"
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
        int, Field(gt=0, description="Calls and streams in flight from one address; those beyond are refused.")
    ] = 128
    max_calls_at_work: Annotated[
        int, Field(gt=0, description="Calls that are worked on at a time; others wait for their turn.")
    ] = 128
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
