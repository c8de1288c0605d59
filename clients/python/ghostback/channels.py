"""Channels to the services: TLS, tokens, and a service config that repeats calls which may be repeated.

Repeats are gRPC's own, with a retry budget a target: when most calls to it fail, none is repeated any
more. Calls are spread over all addresses that a name stands for (`dns:///ingest.stats:50051`), or
that are listed (`ipv4:10.0.0.1:50051,10.0.0.2:50051`). There is no hedging: gRPC's C core, which
Python uses, does not know `hedgingPolicy`.
"""

import json
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

IDEMPOTENT = {
    "ghostback.ingest.v1.IngestService": (
        *("UpdateGame", "GetGame", "ListGames", "UpdatePlay", "GetPlay", "ListPlays", "WatchPlays"),
        *("GetQualityReport", "ListQuarantinedSamples"),
    ),
    "ghostback.features.v1.FeaturesService": ("ListFeatureSets", "GetFeatureSet", "ComputeFeatures"),
    "ghostback.predict.v1.PredictService": (
        *("PredictGhosts", "PredictPassOutcomes", "PredictYardsAfterCatch", "PredictTensors"),
    ),
    "ghostback.predict.v1.ModelService": (
        *("ListModels", "GetModel", "ListModelVersions", "GetModelVersion"),
        *("LoadModelVersion", "UnloadModelVersion", "RescanModels"),
    ),
    "ghostback.predict.v1.RolloutService": (
        *("GetRollout", "ListRollouts", "WatchRollout", "PreviewRollout", "RecordEvidence", "ListRolloutEvents"),
    ),
    "ghostback.score.v1.ScoreService": ("ListScoreProfiles", "ScorePlay"),
    "ghostback.score.v1.StatisticsService": (
        *("RateDecision", "ComputeStatistics", "ListStatistics", "ListLeaders", "WatchStatistics"),
    ),
    "ghostback.tracking.v1.OperationService": (
        *("GetOperation", "WaitOperation", "WatchOperation", "CancelOperation", "ListOperations"),
    ),
}
"""Methods that do the same when called once more, by service. gRPC repeats no other."""

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.1},
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method} for service, methods in IDEMPOTENT.items() for method in methods
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
_OPTIONS: dict[str, Any] = {
    "grpc.service_config": json.dumps(_SERVICE_CONFIG),
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.http2.max_pings_without_data": 0,
}


@dataclass(frozen=True, slots=True)
class Tls:
    """What a channel trusts and shows. PEM files, read when a channel is made.

    Attributes:
        ca: certificates of the authorities that servers' certificates are signed by; the system's when None.
        certificate: the caller's own certificate and those between it and its authority, where servers ask for one.
        key: the private key of `certificate`.
        server_name: the name that the server's certificate must have; the address's when empty.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Security:
    """How a channel is secured; not at all by default, for servers on loopback.

    Attributes:
        tls: TLS, with a certificate of the caller's own or without.
        token: gives the token that goes with a call as `authorization: Bearer`. Called for each call, from
            any thread, so that it may be renewed.
    """

    tls: Tls | None = None
    token: Callable[[], str] | None = None


PLAIN = Security()
"""Neither TLS nor token."""


def aio_channel(address: str, security: Security = PLAIN, options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Channel:
    """An asynchronous channel; connects with the first call.

    Args:
        address: `host:port`, or any name that gRPC resolves.
        security: TLS and token.
        options: gRPC channel arguments, in place of those set here.

    Raises:
        ValueError: a token without TLS, or a certificate without its key.
        OSError: a PEM file cannot be read.
    """
    arguments = _arguments(security, options)
    credentials = _credentials(security)
    if credentials is None:
        return grpc.aio.insecure_channel(address, arguments)
    return grpc.aio.secure_channel(address, credentials, arguments)


def sync_channel(address: str, security: Security = PLAIN, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
    """A synchronous channel; for the rest see `aio_channel`."""
    arguments = _arguments(security, options)
    credentials = _credentials(security)
    if credentials is None:
        return grpc.insecure_channel(address, arguments)
    return grpc.secure_channel(address, credentials, arguments)


def _arguments(security: Security, options: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    name = security.tls.server_name if security.tls else ""
    return list((_OPTIONS | ({"grpc.ssl_target_name_override": name} if name else {}) | dict(options)).items())


def _credentials(security: Security) -> grpc.ChannelCredentials | None:
    tls = security.tls
    if tls is None:
        if security.token:
            raise ValueError("a token is only sent over TLS, or anyone could read it; give Security.tls too")
        return None
    if (tls.certificate is None) != (tls.key is None):
        raise ValueError("Tls.certificate and Tls.key go together; give both or neither")
    ca = tls.ca.read_bytes() if tls.ca else _system_authorities()
    channel = grpc.ssl_channel_credentials(ca, _read(tls.key), _read(tls.certificate))
    if security.token is None:
        return channel
    return grpc.composite_channel_credentials(channel, grpc.metadata_call_credentials(_Bearer(security.token)))


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None


def _system_authorities() -> bytes | None:
    """What the system trusts, in PEM; gRPC for Python would take a list of its own, and does where there is none."""
    trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, trusted)).encode() or None


class _Bearer(grpc.AuthMetadataPlugin):
    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        try:
            callback((("authorization", f"Bearer {self._token()}"),), None)
        except Exception as error:
            callback((), error)
