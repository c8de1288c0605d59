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
