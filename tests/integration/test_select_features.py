"""SelectFeatures: from games in `ingest` to a feature set that is served."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import numpy as np
import pytest
from google.protobuf.message import Message

from ghostback import feed, wire
from ghostback.client import Addresses, Client
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.play import Play
from ghostback.tracking.v1 import operation_service_pb2, source_pb2
from services.common.operations import OPERATION_SERVICE
from services.features.library import Library
from services.features.screening import screened
from services.features.screening.screened import ScreenedSet
from services.features.servicer import FEATURES_SERVICE
from simulator.faults import inject_faults
from simulator.game import simulate_game
from tests.failures import Failure, failure
from tests.processes import Server, running

GAMES = tuple(simulate_game(seed, 70) for seed in (81, 82, 83, 84))
NAMES = [game.game.name for game in GAMES]


@dataclass(frozen=True)
class Place:
    """A features server with a folder, its ingest, and a play that ingest has."""

    features: Server
    ingest: Server
    folder: Path
    play: Play

    async def call(self, method: str, request: Message) -> Message:
        async with grpc.aio.insecure_channel(self.features.address) as channel:
            service = OPERATION_SERVICE if "Operation" in method else FEATURES_SERVICE
            return await getattr(wire.stub(service, channel), method)(request, timeout=60)

    async def refused(self, method: str, request: Message) -> Failure:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.call(method, request)
        return failure(error.value)

    async def watch(self, name: str) -> AsyncIterator[Message]:
        async with grpc.aio.insecure_channel(self.features.address) as channel:
            request = wire.view(operation_service_pb2.WatchOperationRequest)(name=name)
            async for response in wire.stub(OPERATION_SERVICE, channel).WatchOperation(request, timeout=300):
                yield response.operation


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("select")
    async with AsyncExitStack() as stack:
        ingest = await stack.enter_async_context(
            running("services.ingest", f"--database-url=sqlite:///{folder / 'ingest.db'}")
        )
        features = await stack.enter_async_context(
            running("services.features", f"--ingest={ingest.address}", f"--feature-sets={folder / 'sets'}")
        )
        client = await stack.enter_async_context(Client(Addresses(ingest=ingest.address)))
        for game in GAMES:
            await client.update_game(game.game)
            async for _ in feed.stream(client, [inject_faults(play, 5) for play in game.plays]):
                pass
        name = next(play.name for play in GAMES[0].plays if play.forward_pass)
        yield Place(features, ingest, folder / "sets", await client.get_play(name))


def request(**fields: object) -> Message:
    return wire.view(pb.SelectFeaturesRequest)(**{"games": NAMES, "setting": source_pb2.SETTING_LIVE, **fields})


def stage_of(operation: Message) -> pb.SelectFeaturesMetadata:
    metadata = pb.SelectFeaturesMetadata()
    operation.metadata.Unpack(metadata)
    return metadata


async def test_a_cancelled_screening_stops_at_once_and_leaves_nothing(place: Place) -> None:
    operation = (await place.call("SelectFeatures", request())).operation
    async for state in place.watch(operation.name):
        if stage_of(state).stage == pb.SCREENING_STAGE_LEAKS:
            break
    asked = time.monotonic()
    await place.call("CancelOperation", wire.view(operation_service_pb2.CancelOperationRequest)(name=operation.name))
    assert time.monotonic() - asked < 3
    ended = [state async for state in place.watch(operation.name)]
    assert [(state.done, state.error.code) for state in ended] == [(True, grpc.StatusCode.CANCELLED.value[0])]
    assert not place.folder.exists()


async def test_a_screening_tells_how_far_it_is_and_makes_a_feature_set_that_is_served(place: Place) -> None:
    operation = (await place.call("SelectFeatures", request(seed=3))).operation
    states = [state async for state in place.watch(operation.name)]
    last = states[-1]
    assert last.done
    assert not last.HasField("error"), last.error
    stages = [stage_of(state) for state in states if state.HasField("metadata")]
    assert {each.stage for each in stages} == {1, 2, 3, 4}
    assert [each.stage for each in stages] == sorted(each.stage for each in stages)
    assert all(each.done_count <= each.total_count for each in stages)

    result = pb.SelectFeaturesResult()
    last.response.Unpack(result)
    made = result.feature_set
    assert made.name == "featureSets/ghosting-screened@1"
    assert made.setting == source_pb2.SETTING_LIVE
    assert list(made.provenance.games) == sorted(NAMES)
    assert made.provenance.kept_rmse <= 1.01 * made.provenance.full_rmse
    (spec,) = made.tensors
    kept = [each.entry for each in result.candidates if each.verdict == pb.VERDICT_KEPT]
    assert list(spec.entries) == kept
    assert len(spec.mean) == len(spec.scale) == len(kept)
    assert not [each.entry for each in result.candidates if each.verdict == pb.VERDICT_LEAK]
    ranks = [each.rank for each in result.candidates if each.HasField("rank")]
    assert ranks == sorted(ranks)

    listed = await place.call("ListFeatureSets", wire.view(pb.ListFeatureSetsRequest)())
    assert [each.digest for each in listed.feature_sets if each.name == made.name] == [made.digest]

    own = Library(place.folder).get("ghosting-screened@1")
    assert isinstance(own, ScreenedSet)
    compute = wire.view(pb.ComputeFeaturesRequest)(feature_set=made.name)
    compute.source.name = place.play.name
    response = await place.call("ComputeFeatures", compute)
    expected = screened.compute(place.play, own)
    assert [row.defender_id for row in response.rows] == list(expected.defender_ids)
    served = wire.read_column(response.tensors[0], "values").reshape(expected.tensors["features"].shape)
    np.testing.assert_array_equal(served, expected.tensors["features"])


async def test_a_document_that_was_changed_is_refused_by_name_and_digest(place: Place) -> None:
    place.folder.mkdir(exist_ok=True)
    (path,) = place.folder.glob("ghosting-screened@1.json")
    (place.folder / "ghosting-screened@7.json").write_text(path.read_text().replace('"version": 1', '"version": 7'))
    told = await place.refused(
        "GetFeatureSet", wire.view(pb.GetFeatureSetRequest)(name="featureSets/ghosting-screened@7")
    )
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "FEATURE_SET_UNUSABLE")
    assert "was changed: its content has digest" in told.message


async def test_what_cannot_be_screened_is_told_at_once(place: Place) -> None:
    for wrong, field, reason in (
        ({"games": NAMES[:1]}, "games", "FIELD_INVALID"),
        ({"games": ["games/1", "nonsense"]}, "games[1]", "NAME_INVALID"),
        ({"setting": 9}, "setting", "FIELD_INVALID"),
        ({"feature_set": "ghosting-kinematics"}, "feature_set", "NAME_INVALID"),
    ):
        told = await place.refused("SelectFeatures", request(**wrong))
        assert (told.code, told.reason, list(told.fields)) == ("INVALID_ARGUMENT", reason, [field])
    told = await place.refused("SelectFeatures", request(games=[NAMES[0], "games/unknown"]))
    assert (told.code, told.reason) == ("NOT_FOUND", "GAME_UNKNOWN")
    name = wire.view(operation_service_pb2.WatchOperationRequest)(name="operations/none")
    async with grpc.aio.insecure_channel(place.features.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            async for _ in wire.stub(OPERATION_SERVICE, channel).WatchOperation(name, timeout=10):
                pass
    assert failure(error.value).reason == "OPERATION_UNKNOWN"


async def test_games_with_too_few_passes_fail_with_the_number_there_is(place: Place) -> None:
    async with Client(Addresses(ingest=place.ingest.address)) as client:
        small = [simulate_game(seed, 4) for seed in (91, 92)]
        for game in small:
            await client.update_game(game.game)
            async for _ in feed.stream(client, game.plays):
                pass
    operation = (await place.call("SelectFeatures", request(games=[game.game.name for game in small]))).operation
    *_, last = [state async for state in place.watch(operation.name)]
    assert last.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert "rows of" in last.error.message


async def test_a_server_without_a_folder_selects_nothing(place: Place) -> None:
    async with running("services.features", f"--ingest={place.ingest.address}") as bare:
        told = await Place(bare, place.ingest, place.folder, place.play).refused("SelectFeatures", request())
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "FEATURE_SETS_NOT_KEPT")
