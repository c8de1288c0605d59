"""Another language: stubs of the same protos read and write the same messages, and reach the same services."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass

from ghostback import convert
from ghostback.play import Play
from ghostback.predict.v1.predict_service_pb2 import PredictGhostsResponse
from ghostback.tracking.v1 import play_pb2
from simulator.game import simulate_game
from tests.contract.examples import descriptors, example
from tests.integration.conftest import Chain
from tests.unit.clients.test_channels import certificate

NODE = Path(sys.executable).with_name("node")
ROOT = Path(__file__).parents[2]
TYPESCRIPT = ROOT / "clients" / "typescript"
PASS_SECONDS = 60.0

SIMULATED = simulate_game(41, 4)
PLAY, OTHER = [play for play in SIMULATED.plays if play.forward_pass][:2]


@pytest.fixture(scope="module", autouse=True)
def _stubs() -> None:
    made = TYPESCRIPT / "gen" / ".ready"
    changed = max(proto.stat().st_mtime for proto in (ROOT / "protos").glob("ghostback/**/*.proto"))
    if not made.exists() or made.stat().st_mtime < changed:
        pytest.fail("the TypeScript stubs are not those of the protos: run `make typescript`")


async def node(
    program: str, *arguments: str, stdin: str = "", shown: Mapping[str, Path | str] = {}
) -> tuple[int, str, str]:
    """Run a program of clients/typescript; gives its exit code, its output and what it says on stderr."""
    process = await asyncio.create_subprocess_exec(
        *(NODE, TYPESCRIPT / program, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {name: str(path) for name, path in shown.items()},
    )
    try:
        output, told = await asyncio.wait_for(process.communicate(stdin.encode()), PASS_SECONDS)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(), told.decode()


async def ghosts(
    ingest: str, predict: str, play: Play, folder: Path, shown: Mapping[str, Path | str] = {}
) -> tuple[int, str, str]:
    """Run the example with a play."""
    file = folder / "play.json"
    game = convert.game_to_message(SIMULATED.game)
    message = play_pb2.Play.FromString(convert.play_to_message(play).SerializeToString())
    file.write_text(json.dumps({"game": MessageToDict(game), "play": MessageToDict(message)}))
    return await node("ghosts.ts", f"--ingest={ingest}", f"--predict={predict}", str(file), shown=shown)


async def ghosts_of(chain: Chain, play: Play, folder: Path) -> tuple[int, str, str]:
    addresses = chain.suite.addresses
    return await ghosts(f"http://{addresses.ingest}", f"http://{addresses.predict}", play, folder)


class Refusing(grpc.GenericRpcHandler):
    """Refuses every call, saying who it came from and with what token."""

    def __init__(self) -> None:
        self.calls = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    async def _refuse(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.calls += 1
        (name,) = context.auth_context()["x509_common_name"]
        token = dict(context.invocation_metadata() or ())["authorization"]
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{name.decode()}, {token!s}")


async def test_a_play_streamed_from_typescript_is_stored_sample_for_sample_and_has_the_same_ghosts(
    chain: Chain, tmp_path: Path
) -> None:
    code, output, told = await ghosts_of(chain, PLAY, tmp_path)
    assert code == 0, told
    answer = json.loads(output)
    assert answer["stored"] == {
        "batches": -(-len(PLAY.samples) // 512),
        "accepted": len(PLAY.samples),
        "quarantined": 0,
    }
    stored = await chain.client.get_play(PLAY.name)
    assert stored.forward_pass == PLAY.forward_pass
    assert stored.samples == PLAY.samples.sorted_by_frame()
    receivers = [receiver.participant_id for receiver in PLAY.eligible_receivers()]
    expected = (await chain.client.predict_ghosts(PLAY.name, receivers)).message
    assert {ghost.target_id for ghost in expected.ghosts} == set(receivers)
    read = ParseDict(answer["prediction"], PredictGhostsResponse())
    assert read == PredictGhostsResponse.FromString(expected.SerializeToString())


async def test_an_error_read_in_typescript_names_its_reason(chain: Chain, tmp_path: Path) -> None:
    code, _, told = await ghosts_of(chain, replace(OTHER, forward_pass=None), tmp_path)
    assert code == 1
    refusal = json.loads(told)
    assert (refusal["code"], refusal["reason"]) == ("FailedPrecondition", "PLAY_WITHOUT_PASS")


async def test_an_error_read_in_typescript_names_the_field(chain: Chain, tmp_path: Path) -> None:
    code, _, told = await ghosts_of(chain, replace(OTHER, play_id="of the day"), tmp_path)
    assert code == 1
    refusal = json.loads(told)
    assert (refusal["code"], refusal["reason"]) == ("InvalidArgument", "NAME_INVALID")
    assert list(refusal["fields"]) == ["play.name"]


async def test_typescript_shows_its_certificate_and_token_to_the_server_whose_name_it_was_given(
    tmp_path: Path,
) -> None:
    authority, authority_key = certificate("an authority", tmp_path / "ca")
    for name in ("services.test", "client.test"):
        certificate(name, tmp_path / name, authority, authority_key)
    (tmp_path / "token").write_text("a-token\n")
    shown = {
        "GHOSTBACK_SERVER_NAME": "services.test",
        "GHOSTBACK_CA": tmp_path / "ca.pem",
        "GHOSTBACK_CERTIFICATE": tmp_path / "client.test.pem",
        "GHOSTBACK_KEY": tmp_path / "client.test.key",
        "GHOSTBACK_TOKEN_FILE": tmp_path / "token",
    }
    credentials = grpc.ssl_server_credentials(
        [((tmp_path / "services.test.key").read_bytes(), (tmp_path / "services.test.pem").read_bytes())],
        (tmp_path / "ca.pem").read_bytes(),
        require_client_auth=True,
    )
    server = grpc.aio.server(handlers=[handler := Refusing()])
    address = f"localhost:{server.add_secure_port('localhost:0', credentials)}"
    await server.start()
    try:
        _, _, told = await ghosts(f"https://{address}", f"https://{address}", PLAY, tmp_path, shown)
        assert json.loads(told)["code"] == "Unauthenticated"
        assert json.loads(told)["message"] == "client.test, Bearer a-token"
        for missing in ("GHOSTBACK_CA", "GHOSTBACK_CERTIFICATE", "GHOSTBACK_SERVER_NAME"):
            some = {name: path for name, path in shown.items() if name != missing}
            code, _, told = await ghosts(f"https://{address}", f"https://{address}", PLAY, tmp_path, some)
            assert code == 1
            assert json.loads(told)["reason"] == "UNSPECIFIED"
        code, _, told = await ghosts(f"http://{address}", f"http://{address}", PLAY, tmp_path, shown)
        assert code == 1
        assert "a token is only sent over TLS" in told
        assert handler.calls == 1
    finally:
        await server.stop(None)


async def test_typescript_reads_and_writes_every_message_as_python_does() -> None:
    messages = {descriptor.full_name: example(descriptor) for descriptor in descriptors()}
    unknown = bytes([0xC2, 0xBB, 0x01, 3]) + b"new"  # field 3000, as a later version of the contract may have
    given: list[dict[str, Any]] = [
        {"type": name, "wire": (message.SerializeToString() + unknown).hex(), "json": MessageToDict(message)}
        for name, message in messages.items()
    ]
    code, output, told = await node("conformance.ts", stdin=json.dumps(given))
    assert code == 0, told
    written = json.loads(output)
    assert [message["type"] for message in written] == list(messages)
    for sent, message in zip(given, written, strict=True):
        expected = messages[sent["type"]]
        kind = GetMessageClass(expected.DESCRIPTOR)
        assert message["again"] == sent["wire"]
        assert kind.FromString(bytes.fromhex(message["wire"])) == expected
        assert ParseDict(message["json"], kind()) == expected
