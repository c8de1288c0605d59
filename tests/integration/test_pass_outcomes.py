"""How passes end, told by predict: at the throw with ghosts, at arrival as it went."""

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc.aio
import numpy as np
import onnxruntime
import pytest

import ghostback_models
from deploy.triton import launcher
from ghostback import feed, wire
from ghostback.client import Addresses, Client
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.features import feature_sets, tensors
from simulator.game import simulate_game
from tests.failures import failure
from tests.integration.conftest import Chain
from tests.integration.test_command import run, short
from tests.processes import Server, running

LIVE, AT_ARRIVAL = feature_sets.get("pass-outcome-live@1"), feature_sets.get("pass-outcome@1")
MODELS = Path(ghostback_models.__path__[0])
GAME = simulate_game(31, 6)
PLAY = next(play for play in GAME.plays if play.forward_pass)
THROWN_TO = PLAY.forward_pass.target_id if PLAY.forward_pass else ""
OTHERS = [each.participant_id for each in PLAY.eligible_receivers() if each.participant_id != THROWN_TO]
IN_THE_AIR = PLAY.known_at(PLAY.forward_pass.forward_frame) if PLAY.forward_pass else PLAY
RETROSPECTIVE = "models/pass-outcome-retrospective"


@pytest.fixture(scope="module")
async def ingest() -> AsyncIterator[Server]:
    async with running("services.ingest") as server:
        yield server


@pytest.fixture(scope="module")
async def client(ingest: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    folder = tmp_path_factory.mktemp("triton")
    (folder / "models").mkdir()
    async with (
        launcher.running(Path(__file__).parents[2] / ".venv-triton", folder / "models", folder / "log") as triton,
        running("services.features", f"--ingest={ingest.address}") as features,
        running(
            "services.predict",
            f"--features={features.address}",
            f"--triton={triton.ports.grpc_address}",
            f"--model-repository={folder / 'models'}",
        ) as predict,
        Client(Addresses(ingest.address, features.address, predict.address)) as client,
    ):
        yield client


def known(measurements: np.ndarray, folder: str) -> np.ndarray:
    """Probabilities that a built-in model gives, in this process."""
    session = onnxruntime.InferenceSession(str(MODELS / folder / "model.onnx"), providers=["CPUExecutionProvider"])
    (probability,) = session.run(["probability"], {"measurements": measurements})
    return np.asarray(probability)


def told(response: pb.PredictPassOutcomesResponse) -> np.ndarray:
    """Probabilities of completion and interception."""
    return np.array([(each.completion_probability, each.interception_probability) for each in response.forecasts])


async def test_at_the_throw_a_forecast_is_made_of_what_the_ghosts_do(client: Client) -> None:
    prediction = await client.predict_ghosts(PLAY, OTHERS)
    ghosts = {(ghost.target_id, ghost.defender_id): ghost.path for ghost in prediction.ghosts}
    measured = tensors.compute(PLAY, LIVE, OTHERS, ghosts=[ghosts], before_flight=True).tensors["measurements"]
    response = await client.predict_pass_outcomes(PLAY, OTHERS, "models/pass-outcome/versions/1.0.0")
    assert [each.target_id for each in response.forecasts] == OTHERS
    assert response.ghost_model_version == prediction.model_version
    expected = known(measured, "live/pass_outcome_trees")
    np.testing.assert_allclose(told(response), expected[:, [0, 2]], atol=0.02)
    separations = [each.measurements.target_separation for each in response.forecasts]
    np.testing.assert_allclose(separations, measured[:, 6], atol=1e-3)
    assert not any(each.measurements.HasField("receiver_to_ball") for each in response.forecasts)


async def test_at_the_throw_a_play_that_has_come_no_further_gets_the_same_forecasts(client: Client) -> None:
    over, live = [await client.predict_pass_outcomes(play, [THROWN_TO, *OTHERS]) for play in (PLAY, IN_THE_AIR)]
    np.testing.assert_array_equal(told(live), told(over))
    assert ((told(live) > 0) & (told(live) < 1)).all()


async def test_while_the_ball_is_in_the_air_nothing_is_told_of_its_arrival(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="still in the air") as refused:
        await client.predict_pass_outcomes(IN_THE_AIR, model=RETROSPECTIVE)
    assert failure(refused.value).code == "FAILED_PRECONDITION"
    prediction = await client.predict_ghosts(IN_THE_AIR)
    assert [target.actual for target in prediction.targets] == [True]
    assert prediction.ghosts


async def test_at_arrival_the_forecast_is_made_of_where_everyone_was(client: Client) -> None:
    response = await client.predict_pass_outcomes(PLAY, model=f"{RETROSPECTIVE}/versions/1.0.0")
    assert [each.target_id for each in response.forecasts] == [THROWN_TO]
    assert not response.ghost_model_version
    measured = tensors.compute(PLAY, AT_ARRIVAL).tensors["measurements"]
    expected = known(measured, "retrospective/pass_outcome_trees")
    np.testing.assert_allclose(told(response), expected[:, [0, 2]], atol=1e-4)
    assert response.forecasts[0].measurements.receiver_to_ball == pytest.approx(measured[0, 10], abs=1e-4)


async def test_a_stored_play_is_looked_up_once_a_call_and_anew_for_the_next(client: Client, ingest: Server) -> None:
    def look_ups() -> float:
        page = urllib.request.urlopen(ingest.metrics).read().decode()
        found = re.search(r'^ghostback_grpc_calls_total\{code="OK",method="[^"]*/GetPlay"\} (.*)$', page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    await client.update_game(GAME.game)
    async for _ in feed.stream(client, [PLAY]):
        pass
    before = await asyncio.to_thread(look_ups)
    stored = await client.predict_pass_outcomes(PLAY.name, OTHERS, ghost_draws=2)
    assert await asyncio.to_thread(look_ups) == before + 1
    line = PLAY.situation.line_of_scrimmage - 3 * PLAY.offense_direction
    await client.update_play(replace(PLAY, situation=replace(PLAY.situation, line_of_scrimmage=line)))
    corrected = await client.predict_pass_outcomes(PLAY.name, OTHERS, ghost_draws=2)
    gained = [
        after.measurements.air_yards - each.measurements.air_yards
        for each, after in zip(stored.forecasts, corrected.forecasts, strict=True)
    ]
    np.testing.assert_allclose(gained, 3, atol=1e-3)


async def test_draws_of_the_ghosts_tell_how_sure_a_forecast_is(client: Client) -> None:
    alone = await client.predict_pass_outcomes(PLAY, OTHERS)
    response = await client.predict_pass_outcomes(PLAY, OTHERS, ghost_draws=16)
    np.testing.assert_allclose(told(response), told(alone), atol=1e-5)
    names = [f"drawn_{event}_probabilities" for event in ("completion", "interception")]
    drawn = np.array([[wire.read_column(each, name) for name in names] for each in response.forecasts])
    assert drawn.shape == (len(OTHERS), 2, 16)
    assert ((drawn > 0) & (drawn < 1)).all()
    assert np.ptp(drawn, axis=2).max() > 0.01


async def test_each_defensive_backs_ghost_takes_his_place_alone(client: Client) -> None:
    response = await client.predict_pass_outcomes(PLAY, model=RETROSPECTIVE, by_defender=True)
    plain = await client.predict_pass_outcomes(PLAY, model=RETROSPECTIVE)
    np.testing.assert_allclose(told(response), told(plain), atol=1e-5)
    ghosts = {each.defender_id: each.path for each in (await client.predict_ghosts(PLAY)).ghosts}
    assert [each.defender_id for each in response.by_defender] == list(ghosts)
    assert response.ghost_model_version == "models/ghosting/versions/2.0.0"
    for each in response.by_defender:
        measured = tensors.compute(PLAY, AT_ARRIVAL, ghosts=[{(THROWN_TO, each.defender_id): ghosts[each.defender_id]}])
        [expected] = known(measured.tensors["measurements"], "retrospective/pass_outcome_network")
        assert each.completion_probability == pytest.approx(expected[0], abs=0.01)


@pytest.mark.parametrize("model", ["", "models/yards-after-catch-retrospective"])
async def test_yards_after_the_catch_are_a_distribution(client: Client, model: str) -> None:
    forecast = await client.predict_yards_after_catch(PLAY, model=model)
    [only] = forecast.targets
    assert only.target_id == THROWN_TO
    assert only.yards.probabilities.sum() == pytest.approx(1, abs=1e-3)
    assert -3 < only.yards.mean < 40
    low, middle, high = (only.yards.quantile(share) for share in (0.05, 0.5, 0.95))
    assert low < middle < high
    assert forecast.ghost_model_version == ("" if model else "models/ghosting/versions/2.0.0")


async def test_yards_after_the_catch_of_every_receiver_for_draws_of_the_ghosts(client: Client) -> None:
    forecast = await client.predict_yards_after_catch(PLAY, OTHERS, ghost_draws=4)
    outcomes = await client.predict_pass_outcomes(PLAY, OTHERS)
    for each, outcome in zip(forecast.targets, outcomes.forecasts, strict=True):
        assert each.target_id == outcome.target_id
        assert each.air_yards == pytest.approx(outcome.measurements.air_yards, abs=1e-4)
        assert len(each.drawn_yards) == 4
        np.testing.assert_allclose([drawn.probabilities.sum() for drawn in each.drawn_yards], 1, atol=1e-3)


@pytest.mark.parametrize(
    ("more", "field"), [({"ghost_draws": 65}, "ghost_draws"), ({"by_defender": True}, "by_defender")]
)
async def test_what_cannot_be_drawn_is_refused_by_name(client: Client, more: dict[str, int], field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.predict_pass_outcomes(PLAY, OTHERS, **more)  # type: ignore[arg-type]
    refused = failure(raised.value)
    assert (refused.code, list(refused.fields)) == ("INVALID_ARGUMENT", [field])


@pytest.mark.parametrize(
    ("asked", "reason", "field"),
    [
        ({"model": "models/ghosting"}, "FIELD_INVALID", "model"),
        ({"ghost_model": "models/pass-outcome"}, "FIELD_INVALID", "ghost_model"),
        ({"ghost_model": "models/ghosting-retrospective"}, "FIELD_INVALID", "ghost_model"),
        ({"model": RETROSPECTIVE, "target_ids": OTHERS[:1]}, "TARGET_NOT_ELIGIBLE", "target_ids[0]"),
        (
            {"model": RETROSPECTIVE, "target_ids": [THROWN_TO, *OTHERS[:1]], "by_defender": True},
            "TARGET_NOT_ELIGIBLE",
            "target_ids[1]",
        ),
        ({"target_ids": ["nobody"]}, "TARGET_NOT_ELIGIBLE", "target_ids[0]"),
    ],
    ids=["no outcome model", "no ghosting model", "ghosts that know the future", "not thrown to", "one not", "nobody"],
)
async def test_what_cannot_be_forecast_is_refused_with_its_field(
    client: Client, asked: dict[str, object], reason: str, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.predict_pass_outcomes(PLAY, **asked)  # type: ignore[arg-type]
    told = failure(refused.value)
    assert (told.code, told.reason, [*told.fields]) == ("INVALID_ARGUMENT", reason, [field])


async def test_ghosts_are_not_drawn_by_a_model_of_outcomes(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="models/pass-outcome does pass-outcome, must do ghosting"):
        await client.predict_ghosts(PLAY, model="models/pass-outcome")


@pytest.mark.parametrize("moment", [[], ["--at-arrival"]])
async def test_the_command_tells_of_catch_and_run(chain: Chain, tmp_path: Path, moment: list[str]) -> None:
    play = chain.passes[1]
    assert play.forward_pass
    arguments = "outcomes", short(play.name), *moment
    table = run(chain, tmp_path, *arguments)
    printed = json.loads(run(chain, tmp_path, *arguments, "--json"))
    suffix = "-retrospective" if moment else ""
    forecast = await chain.client.predict_yards_after_catch(play.name, model=f"models/yards-after-catch{suffix}")
    assert printed["yards_after_catch"]["model_version"] == forecast.model_version
    assert printed["model_version"].startswith(f"models/pass-outcome{suffix}/")
    [expected] = forecast.targets
    assert f"{expected.yards.mean:.1f}" in table
    [found] = printed["yards_after_catch"]["forecasts"]
    assert found["yards"]["probabilities"] == pytest.approx(expected.yards.probabilities, abs=1e-3)
