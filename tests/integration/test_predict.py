"""Predict with plugins of every kind on a real Triton: what it loads, what it refuses, what it answers."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc.aio
import numpy as np
import pytest
import tritonclient.grpc.aio as triton_grpc

from deploy.triton import launcher
from deploy.triton.launcher import Triton
from ghostback import convert, wire
from ghostback.client import Addresses, Client, Prediction
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.features import tensors
from simulator.game import simulate_game
from tests import plugins
from tests.failures import failure
from tests.plugins import FEATURE_SET, plugin, random_inputs
from tests.processes import running

NOBODY = "127.0.0.1:1"
SMALL_BATCH_ROWS = 8


@dataclass(frozen=True)
class Predicting:
    """A running predict service and what it stands on."""

    client: Client
    triton: Triton
    flags: tuple[str, ...]


@pytest.fixture(scope="module")
def play() -> Play:
    return next(play for play in simulate_game(31, 6).plays if play.forward_pass)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Plugins on the import path of processes started here: good ones, and some that only Triton finds out."""
    site = tmp_path_factory.mktemp("site")
    plugin("0.10.0").install(site, "follower")
    small = plugin("0.5.0")
    small.manifest["max_batch_size"] = SMALL_BATCH_ROWS
    small.install(site, "small_batches")
    wrong = {"displacement": plugins.follow(random_inputs(("receiver",)))["displacement"] + np.float32(0.5)}
    plugin("9.0", outputs=wrong).install(site, "wrong_answer", "wrong-models")
    plugin("9.1", b"no model at all").install(site, "no_model", "wrong-models")
    plugin("9.2", plugins.follower("other_input")).install(site, "other_input", "wrong-models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield site


@pytest.fixture(scope="module")
async def predicting(tmp_path_factory: pytest.TempPathFactory, site: Path) -> AsyncIterator[Predicting]:
    folder = tmp_path_factory.mktemp("triton")
    (folder / "models").mkdir()
    async with (
        launcher.running(Path(__file__).parents[2] / ".venv-triton", folder / "models", folder / "log") as triton,
        running("services.features", f"--ingest={NOBODY}") as features,
    ):
        flags = (
            f"--features={features.address}",
            f"--triton={triton.ports.grpc_address}",
            f"--model-repository={folder / 'models'}",
        )
        async with predict_client(flags) as client:
            yield Predicting(client, triton, flags)


@asynccontextmanager
async def predict_client(flags: tuple[str, ...]) -> AsyncIterator[Client]:
    async with running("services.predict", *flags) as predict:
        async with Client(Addresses(NOBODY, NOBODY, predict.address, NOBODY)) as client:
            yield client


def targets(play: Play) -> list[str]:
    return [receiver.participant_id for receiver in play.eligible_receivers()]


def displacements(prediction: Prediction, batch: tensors.FeatureBatch) -> list[np.ndarray]:
    """Of each ghost in order, turned so that the offense moves toward +x: (air_steps, 2) yards."""
    rows = list(zip(batch.defender_ids, batch.target_ids, strict=True))
    assert [(ghost.defender_id, ghost.target_id) for ghost in prediction.ghosts] == rows
    assert [len(ghost.path) - 1 for ghost in prediction.ghosts] == batch.air_steps.tolist()
    return [
        batch.direction * (ghost.path[1:] - anchor)
        for ghost, anchor in zip(prediction.ghosts, batch.anchor, strict=True)
    ]


async def test_versions_with_other_inputs_and_batch_sizes_live_side_by_side(predicting: Predicting, play: Play) -> None:
    """The follower takes the receiver only, 64 rows a batch."""
    batch = tensors.compute(play, FEATURE_SET, targets(play))
    prediction = await predicting.client.predict_ghosts(play, targets(play), model="models/ghosting/versions/0.10.0")
    expected = plugins.follow(batch.tensors)["displacement"]
    for served, computed, steps in zip(displacements(prediction, batch), expected, batch.air_steps, strict=True):
        np.testing.assert_allclose(served, computed[:steps], atol=1e-4)


async def test_more_rows_than_a_batch_of_the_model_holds_are_answered_all_the_same(
    predicting: Predicting, play: Play
) -> None:
    defenders = [p.participant_id for p in play.participants if p.team_id and p.team_id != play.offense_team]
    batch = tensors.compute(play, FEATURE_SET, targets(play), defenders)
    assert len(batch.anchor) > 2 * SMALL_BATCH_ROWS
    whole = await predicting.client.predict_ghosts(play, targets(play), defenders, "models/ghosting/versions/0.10.0")
    split = await predicting.client.predict_ghosts(play, targets(play), defenders, "models/ghosting/versions/0.5.0")
    for one, other in zip(whole.ghosts, split.ghosts, strict=True):
        np.testing.assert_array_equal(one.path, other.path)


async def test_what_triton_finds_wrong_is_listed_with_its_reason_and_the_best_of_the_others_answers(
    predicting: Predicting, play: Play
) -> None:
    await predicting.client.predict_ghosts(play)
    listed: dict[str, pb.ModelVersion] = {}
    token = ""
    while True:
        request = wire.view(pb.ListModelVersionsRequest)(page_size=2, page_token=token)
        response = await predicting.client.models.ListModelVersions(request)
        listed |= {
            version.name.removeprefix("models/ghosting/versions/"): version for version in response.model_versions
        }
        token = response.next_page_token
        if not token:
            break
    names = [
        "0.1.0",
        "0.2.0",
        "0.3.0",
        "0.4.0",
        "0.5.0",
        "0.10.0",
        "1.0.0",
        "1.1.0",
        "1.2.0",
        "2.0.0",
        "9.0",
        "9.1",
        "9.2",
    ]
    assert [name for name in listed if "/" not in name] == names
    assert listed["2.0.0"].state == pb.MODEL_VERSION_STATE_READY
    assert listed["1.2.0"].state == pb.MODEL_VERSION_STATE_VERIFIED, "loaded before anyone asked for it"
    reasons = {
        "9.0": "its answer displacement to the golden example is off by 0.5",
        "9.1": "Triton cannot load it",
        "9.2": "it does not answer the golden example",
    }
    for name, reason in reasons.items():
        assert listed[name].state == pb.MODEL_VERSION_STATE_FAILED
        assert reason in listed[name].state_description
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await predicting.client.predict_ghosts(play, model=f"models/ghosting/versions/{name}")
        told = failure(error.value)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "MODEL_VERSION_UNUSABLE")
        assert reason in told.message
    assert (await predicting.client.predict_ghosts(play)).model_version == "models/ghosting/versions/2.0.0"


@pytest.mark.parametrize("name", ["ghosting", "models/", "models/ghosting/versions/", "models/a/versions/1/more"])
async def test_a_model_name_out_of_form_is_refused_with_its_field(
    predicting: Predicting, play: Play, name: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await predicting.client.predict_ghosts(play, model=name)
    told = failure(error.value)
    assert (told.code, told.reason, list(told.fields)) == ("INVALID_ARGUMENT", "NAME_INVALID", ["model"])


async def test_a_play_whose_defenders_are_all_skipped_gets_no_ghosts_but_the_reasons(
    predicting: Predicting, play: Play
) -> None:
    safety = play.defensive_backs()[0]
    tracked = ~np.isin(play.samples.tag_id, safety.tag_ids)
    seen = replace(play, samples=play.samples.take(tracked))
    prediction = await predicting.client.predict_ghosts(seen, defender_ids=[safety.participant_id])
    assert prediction.ghosts == ()
    assert list(prediction.skipped) == [safety.participant_id]
    assert "no samples" in prediction.skipped[safety.participant_id]


async def test_a_second_replica_does_not_disturb_the_first(predicting: Predicting, play: Play) -> None:
    """Triton's count of a model's answers starts anew when the model is loaded again."""
    await predicting.client.predict_ghosts(play)
    before = await answers(predicting.triton)
    async with predict_client(predicting.flags) as replica:
        assert (await replica.predict_ghosts(play)).ghosts
    assert await answers(predicting.triton) > before


async def test_callers_in_a_hurry_find_a_lost_model_loaded_soon_and_spoil_it_for_nobody(
    predicting: Predicting, play: Play
) -> None:
    async with triton_grpc.InferenceServerClient(predicting.triton.ports.grpc_address) as client:
        await client.unload_model("ghosting-2.0.0")
    request = wire.view(pb.PredictGhostsRequest)()
    request.source.play.CopyFrom(convert.play_to_message(play))
    patient = predicting.client.predict.PredictGhosts(request, timeout=20)
    hurried = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    async with asyncio.timeout(20):
        while (code := await predicting.client.predict.PredictGhosts(request, timeout=0.06).code()) in hurried:
            pass
    assert code is grpc.StatusCode.OK
    assert (await patient).ghosts


async def answers(triton: Triton) -> int:
    async with triton_grpc.InferenceServerClient(triton.ports.grpc_address) as client:
        statistics = await client.get_inference_statistics("ghosting-2.0.0", "1")
    return int(statistics.model_stats[0].inference_stats.success.count)


async def test_tensors_of_many_plays_in_one_call_are_answered_play_by_play(predicting: Predicting) -> None:
    plays = {f"games/g/plays/{n}": random_inputs(("receiver",), n) for n in (1, 3, 2)}
    answered = await predicting.client.predict_tensors(
        f"featureSets/{FEATURE_SET.id}", plays, "models/ghosting/versions/0.10.0"
    )
    assert list(answered) == list(plays)
    for name, given in plays.items():
        expected = plugins.follow(given)["displacement"]
        np.testing.assert_array_equal(answered[name].tensors["displacement"], expected)
        assert answered[name].model_version == "models/ghosting/versions/0.10.0"


@pytest.mark.parametrize(
    ("tensors", "field"),
    [
        ({}, "plays[0].tensors"),
        ({"receiver": np.zeros((2, 45, 5), np.float32)}, "plays[0].tensors[0].shape"),
        ({"receiver": np.full((1, 45, 4), np.nan, np.float32)}, "plays[0].tensors[0].values[0]"),
    ],
)
async def test_tensors_that_the_model_does_not_take_are_named(
    predicting: Predicting, tensors: dict[str, np.ndarray], field: str
) -> None:
    call = predicting.client.predict_tensors(
        f"featureSets/{FEATURE_SET.id}", {"games/g/plays/1": tensors}, "models/ghosting/versions/0.10.0"
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert list(failure(refused.value).fields) == [field]


async def test_tensors_of_another_feature_set_are_refused(predicting: Predicting) -> None:
    call = predicting.client.predict_tensors(
        "featureSets/ghosting-scene@2", {"a": random_inputs(("receiver",))}, "models/ghosting/versions/0.10.0"
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert failure(refused.value).reason == "FEATURE_SET_UNUSABLE"
