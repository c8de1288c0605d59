"""TLS of a server and of its calls to other services; certificates are read again when they change."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import grpc
import prometheus_client
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ghostback.channels import Security, Tls
from services.common.settings import ServiceSettings
from services.common.watched import Watched

_EXPIRES = prometheus_client.Gauge(
    "ghostback_certificate_expiry_timestamp_seconds", "Until when the service's certificate is good.", ["file"]
)


@dataclass(frozen=True, slots=True)
class Pem:
    """A server's certificate with those between it and its authority, its key, and the authorities it trusts.

    Attributes:
        expires: Unix time, seconds, until which the certificate is good.
    """

    certificate: bytes
    key: bytes
    ca: bytes | None
    expires: float


class ServerTls:
    """The certificate that a server shows now."""

    def __init__(self, certificate: Path, key: Path, ca: Path | None, callers: Literal["certificate", "token"]) -> None:
        """Read the files.

        Args:
            certificate: PEM file of the server's certificate.
            key: PEM file of its key.
            ca: PEM file of the authorities of the callers' certificates.
            callers: what callers show; with "certificate", none gets to speak without one.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is not PEM, or the key is of another certificate.
        """
        self._files = (certificate, key)
        self._ca = ca if callers == "certificate" else None
        paths = [certificate, key, *([self._ca] if self._ca else [])]
        self._pem = Watched(lambda: _read(certificate, key, self._ca), paths)
        _EXPIRES.labels(str(certificate)).set_function(lambda: self._pem().expires)

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that show to each new connection what the files hold then."""
        shown = self._pem()

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            pem = self._pem()
            if pem is shown:
                return None
            shown = pem
            return _configuration(pem)

        require = self._ca is not None
        return grpc.dynamic_ssl_server_credentials(_configuration(shown), fetch, require)  # type: ignore[arg-type]

    def serve_metrics(self, port: int, host: str) -> Any:
        """Serve the metrics page by HTTPS, to the callers that the server speaks with.

        An authority that is trusted no longer is until the next start.
        """
        certificate, key = self._files
        metrics, _ = prometheus_client.start_http_server(
            port, host, certfile=str(certificate), keyfile=str(key), **self._metrics_callers()
        )
        shown = self._pem()

        def show(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
            nonlocal shown
            pem = self._pem()
            if pem is not shown:
                shown = pem
                context.load_cert_chain(certificate, key)
                if self._ca:
                    context.load_verify_locations(self._ca)
                connection.context = context

        cast(ssl.SSLSocket, metrics.socket).context.sni_callback = show
        return metrics

    def _metrics_callers(self) -> dict[str, Any]:
        return {"client_cafile": str(self._ca), "client_auth_required": True} if self._ca else {}


def of_server(settings: ServiceSettings) -> ServerTls | None:
    """The TLS of a server; None where it has none.

    Raises:
        OSError: a file cannot be read.
        ValueError: the settings do not go together, or would have the server listen where anyone may come.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if settings.token_file and not settings.tls_ca:
        raise ValueError("--token-file needs --tls-ca, or anyone could read the token")
    if certificate and key:
        if settings.tls_callers == "certificate" and not settings.tls_ca:
            raise ValueError("--tls-callers=certificate needs --tls-ca, the authority of the callers' certificates")
        return ServerTls(certificate, key, settings.tls_ca, settings.tls_callers)
    if certificate or key:
        raise ValueError("--tls-certificate and --tls-key go together; give both or neither")
    if not settings.insecure_beyond_loopback and not _is_loopback(settings.host):
        raise ValueError(
            f"will not listen on {settings.host} without TLS, where other machines may come; give --tls-certificate, "
            "--tls-key and --tls-ca, or listen on 127.0.0.1, or say --insecure-beyond-loopback=true"
        )
    return None


def of_calls(settings: ServiceSettings) -> Watched[Security]:
    """How a server calls other services: with its own certificate, and with its token where it has one."""
    files = [settings.tls_ca, settings.tls_certificate, settings.tls_key]
    paths = [path for path in files if path]
    tokens = settings.token_file
    token = Watched(lambda: tokens.read_text().strip(), [tokens]) if tokens else None

    def read() -> Security:
        if settings.tls_certificate and settings.tls_key:
            _read(settings.tls_certificate, settings.tls_key, settings.tls_ca)
        tls = Tls(settings.tls_ca, settings.tls_certificate, settings.tls_key) if paths else None
        return Security(tls, token)

    return Watched(read, paths)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _read(certificate: Path, key: Path, ca: Path | None) -> Pem:
    shown, private, trusted = certificate.read_bytes(), key.read_bytes(), ca.read_bytes() if ca else None
    try:
        own = x509.load_pem_x509_certificate(shown)
        if load_pem_private_key(private, None).public_key() != own.public_key():
            raise ValueError("the key is of another certificate")
        if trusted is not None:
            x509.load_pem_x509_certificates(trusted)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        files = ", ".join(str(path) for path in (certificate, key, ca) if path)
        raise ValueError(f"{files}: {error}") from None
    return Pem(shown, private, trusted, own.not_valid_after_utc.timestamp())


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.ca)
