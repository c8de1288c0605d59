"""Another language: stubs of the same protos read and write the same messages, and reach the same services."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

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

NODE = Path(sys.executable).with_name("node")
TYPESCRIPT = Path(__file__).parents[2] / "clients" / "typescript"
PASS_SECONDS = 60.0

SIMULATED = simulate_game(41, 4)
PLAY, OTHER = [play for play in SIMULATED.plays if play.forward_pass][:2]


@pytest.fixture(scope="module", autouse=True)
def _stubs() -> None:
    if not (TYPESCRIPT / "gen" / ".ready").exists():
        pytest.fail("the TypeScript stubs are not generated: run `make typescript`")


async def node(program: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Run a program of clients/typescript; gives its exit code, its output and what it says on stderr."""
    process = await asyncio.create_subprocess_exec(
        *(NODE, TYPESCRIPT / program, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, told = await asyncio.wait_for(process.communicate(stdin.encode()), PASS_SECONDS)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(), told.decode()


async def ghosts(chain: Chain, play: Play, folder: Path) -> tuple[int, str, str]:
    """Run the example with a play."""
    file = folder / "play.json"
    game = convert.game_to_message(SIMULATED.game)
    message = play_pb2.Play.FromString(convert.play_to_message(play).SerializeToString())
    file.write_text(json.dumps({"game": MessageToDict(game), "play": MessageToDict(message)}))
    addresses = chain.suite.addresses
    return await node(
        "ghosts.ts", f"--ingest=http://{addresses.ingest}", f"--predict=http://{addresses.predict}", str(file)
    )


async def test_a_play_streamed_from_typescript_is_stored_sample_for_sample_and_has_the_same_ghosts(
    chain: Chain, tmp_path: Path
) -> None:
    code, output, told = await ghosts(chain, PLAY, tmp_path)
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
    code, _, told = await ghosts(chain, replace(OTHER, forward_pass=None), tmp_path)
    assert code == 1
    refusal = json.loads(told)
    assert (refusal["code"], refusal["reason"]) == ("FailedPrecondition", "PLAY_WITHOUT_PASS")


async def test_an_error_read_in_typescript_names_the_field(chain: Chain, tmp_path: Path) -> None:
    code, _, told = await ghosts(chain, replace(OTHER, play_id="of the day"), tmp_path)
    assert code == 1
    refusal = json.loads(told)
    assert (refusal["code"], refusal["reason"]) == ("InvalidArgument", "NAME_INVALID")
    assert list(refusal["fields"]) == ["play.name"]


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
