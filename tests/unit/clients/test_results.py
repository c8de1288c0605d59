"""What the client gives can be asked for what one wants to know."""

import numpy as np
import pytest

from ghostback.results import Yards


def test_a_distribution_of_yards_tells_its_mean_and_the_yards_that_a_share_does_not_exceed() -> None:
    yards = Yards(-2, np.array([0.1, 0.0, 0.4, 0.5]))
    assert yards.mean == pytest.approx(0.3)
    assert [yards.quantile(share) for share in (0.05, 0.1, 0.11, 0.5, 0.51, 1.0)] == [-2, -2, 0, 0, 1, 1]
