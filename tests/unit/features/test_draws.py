"""Ghosts drawn anew stray as their covariance says, and take a defender's place alone where that is asked for."""

import numpy as np
import pytest

from services.features import draws

STEPS = np.linspace(0, 1, 11)[:, None]
PATH = np.concatenate([50 + 5 * STEPS, 20 - 2 * STEPS], axis=1)
GHOSTS = {("one", "back"): PATH, ("other", "back"): PATH + 3, ("one", "safety"): PATH - 4}
COVARIANCE = STEPS**2 * np.array([4.0, 1.5, 1.0])


def test_draws_have_the_ghosts_as_their_mean_and_its_covariance_at_every_step() -> None:
    found = np.array([each["one", "back"] for each in draws.drawn(GHOSTS, {("one", "back"): COVARIANCE}, 4000)])
    np.testing.assert_allclose(found.mean(0), PATH, atol=0.15)
    for step in (0, 5, 10):
        xx, xy, yy = COVARIANCE[step]
        np.testing.assert_allclose(np.cov(found[:, step].T), [[xx, xy], [xy, yy]], atol=0.25)


def test_a_defender_strays_in_the_same_way_whatever_the_target_and_another_in_his_own() -> None:
    covariances = dict.fromkeys(GHOSTS, COVARIANCE)
    for each in draws.drawn(GHOSTS, covariances, 5):
        strayed = {key: path - GHOSTS[key] for key, path in each.items()}
        np.testing.assert_allclose(strayed["one", "back"], strayed["other", "back"])
        assert not np.allclose(strayed["one", "back"], strayed["one", "safety"])


def test_a_ghost_that_does_not_tell_how_sure_it_is_stays_the_same() -> None:
    for each in draws.drawn(GHOSTS, {}, 3):
        assert all(np.array_equal(path, GHOSTS[key]) for key, path in each.items())


def test_draws_are_the_same_each_time() -> None:
    once, again = (draws.drawn(GHOSTS, {("one", "back"): COVARIANCE}, 3) for _ in range(2))
    np.testing.assert_equal(once, again)


@pytest.mark.parametrize("covariance", [[0.0, 0.0, 2.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
def test_one_who_is_sure_of_a_direction_strays_in_the_other_alone(covariance: list[float]) -> None:
    flat = np.tile(covariance, (11, 1))
    found = np.array([each["one", "back"] for each in draws.drawn(GHOSTS, {("one", "back"): flat}, 500)]) - PATH
    assert np.isfinite(found).all()
    xx, xy, yy = covariance
    np.testing.assert_allclose(np.cov(found[:, 4].T), [[xx, xy], [xy, yy]], atol=0.3)


def test_one_by_one_is_nobodys_ghost_first_and_then_each_alone() -> None:
    assert [list(each) for each in draws.one_by_one(GHOSTS)] == [[], *([key] for key in GHOSTS)]
