"""The readings of the score, and why the default is what it is."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.score import labels, readings
from benchmarks.score.readings import Reading
from benchmarks.score.trajectories import Trajectories
from services.score.profiles import DEFAULT, Diverging, MeasuredTo


@pytest.fixture(scope="module")
def compared(passes: Trajectories, what_ifs: Trajectories) -> list[Reading]:
    labelled = labels.match(labels.of_test_expert(what_ifs, 1.5), what_ifs)
    return readings.compare({readings.SIMULATED: passes}, labelled, 30)


def test_every_reading_is_compared_once(compared: list[Reading]) -> None:
    choices = {(each.profile.measured_to, each.weights, each.profile.diverging) for each in compared}
    assert len(choices) == len(compared) == len(MeasuredTo) * 3 * len(Diverging)


def test_the_best_is_sound_if_any_is_and_sound_ones_come_by_their_mean_auc(compared: list[Reading]) -> None:
    ranks = [(not each.sound, -each.mean_auc) for each in compared]
    assert ranks == sorted(ranks)


def test_every_reading_tells_spoiled_trajectories_from_players(compared: list[Reading]) -> None:
    for each in compared:
        separation = each.separation[readings.SIMULATED]
        assert separation.actual < separation.spoiled
        assert separation.interval[0] < separation.auc < separation.interval[1]


def test_the_last_step_alone_does_not_tell_waiting_at_the_catch_point_from_never_starting() -> None:
    assert not readings.orders_efforts(replace(DEFAULT, lateness=np.inf))


def test_the_default_orders_plain_efforts() -> None:
    assert readings.orders_efforts(DEFAULT)


def test_real_plays_decide_on_the_sign_where_there_are_any(compared: list[Reading]) -> None:
    sound = next(each for each in compared if each.orders_efforts)
    closing = replace(sound.separation[readings.SIMULATED], actual=-0.1)
    outrun = replace(closing, actual=0.1)
    assert replace(sound, separation={"simulated": outrun, "real": closing}).sound
    assert not replace(sound, separation={"simulated": closing, "real": outrun}).sound
    assert replace(sound, separation={"simulated": closing}).sound
