"""Channels: what is repeated, what is sent, and what is refused."""

from __future__ import annotations

import datetime
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ghostback.channels import IDEMPOTENT, Security, Tls, aio_channel, sync_channel
from ghostback.features.v1 import features_service_pb2
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.predict.v1 import predict_service_pb2, rollout_service_pb2
from ghostback.score.v1 import score_service_pb2, statistics_service_pb2
from ghostback.tracking.v1 import operation_service_pb2

NOT_REPEATED = {
    "StreamTags",
    "ReplayQuarantine",
    "SelectFeatures",
    "EvaluateModel",
    "ReloadModelVersion",
    "CreateRollout",
    "PauseRollout",
    "ResumeRollout",
    "PromoteRollout",
    "AbortRollout",
    "RollBackRollout",
}
GET_PLAY = "/ghostback.ingest.v1.IngestService/GetPlay"
PROMOTE = "/ghostback.predict.v1.RolloutService/PromoteRollout"


class Failing(grpc.GenericRpcHandler):
    """Finds every method unavailable for some calls, then answers with the `authorization` of the call."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.calls += 1
        if self.calls <= self.failures:
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        return str(dict(context.invocation_metadata() or ()).get("authorization", "")).encode()


def test_every_method_is_either_repeated_or_known_not_to_be() -> None:
    modules = (
        *(features_service_pb2, ingest_service_pb2, predict_service_pb2),
        *(rollout_service_pb2, score_service_pb2, statistics_service_pb2, operation_service_pb2),
    )
    methods = {
        (service.full_name, method.name)
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    repeated = {(service, method) for service, names in IDEMPOTENT.items() for method in names}
    assert repeated <= methods
    assert {method for _, method in methods - repeated} == NOT_REPEATED


@pytest.mark.parametrize(("method", "calls"), [(GET_PLAY, 3), (PROMOTE, 1)])
async def test_only_idempotent_calls_are_repeated(method: str, calls: int) -> None:
    handler = Failing(failures=2)
    server = grpc.aio.server(handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary(method)(b"", timeout=10)
        assert (await answer.code() is grpc.StatusCode.OK) == (calls == 3)
    await server.stop(None)
    assert handler.calls == calls


async def test_repeats_have_a_budget() -> None:
    handler = Failing(failures=1000)
    server = grpc.aio.server(handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio_channel(f"127.0.0.1:{port}") as channel:
        for _ in range(40):
            assert await channel.unary_unary(GET_PLAY)(b"", timeout=10).code() is grpc.StatusCode.UNAVAILABLE
    await server.stop(None)
    assert handler.calls < 60


async def test_calls_are_spread_over_all_addresses() -> None:
    servers, handlers, ports = [], [Failing(0), Failing(0)], []
    for handler in handlers:
        server = grpc.aio.server(handlers=[handler])
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        servers.append(server)
    async with aio_channel("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)) as channel:
        for _ in range(100):
            await channel.unary_unary(GET_PLAY)(b"", timeout=10)
    for server in servers:
        await server.stop(None)
    assert min(handler.calls for handler in handlers) > 20


async def test_a_channel_shows_its_certificate_and_each_calls_token(tmp_path: Path) -> None:
    authority, authority_key = certificate("an authority", tmp_path / "ca")
    for name in ("server.test", "client.test"):
        certificate(name, tmp_path / name, authority, authority_key)
    credentials = grpc.ssl_server_credentials(
        [((tmp_path / "server.test.key").read_bytes(), (tmp_path / "server.test.pem").read_bytes())],
        (tmp_path / "ca.pem").read_bytes(),
        require_client_auth=True,
    )
    server = grpc.aio.server(handlers=[Failing(0)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    tokens = iter("ab")
    tls = Tls(tmp_path / "ca.pem", tmp_path / "client.test.pem", tmp_path / "client.test.key", "server.test")
    async with aio_channel(f"127.0.0.1:{port}", Security(tls, lambda: next(tokens))) as channel:
        call = channel.unary_unary(GET_PLAY)
        assert [await call(b"", timeout=10), await call(b"", timeout=10)] == [b"Bearer a", b"Bearer b"]
    for refused in (Tls(tls.ca, server_name="server.test"), Tls(tls.ca, tls.certificate, tls.key)):
        async with aio_channel(f"127.0.0.1:{port}", Security(refused)) as channel:
            assert await channel.unary_unary(PROMOTE)(b"", timeout=10).code() is grpc.StatusCode.UNAVAILABLE
    await server.stop(None)


async def test_without_authorities_given_those_of_the_system_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, authority_key = certificate("an authority", tmp_path / "ca")
    certificate("server.test", tmp_path / "server", authority, authority_key)
    pair = ((tmp_path / "server.key").read_bytes(), (tmp_path / "server.pem").read_bytes())
    server = grpc.aio.server(handlers=[Failing(0)])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()

    async def code() -> grpc.StatusCode:
        async with aio_channel(f"127.0.0.1:{port}", Security(Tls(server_name="server.test"))) as channel:
            return await channel.unary_unary(PROMOTE)(b"", timeout=10).code()

    assert await code() is grpc.StatusCode.UNAVAILABLE
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert await code() is grpc.StatusCode.OK
    await server.stop(None)


@pytest.mark.parametrize("channel", [aio_channel, sync_channel])
async def test_a_token_is_never_sent_in_the_clear_nor_a_certificate_without_key(
    channel: object, tmp_path: Path
) -> None:
    assert callable(channel)
    with pytest.raises(ValueError, match="a token is only sent over TLS"):
        channel("127.0.0.1:1", Security(token=lambda: "a"))
    with pytest.raises(ValueError, match="go together"):
        channel("127.0.0.1:1", Security(Tls(certificate=tmp_path)))


def certificate(
    name: str,
    path: Path,
    issuer: x509.Certificate | None = None,
    issuer_key: ec.EllipticCurvePrivateKey | None = None,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate, of an authority when there is no issuer; it and its key are put into `path`.pem and .key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )
    path.with_name(f"{path.name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    path.with_name(f"{path.name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key
