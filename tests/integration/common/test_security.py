"""Who is let in, who is not, and what each is told."""

import asyncio
import re
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ghostback import wire
from ghostback.channels import Security, Tls, aio_channel
from ghostback.tracking.v1 import operation_service_pb2 as pb
from services.common.errors import PermissionDenied
from services.common.identity import thumbprint
from services.common.operations import OPERATION_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from tests import logs
from tests.certificates import AUDIENCE, ISSUER, Authority, Files, Issuer
from tests.failures import Failure, failure
from tests.processes import Server, running, spawn

MODULE = "tests.integration.common.chassis_server"
SERVICE = "/ghostback.tracking.v1.OperationService"
READER, OWNER, FEED = "spiffe://test/reader", "owner.test", "spiffe://test/feed"
POLICY = {
    "certificates": {READER: ["reader"], OWNER: ["model-owner", "reader"], FEED: ["producer"]},
    "tokens": {"issuer": ISSUER, "audience": AUDIENCE, "keys": "keys.json"},
    "subjects": {"ann": ["reader"], "ada": ["admin"]},
}


@dataclass
class World:
    """A server, and all that may be shown to it."""

    server: Server
    authority: Authority
    issuer: Issuer
    policy: Path

    def log(self) -> list[dict[str, Any]]:
        return logs.lines(self.server.log)

    def refusals(self) -> list[tuple[str, str]]:
        return [(line["identity"], line["why"]) for line in self.log() if line["event"] == "refused"]

    @asynccontextmanager
    async def calling(self, shown: Files | None, token: str = "") -> AsyncIterator["Calls"]:
        tls = Tls(self.authority.ca, shown.certificate if shown else None, shown.key if shown else None)
        security = Security(tls, (lambda: token) if token else None)
        async with aio_channel(self.server.address, security) as channel:
            yield Calls(channel)

    async def refused(self, shown: Files | None, token: str = "", method: str = "ListOperations") -> Failure:
        async with self.calling(shown, token) as calls:
            return await calls.refused(method)


class Calls:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.stub = wire.stub(OPERATION_SERVICE, channel)

    async def list(self, **metadata: str) -> Any:
        return await self.stub.ListOperations(pb.ListOperationsRequest(), metadata=tuple(metadata.items()), timeout=10)

    async def refused(self, method: str = "ListOperations", metadata: Any = ()) -> Failure:
        request = getattr(pb, f"{method}Request")()
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await getattr(self.stub, method)(request, metadata=metadata, timeout=10)
        return failure(error.value)


@asynccontextmanager
async def world(folder: Path, callers: str) -> AsyncIterator[World]:
    authority, issuer = Authority(folder), Issuer(folder / "keys.json")
    own = authority.issue("server", "127.0.0.1")
    policy = folder / "policy.yaml"
    policy.write_text(yaml.safe_dump(POLICY))
    flags = [f"--tls-certificate={own.certificate}", f"--tls-key={own.key}", f"--tls-ca={authority.ca}"]
    flags += [f"--tls-callers={callers}", f"--access-policy={policy}", "--max-calls-per-peer=2"]
    async with running(MODULE, *flags) as server:
        yield World(server, authority, issuer, policy)


@pytest.fixture(scope="module")
async def mutual(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("mutual"), "certificate") as started:
        yield started


@pytest.fixture(scope="module")
async def tokens(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("tokens"), "token") as started:
        yield started


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.05)


async def test_a_certificate_in_the_policy_may_call_what_its_roles_may(mutual: World) -> None:
    for name in (READER, OWNER):
        async with mutual.calling(mutual.authority.issue("caller", name)) as calls:
            assert (await calls.list()).operations
    owner = await mutual.refused(mutual.authority.issue("owner", OWNER), method="CancelOperation")
    assert owner.reason == "INTERNAL"


async def test_the_log_names_the_caller_of_a_call(mutual: World) -> None:
    async with mutual.calling(mutual.authority.issue("caller", READER)) as calls:
        await calls.list(**{"x-request-id": "who-was-it"})

    async def logged() -> bool:
        return [line["caller"] for line in mutual.log() if line.get("request_id") == "who-was-it"] == [READER]

    await until(logged)


async def test_a_caller_that_has_a_name_has_so_many_calls_and_others_at_its_address_go_on(mutual: World) -> None:
    reader, owner = mutual.authority.issue("caller", READER), mutual.authority.issue("owner", OWNER)
    async with mutual.calling(reader) as calls, mutual.calling(owner) as others:
        name = (await calls.list()).operations[0].name
        watching = [calls.stub.WatchOperation(pb.WatchOperationRequest(name=name)) for _ in range(2)]
        for call in watching:
            await call.read()
        told = await calls.refused()
        assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
        assert READER in told.message
        assert (await others.list()).operations
        for call in watching:
            call.cancel()

        async def is_let_in_again() -> bool:
            return await calls.stub.ListOperations(pb.ListOperationsRequest()).code() is grpc.StatusCode.OK

        await until(is_let_in_again)


@pytest.mark.parametrize("which", ["none", "expired", "of another authority", "self-signed name"])
async def test_no_word_is_spoken_without_a_certificate_of_our_authority(
    mutual: World, tmp_path: Path, which: str
) -> None:
    shown = {
        "none": None,
        "expired": mutual.authority.issue("expired", READER, days=-1),
        "of another authority": Authority(tmp_path, "other").issue("caller", READER),
        "self-signed name": Authority(tmp_path, "authority").issue("caller", READER),
    }[which]
    before, calls_before = mutual.server.log.read_text().count("Handshake failed"), len(mutual.log())
    told = await mutual.refused(shown)
    assert (told.code, told.reason) == ("UNAVAILABLE", "")
    assert mutual.server.log.read_text().count("Handshake failed") > before
    assert len(mutual.log()) == calls_before


async def test_a_name_that_the_policy_lacks_may_do_nothing_and_is_logged(mutual: World) -> None:
    told = await mutual.refused(mutual.authority.issue("stranger", "spiffe://test/stranger"))
    assert (told.code, told.reason) == ("PERMISSION_DENIED", "METHOD_REFUSED")
    assert ("spiffe://test/stranger", "its roles are []") in mutual.refusals()
    assert "stranger" not in told.message
    nameless = await mutual.refused(mutual.authority.issue("nameless"))
    assert nameless.reason == "METHOD_REFUSED"


@pytest.mark.parametrize(("name", "method"), [(FEED, "ListOperations"), (READER, "CancelOperation")])
async def test_a_role_that_the_method_is_not_for_is_refused_and_logged(mutual: World, name: str, method: str) -> None:
    told = await mutual.refused(mutual.authority.issue("caller", name), method=method)
    assert (told.code, told.reason) == ("PERMISSION_DENIED", "METHOD_REFUSED")
    assert f"{SERVICE}/{method}" in told.message
    assert name in [identity for identity, _ in mutual.refusals()]


async def test_only_model_owners_choose_the_arm(mutual: World) -> None:
    arm = {"x-ghostback-arm": "candidate"}
    async with mutual.calling(mutual.authority.issue("owner", OWNER)) as calls:
        assert (await calls.list(**arm)).operations
    async with mutual.calling(mutual.authority.issue("reader", READER)) as calls:
        told = await calls.refused(metadata=tuple(arm.items()))
    assert (told.code, told.reason) == ("PERMISSION_DENIED", "ARM_OVERRIDE_REFUSED")


async def test_a_token_may_call_what_its_subjects_roles_may(tokens: World) -> None:
    async with tokens.calling(None, tokens.issuer.token("ann")) as calls:
        assert (await calls.list()).operations
        assert (await calls.refused("CancelOperation")).reason == "METHOD_REFUSED"
    assert (await tokens.refused(None, tokens.issuer.token("bob"))).reason == "METHOD_REFUSED"


FORGERIES: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "nothing": (lambda issuer: "", "neither a certificate nor a token"),
    "expired": (lambda issuer: issuer.token("ann", -11), "Signature has expired"),
    "not yet": (lambda issuer: issuer.token("ann", nbf=4e9), "not yet valid"),
    "other key": (lambda issuer: issuer.forged(), "Signature verification failed"),
    "unknown key": (lambda issuer: issuer.forged(kid="mine"), "none of its issuer's"),
    "no signature": (lambda issuer: issuer.forged(alg="none"), "alg value is not allowed"),
    "key as secret": (lambda issuer: issuer.forged(alg="HS256"), "alg value is not allowed"),
    "tampered": (lambda issuer: _tampered(issuer), "Signature verification failed"),
    "audience": (lambda issuer: issuer.token("ann", aud="billing"), "Audience"),
    "many audiences": (lambda issuer: issuer.token("ann", aud=[AUDIENCE, "billing"]), "Invalid claim format"),
    "issuer": (lambda issuer: issuer.token("ann", iss="https://evil.test"), "Invalid issuer"),
    "for ever": (lambda issuer: issuer.token("ann", 1e7), "for more than 3600 s"),
    "no subject": (lambda issuer: issuer.token(""), "subject is empty"),
    "bound": (lambda issuer: issuer.token("ann", cnf={"x5t#S256": "A" * 43}), "bound to another certificate"),
    "bound to a key": (lambda issuer: issuer.token("ann", cnf={"jkt": "A" * 43}), "bound to another certificate"),
    "no token": (lambda issuer: "x.y", "token: "),
}


def _tampered(issuer: Issuer) -> str:
    header, _, signature = issuer.token("ann").split(".")
    return ".".join([header, issuer.token("ada").split(".")[1], signature])


@pytest.mark.parametrize("kind", FORGERIES)
async def test_a_token_that_is_not_to_be_taken_is_refused_logged_and_not_repeated(tokens: World, kind: str) -> None:
    make, why = FORGERIES[kind]
    token = make(tokens.issuer)
    told = await tokens.refused(None, token)
    assert (told.code, told.reason) == ("UNAUTHENTICATED", "CREDENTIALS_REFUSED")
    assert told.message == (await tokens.refused(None, tokens.issuer.forged())).message
    assert any(why in logged for _, logged in tokens.refusals()), tokens.refusals()[-2:]
    assert not token or token not in tokens.server.log.read_text()


async def test_a_token_that_was_taken_is_refused_once_it_has_expired(tokens: World) -> None:
    async with tokens.calling(None, tokens.issuer.token("ann", -8)) as calls:
        assert (await calls.list()).operations

        async def is_refused() -> bool:
            try:
                await calls.list()
            except grpc.aio.AioRpcError as error:
                return failure(error).reason == "CREDENTIALS_REFUSED"
            return False

        await until(is_refused)


async def test_a_bound_token_that_was_stolen_is_refused(mutual: World) -> None:
    own, thief = mutual.authority.issue("own", FEED), mutual.authority.issue("thief", READER)
    token = mutual.issuer.token("ann", cnf={"x5t#S256": thumbprint(own.certificate.read_bytes())})
    async with mutual.calling(own, token) as calls:
        assert (await calls.list()).operations
    told = await mutual.refused(thief, token)
    assert (told.code, told.reason) == ("UNAUTHENTICATED", "CREDENTIALS_REFUSED")
    assert ("", "the token of 'ann' is bound to another certificate") in mutual.refusals()
    assert token not in mutual.server.log.read_text()


async def test_health_and_the_contract_are_told_to_whoever_gets_through(tokens: World) -> None:
    async with tokens.calling(None) as calls:
        health = await health_pb2_grpc.HealthStub(calls.channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(calls.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        assert [each async for each in reflection.ServerReflectionInfo(iter([request]))]


async def test_a_new_certificate_is_shown_without_a_restart_also_by_the_metrics_page_which_tells_when_it_expires(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, "token") as started:
        host, port = started.server.address.split(":")
        metrics_port = int(started.server.metrics.split(":")[2].split("/")[0])
        old = (tmp_path / "server.pem").read_text()

        async def shown(at: int) -> str:
            return await asyncio.to_thread(ssl.get_server_certificate, (host, at), timeout=5)

        async with started.calling(None, started.issuer.token("ann")) as calls:
            await calls.list()
            key = (tmp_path / "server.key").read_bytes()
            (tmp_path / "server.key").write_text("not a key")

            async def is_noticed() -> bool:
                assert await shown(int(port)) == old
                return any("stays" in line["event"] for line in started.log())

            await until(is_noticed)
            (tmp_path / "server.key").write_bytes(key)
            started.authority.issue("server", "127.0.0.1", days=100)
            new = (tmp_path / "server.pem").read_text()

            async def is_new() -> bool:
                return await shown(int(port)) == new and await shown(metrics_port) == new

            await until(is_new)
            assert (await calls.list()).operations
        async with started.calling(None, started.issuer.token("ann")) as calls:
            assert (await calls.list()).operations
        trusting = ssl.create_default_context(cafile=started.authority.ca)
        page = await asyncio.to_thread(urllib.request.urlopen, started.server.metrics, context=trusting)
        (expiry,) = re.findall(rb"certificate_expiry_timestamp_seconds\{.+\} (\S+)", page.read())
        assert float(expiry) - time.time() > 99 * 86400


async def test_a_new_authority_of_callers_is_trusted_without_a_restart_also_by_the_metrics_page(tmp_path: Path) -> None:
    async with world(tmp_path, "certificate") as started:
        new = Authority(tmp_path, "new")
        own = new.issue("caller", READER)
        trusting = ssl.create_default_context(cafile=started.authority.ca)
        trusting.load_cert_chain(own.certificate, own.key)
        with started.authority.ca.open("a") as trusted:
            trusted.write(new.ca.read_text())

        async def is_let_in() -> bool:
            try:
                async with started.calling(own) as calls:
                    await calls.list()
                await asyncio.to_thread(urllib.request.urlopen, started.server.metrics, context=trusting)
            except (grpc.aio.AioRpcError, OSError):
                return False
            return True

        await until(is_let_in)


async def test_a_changed_policy_and_changed_keys_hold_without_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path, "token") as started:
        async with started.calling(None, started.issuer.token("ann")) as calls:
            await calls.list()
            started.policy.write_text("certificates: [")
            async with started.calling(None, started.issuer.token("ada")) as other:
                await until(lambda: _logged(started, "stays", other))
            await calls.list()
            started.policy.write_text(yaml.safe_dump(POLICY | {"subjects": {"ada": ["admin"]}}))
            await until(lambda: _is_refused(calls, "METHOD_REFUSED"))
        async with started.calling(None, started.issuer.token("ada")) as calls:
            await calls.list()
            Issuer(tmp_path / "keys.json")
            await until(lambda: _is_refused(calls, "CREDENTIALS_REFUSED"))


async def _logged(started: World, what: str, calls: Calls) -> bool:
    await calls.list()
    return any(what in line["event"] for line in started.log())


async def _is_refused(calls: Calls, reason: str) -> bool:
    try:
        await calls.list()
    except grpc.aio.AioRpcError as error:
        return failure(error).reason == reason
    return False


async def test_a_service_shows_its_own_certificate_to_others_and_the_new_one_when_it_changes(mutual: World) -> None:
    own = mutual.authority.issue("service", READER)
    settings = ServiceSettings(tls_ca=mutual.authority.ca, tls_certificate=own.certificate, tls_key=own.key)
    upstream = Upstream("chassis", mutual.server.address, OPERATION_SERVICE, settings)
    request = wire.view(pb.ListOperationsRequest)()
    assert (await upstream.call("ListOperations", request)).operations
    mutual.authority.issue("service", FEED)

    async def is_another() -> bool:
        try:
            await upstream.call("ListOperations", request)
        except PermissionDenied as error:
            return error.reason == "METHOD_REFUSED"
        return False

    await until(is_another)
    await upstream.close()


ANYWHERE = "0.0.0.0"  # noqa: S104


async def ended(*flags: str, log: Path) -> tuple[int, str]:
    process = await spawn(MODULE, *flags, log=log)
    return await asyncio.wait_for(process.wait(), 30), log.read_text()


@pytest.mark.parametrize("host", [ANYWHERE, "[::]", "192.0.2.1", "example.test"])
async def test_a_server_does_not_listen_beyond_loopback_without_tls(host: str, tmp_path: Path) -> None:
    code, said = await ended(f"--host={host}", log=tmp_path / "log")
    assert code == 1
    assert f"will not listen on {host} without TLS" in said
    assert "--insecure-beyond-loopback=true" in said


async def test_a_server_listens_beyond_loopback_when_told_so_in_so_many_words() -> None:
    async with running(MODULE, f"--host={ANYWHERE}", "--insecure-beyond-loopback=true") as server:
        async with aio_channel(server.address.replace(ANYWHERE, "127.0.0.1")) as channel:
            assert (await Calls(channel).list()).operations


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--tls-certificate=server.pem"], "--tls-certificate and --tls-key go together"),
        (["--tls-certificate=server.pem", "--tls-key=server.key"], "needs --tls-ca"),
        (["--tls-certificate=server.pem", "--tls-key=other.key", "--tls-ca=authority.pem"], "the key is of another"),
        (["--tls-certificate=server.key", "--tls-key=server.key", "--tls-callers=token"], "server.key"),
        (["--access-policy=none.yaml"], "none.yaml"),
        (["--access-policy=wrong.yaml"], "there is no /Nothing/Here"),
        (["--token-file=server.key"], "--token-file needs --tls-ca"),
    ],
)
async def test_settings_that_do_not_go_together_are_refused_in_a_sentence(
    flags: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    authority.issue("server", "127.0.0.1")
    authority.issue("other", "127.0.0.1")
    (tmp_path / "wrong.yaml").write_text("methods: {/Nothing/Here: [reader]}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    code, said = await ended(*flags, log=tmp_path / "log")
    assert code == 1
    assert problem in said
    assert "Traceback" not in said
