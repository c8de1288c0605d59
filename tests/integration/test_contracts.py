"""Consumer contracts against a running suite: held, broken, and recorded from real calls."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TypeVar

import grpc.aio
import pytest

from ghostback import feed, wire
from ghostback.channels import Security
from ghostback.client import Addresses, Client
from ghostback.contract import descriptors, document, drafting, live, state
from ghostback.contract.document import SERVERS, Contract
from ghostback.contract.recording import Exchange, recording
from ghostback.contract.servers import Targets
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.predict.v1 import predict_service_pb2
from services.common.starting import Starting
from tests.integration.conftest import Chain

CONTRACTS = Path(__file__).parents[2] / "protos" / "contracts"
OVERLAY = CONTRACTS / "live-overlay" / "overlay.yaml"

T = TypeVar("T")


@pytest.fixture
def addresses(chain: Chain) -> dict[str, str]:
    return {server: getattr(chain.suite.addresses, server) for server in SERVERS}


async def verify(*arguments: object, targets: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ghostback.cli", "contract", "verify", *map(str, arguments)),
        *(f"--target={server}={address}" for server, address in targets.items()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


async def test_the_suite_keeps_our_consumers_contracts(addresses: dict[str, str]) -> None:
    for again in range(2):
        code, output = await verify(CONTRACTS, "--simulate", "--json", targets=addresses)
        assert code == 0, (again, output)
    report = json.loads(output)
    assert report["kept"]
    assert {each["consumer"] for each in report["contracts"]} == {"live-overlay", "season-rescorer"}


async def test_a_broken_contract_is_told_with_what_was_expected_and_got(
    chain: Chain, addresses: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "ghosts.yaml"
    file.write_text(
        """
        consumer: overlay
        variables: {play: a pass, target: who was targeted}
        interactions:
          - name: two targets
            call: ghostback.predict.v1.PredictService/PredictGhosts
            request: {source: {name: $play}, target_ids: [$target]}
            response: {targets: {length: 2}, 'targets[0].actual': true, model_version: {regex: models/lucky/.*}}
            headers: {x-ghostback-arm: {equal: nobody}}
            capture: {version: model_version}
          - name: a wrong reason
            call: ghostback.predict.v1.PredictService/PredictGhosts
            request: {source: {name: games/none/plays/none}}
            error: {code: NOT_FOUND, reason: GAME_UNKNOWN}
          - name: a stream whose first batch is refused, with more behind it, is refused
            call: ghostback.ingest.v1.IngestService/StreamTags
            requests: [{play: none}, {play: $play}, {play: $play}, {play: $play}]
            error: {code: INVALID_ARGUMENT, reason: NAME_INVALID, fields: [play]}
          - name: no error at all
            call: ghostback.predict.v1.ModelService/GetModelVersion
            request: {name: $version}
            error: {code: NOT_FOUND}
        """
    )
    code, output = await verify(file, "--set", f"play={chain.passes[0].name}", targets=addresses)
    assert code == 1
    words = " ".join(output.split())
    assert "response.targets expected length 2 got 1 values" in words
    assert 'response.model_version expected regex "models/lucky/.*" got "models/ghosting/versions/' in words
    assert 'headers.x-ghostback-arm expected equal "nobody" got "stable"' in words
    assert "error.reason expected GAME_UNKNOWN got PLAY_UNKNOWN" in words
    assert "error.code expected NOT_FOUND got OK" in words
    assert "1 kept, 3 broken" in words, output


@pytest.mark.parametrize(
    ("arguments", "server", "exit_code", "said"),
    [
        ((OVERLAY,), "127.0.0.1:1", 3, "ingest does not answer at 127.0.0.1:1"),
        ((OVERLAY, "--set", "play"), "127.0.0.1:1", 2, "play is not of the form NAME=VALUE"),
        (("nowhere",), "127.0.0.1:1", 2, "no contract is at nowhere"),
    ],
)
async def test_what_cannot_be_checked_is_neither_kept_nor_broken(
    arguments: tuple[object, ...], server: str, exit_code: int, said: str
) -> None:
    code, output = await verify(*arguments, targets={"": server})
    assert code == exit_code
    assert said in output


@pytest.mark.parametrize("simulate", [(), ("--simulate",)])
async def test_a_server_that_is_still_starting_when_the_state_is_made_does_not_answer(
    simulate: tuple[str, ...],
) -> None:
    server = grpc.aio.server(interceptors=[Starting()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    code, output = await verify(OVERLAY, *simulate, targets={"": f"127.0.0.1:{port}"})
    await server.stop(None)
    assert code == 3, output
    assert "ingest does not give the state: UNAVAILABLE STARTING" in output


async def test_a_contract_recorded_from_calls_is_kept_afterwards(
    chain: Chain, addresses: dict[str, str], tmp_path: Path
) -> None:
    given = await state.simulate(chain.client)
    async with recording(addresses, 4096, Security()) as noted, Client(Addresses(**noted.addresses)) as client:
        play = await client.get_play(given["play"])
        prediction = await client.predict_ghosts(play.name, [given["target"]])
        assert prediction.ghosts
        tags = next(feed.batches(play, 0.1))
        acknowledgements = [each async for each in client.stream_tags(async_iterable([(play.name, tags)]))]
        assert [each.duplicates for each in acknowledgements] == [len(tags)]
        async for _ in client.evaluate_model(given["game"]):
            pass
        watch = client.ingest.WatchPlays(wire.view(ingest_service_pb2.WatchPlaysRequest)(parent=given["game"]))
        assert (await watch.read()).play.name
        watch.cancel()
        for refused in (given["run"], f"{play.name}-none"):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await client.predict_ghosts(refused)
            assert "grpc-status-details-bin" in dict(error.value.trailing_metadata())
        with pytest.raises(grpc.aio.AioRpcError):
            await client.predict_ghosts(play, ["nobody"])
    left_out, contract = draft(list(noted.exchanges.values()), tmp_path / "recorded.yaml")
    assert [(call.rpartition("/")[2], "--max-bytes" in why) for call, why in left_out] == [("PredictGhosts", True)]
    assert {interaction.name for interaction in contract.interactions} >= {
        "StreamTags answers",
        "WatchPlays answers",
        "PredictGhosts refuses: PLAY_WITHOUT_PASS",
        "PredictGhosts refuses: PLAY_UNKNOWN",
    }
    wait = next(each for each in contract.interactions if each.call.endswith("/WaitOperation"))
    assert wait.server == "score"
    assert wait.request
    assert wait.request["name"].startswith("$operation_name")
    assert set(contract.variables) == {"play", "game", "run"}
    (outcomes,) = await live.verify([contract], descriptors.of_stubs(), Targets(addresses, Security()), given)
    assert [outcome.findings for outcome in outcomes if outcome.findings] == []


async def async_iterable(values: Iterable[T]) -> AsyncIterator[T]:
    for value in values:
        yield value


def draft(exchanges: list[Exchange], file: Path) -> tuple[list[tuple[str, str]], Contract]:
    """The calls left out, and the contract of the others, as read again from its file."""
    drafted = drafting.Draft("recorded", descriptors.of_stubs(), 4096)
    left_out = [(each.call, why) for each in exchanges if (why := drafted.add(each))]
    file.write_text(drafting.to_yaml(drafted.contract()))
    return left_out, document.read(file)


async def test_a_recording_notes_no_credentials(addresses: dict[str, str], tmp_path: Path) -> None:
    service = predict_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
    metadata = (("authorization", "Bearer secret"), ("x-ghostback-routing-key", "games/1/plays/2"))
    async with recording({"predict": addresses["predict"]}, 4096, Security()) as noted:
        async with grpc.aio.insecure_channel(noted.addresses["predict"]) as channel:
            request = wire.view(predict_service_pb2.ListModelsRequest)()
            await wire.stub(service, channel).ListModels(request, metadata=metadata)
    (exchange,) = noted.exchanges.values()
    assert exchange.metadata == {"x-ghostback-routing-key": "games/1/plays/2"}
    draft([exchange], tmp_path / "recorded.yaml")
    assert "secret" not in (tmp_path / "recorded.yaml").read_text()
