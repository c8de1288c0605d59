"""Decisions and statistics of plays, from the running suite."""

from dataclasses import dataclass

import grpc.aio
import pytest

from ghostback import feed
from ghostback.client import Client
from ghostback.play import Play
from ghostback.score.v1 import statistics_service_pb2 as pb
from simulator.game import simulate_game
from tests.failures import failure
from tests.integration.conftest import Chain

LESS_IS_MORE = {pb.STATISTIC_KIND_SEPARATION, pb.STATISTIC_KIND_COVERAGE}


@dataclass(frozen=True)
class Stored:
    """A game without faults in the running suite."""

    client: Client
    passes: list[Play]
    runs: list[Play]


@pytest.fixture(scope="module")
async def stored(chain: Chain) -> Stored:
    game = simulate_game(13, 8)
    await chain.client.update_game(game.game)
    async for _ in feed.stream(chain.client, game.plays):
        pass
    passes = [play for play in game.plays if play.forward_pass]
    return Stored(chain.client, passes, [play for play in game.plays if not play.forward_pass])


async def test_every_receiver_is_an_option_and_the_choice_is_held_against_the_best(stored: Stored) -> None:
    for play in stored.passes:
        assert play.forward_pass
        response = await stored.client.rate_decision(play.name)
        [decision] = response.decisions
        assert {option.target_id for option in decision.options} == {
            receiver.participant_id for receiver in play.eligible_receivers()
        }
        values = {option.target_id: option.value for option in decision.options}
        assert list(values.values()) == sorted(values.values(), reverse=True)
        assert decision.frame == play.forward_pass.forward_frame
        assert decision.chosen_target_id == play.forward_pass.target_id
        assert decision.value_left == pytest.approx(values[decision.chosen_target_id] - max(values.values()), abs=1e-5)
        assert sum(option.best_probability for option in decision.options) == pytest.approx(1)
        assert all(option.value_low <= option.value_high for option in decision.options)
        assert decision.options[0].value_high > decision.options[0].value_low
        assert response.points_profile == "pointsProfiles/field-position@1"
        assert {name.split("/")[1] for name in response.model_versions} == {
            "pass-outcome",
            "yards-after-catch",
            "ghosting",
        }


async def test_before_the_throw_a_decision_knows_of_no_choice_and_of_nothing_later(stored: Stored) -> None:
    play = stored.passes[0]
    assert play.forward_pass
    release = play.forward_pass.forward_frame
    response = await stored.client.rate_decision(play.name, [release - 5, release])
    early, late = response.decisions
    assert (early.frame, late.frame) == (release - 5, release)
    assert not early.chosen_target_id
    assert not early.HasField("value_left")
    assert [option.value for option in early.options] != [option.value for option in late.options]


async def test_a_given_play_is_rated_as_the_one_that_is_stored(stored: Stored) -> None:
    name = stored.passes[0].name
    named = await stored.client.rate_decision(name)
    given = await stored.client.rate_decision(await stored.client.get_play(name))
    for one, other in zip(named.decisions[0].options, given.decisions[0].options, strict=True):
        assert one.target_id == other.target_id
        assert one.value == pytest.approx(other.value, abs=1e-4)


async def test_a_frame_after_the_release_is_refused_by_name(stored: Stored) -> None:
    play = stored.passes[0]
    assert play.forward_pass
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stored.client.rate_decision(play.name, [play.forward_pass.forward_frame + 1])
    refused = failure(raised.value)
    assert refused.code == "INVALID_ARGUMENT"
    assert list(refused.fields) == ["frames"]


async def test_a_play_without_a_pass_has_no_decision_and_no_statistics(stored: Stored) -> None:
    for ask in (stored.client.rate_decision, stored.client.compute_statistics):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await ask(stored.runs[0].name)
        assert failure(raised.value).code == "FAILED_PRECONDITION"


async def test_statistics_say_what_happened_and_what_was_expected(stored: Stored) -> None:
    for play in stored.passes:
        found = await stored.client.compute_statistics(play.name)
        kinds = {each.kind for each in found}
        assert {pb.STATISTIC_KIND_COMPLETION, pb.STATISTIC_KIND_CATCH, pb.STATISTIC_KIND_DECISION} <= kinds
        assert pb.STATISTIC_KIND_COVERAGE in kinds
        for each in found:
            assert each.play == play.name
            assert each.display_name
            assert each.model_versions
            sign = -1 if each.kind in LESS_IS_MORE else 1
            assert each.value == pytest.approx(sign * (each.actual - each.expected))


async def test_statistics_are_the_same_each_time(stored: Stored) -> None:
    name = stored.passes[-1].name
    once, again = [await stored.client.compute_statistics(name) for _ in range(2)]
    assert [(each.kind, each.participant_id) for each in once] == [(each.kind, each.participant_id) for each in again]
    assert [each.value for each in once] == pytest.approx([each.value for each in again], abs=1e-4)
