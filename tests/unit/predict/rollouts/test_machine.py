"""What a person and the evidence do with a rollout."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.common.errors import FailedPrecondition, InvalidInput
from services.predict.rollouts import machine
from services.predict.rollouts.guardrails import Verdict
from services.predict.rollouts.machine import Rollout, State
from tests.unit.predict.rollouts.rollout import START, reading, rollout

PASS = {"candidate": [reading(Verdict.PASS)]}
FAIL = {"candidate": [reading(Verdict.PASS), reading(Verdict.FAIL, "too many failed calls")]}
UNDECIDED = {"candidate": [reading(Verdict.PASS), reading(Verdict.UNDECIDED, "3 of 50 plays")]}


def after(seconds: float) -> object:
    return START + timedelta(seconds=seconds)


def follow(of: Rollout, readings: dict, calls: int, seconds: float) -> tuple[str, Rollout]:
    return machine.follow(of, readings, {"candidate": calls}, START + timedelta(seconds=seconds))


def test_a_step_lasts_for_its_time_and_its_plays() -> None:
    of = rollout()
    assert follow(of, PASS, 100, 59.9) == ("", of)
    assert follow(of, PASS, 99, 3600) == ("", of)
    action, advanced = follow(of, PASS, 100, 60)
    assert (action, advanced.step, advanced.percents) == ("advance", 1, {"stable": 75, "candidate": 25})


def test_plays_of_the_steps_before_do_not_count() -> None:
    steps = [{"weights": {"candidate": w}, "plays": 100} for w in (5, 25)]
    _, second = follow(rollout(steps=steps), PASS, 130, 1)
    assert second.step == 1
    assert follow(second, PASS, 229, 2) == ("", second)
    assert follow(second, PASS, 230, 2)[1].state is State.SUCCEEDED


def test_a_candidate_that_passes_every_step_becomes_stable_by_itself() -> None:
    _, second = follow(rollout(), PASS, 100, 60)
    assert second.in_service == "2.0.0"
    _, over = follow(second, PASS, 200, 120)
    assert (over.state, over.winner, over.in_service, over.active) == (State.SUCCEEDED, "candidate", "2.1.0", False)


@pytest.mark.parametrize("make", [rollout, lambda: machine.pause(rollout())])
def test_a_broken_guardrail_rolls_back_at_once_also_while_paused(make: Callable[[], Rollout]) -> None:
    action, over = follow(make(), FAIL, 1, 0.1)
    assert (action, over.state, over.in_service) == ("roll_back", State.ROLLED_BACK, "2.0.0")
    assert over.dropped == {"candidate": "too many failed calls"}
    assert over.percents == {"stable": 100, "candidate": 0}


def test_undecided_evidence_is_waited_for_and_then_a_person_is_asked() -> None:
    action, waiting = follow(rollout(), UNDECIDED, 100, 60)
    assert (action, waiting.state) == ("wait", State.RUNNING)
    assert follow(waiting, UNDECIDED, 150, 89) == ("", waiting)
    assert follow(waiting, PASS, 150, 89)[1].step == 1
    action, paused = follow(waiting, UNDECIDED, 150, 90)
    assert (action, paused.state) == ("pause", State.PAUSED)
    assert "inconclusive: 3 of 50 plays" in paused.reason
    assert follow(paused, PASS, 500, 5000) == ("", paused)


def test_a_resumed_step_begins_anew() -> None:
    paused = machine.pause(rollout())
    again = machine.resume(paused, {"candidate": 90}, START + timedelta(seconds=50))
    assert follow(again, PASS, 189, 200) == ("", again)
    assert follow(again, PASS, 190, 109) == ("", again)
    assert follow(again, PASS, 190, 110)[0] == "advance"


def test_a_person_promotes_step_by_step_or_at_once() -> None:
    second = machine.promote(machine.pause(rollout()), "", False, {}, START)
    assert (second.step, second.state) == (1, State.RUNNING)
    assert machine.promote(second, "candidate", False, {}, START).state is State.SUCCEEDED
    assert machine.promote(rollout(), "", True, {}, START).in_service == "2.1.0"


def test_with_several_arms_the_one_that_wins_is_named_and_one_that_fails_is_dropped_alone() -> None:
    of = rollout(mode="ab", arms={"a": "2.1.0", "b": "2.2.0"}, steps=[{"weights": {"a": 30, "b": 30}}])
    with pytest.raises(InvalidInput, match="arm: '' is not one of a, b"):
        machine.promote(of, "", True, {}, START)
    action, one_left = machine.follow(of, {"a": FAIL["candidate"], "b": PASS["candidate"]}, {}, START)
    assert (action, one_left.state) == ("drop_arm", State.RUNNING)
    assert one_left.percents == {"stable": 70, "a": 0, "b": 30}
    with pytest.raises(FailedPrecondition, match=r"arm a of .* was dropped: too many failed calls"):
        machine.promote(one_left, "a", True, {}, START)
    assert machine.promote(one_left, "b", False, {}, START).in_service == "2.2.0"
    assert machine.follow(one_left, {"b": FAIL["candidate"]}, {}, START)[1].state is State.ROLLED_BACK


@pytest.mark.parametrize("mode", ["ab", "shadow"])
def test_only_a_canary_goes_on_by_itself(mode: str) -> None:
    of = rollout(mode=mode, steps=[{"weights": {"candidate": 50}}])
    assert follow(of, PASS, 10_000, 10_000) == ("", of)


def test_blue_green_switches_and_switches_back_at_once() -> None:
    blue = rollout(mode="blue-green", steps=[])
    assert blue.percents == {"stable": 100, "candidate": 0}
    green = machine.promote(blue, "", False, {}, START)
    assert (green.percents, green.active) == ({"stable": 0, "candidate": 100}, True)
    assert machine.roll_back(green, START).percents == {"stable": 100, "candidate": 0}
    assert machine.promote(green, "", False, {}, START).in_service == "2.1.0"


def test_a_rollout_that_succeeded_can_be_undone() -> None:
    over = machine.promote(rollout(), "", True, {}, START)
    assert machine.roll_back(over, START).in_service == "2.0.0"


def test_what_is_over_stays_over() -> None:
    over = machine.abort(rollout(), START)
    for act in (
        machine.pause,
        lambda of: machine.resume(of, {}, START),
        lambda of: machine.promote(of, "", True, {}, START),
        lambda of: machine.abort(of, START),
        lambda of: machine.roll_back(of, START),
    ):
        with pytest.raises(FailedPrecondition, match="models/ghosting/rollouts/1 is aborted"):
            act(over)


def test_a_rollout_survives_being_stored() -> None:
    of = machine.resume(machine.pause(rollout()), {"candidate": 3}, START)
    assert Rollout.model_validate_json(of.model_dump_json()) == of
