"""Ghosts are drawn in the play's own coordinates."""

import numpy as np
import pytest

from services.predict import ghosts


@pytest.mark.parametrize("direction", [1, -1])
def test_a_path_starts_at_the_anchor_and_ends_at_arrival(direction: int) -> None:
    displacement = np.cumsum(np.full((2, 40, 2), 0.5, np.float32), axis=1)
    anchor = np.array([[50.0, 20.0], [60.0, 30.0]])
    paths = ghosts.paths(displacement, anchor, direction, np.array([3, 40]))
    assert [len(path) for path in paths] == [4, 41]
    for path, start in zip(paths, anchor, strict=True):
        np.testing.assert_array_equal(path[0], start)
        np.testing.assert_allclose(np.diff(path, axis=0), direction * 0.5)


def test_a_pair_is_found_in_rows_of_single_defenders_and_of_whole_scenes() -> None:
    scene = np.arange(2 * 11 * 4 * 2, dtype=np.float32).reshape(2, 11, 4, 2)
    row, slot = np.array([0, 1, 1]), np.array([3, 0, 10])
    np.testing.assert_array_equal(ghosts.of_pairs(scene, row, slot), [scene[0, 3], scene[1, 0], scene[1, 10]])
    np.testing.assert_array_equal(ghosts.of_pairs(scene[:, 0], row, slot), scene[:, 0][row])


def test_the_first_point_is_certain_and_the_others_as_the_model_says() -> None:
    told = np.random.default_rng(1).random((2, 40, 3), np.float32)
    for covariance, expected in zip(ghosts.covariances(told, np.array([3, 40])), (told[0, :3], told[1]), strict=True):
        assert not covariance[0].any()
        np.testing.assert_array_equal(covariance[1:], expected)
