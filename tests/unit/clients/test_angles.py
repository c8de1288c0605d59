"""Angles that do not mean what they should are found out from the displacements."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ghostback import bigdatabowl
from ghostback.bigdatabowl.angles import AngleCheck
from ghostback.play import Play
from simulator.game import simulate_game
from tests.unit.clients.test_bigdatabowl_public_game import REAL

Turn = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@pytest.fixture(scope="module")
def plays() -> tuple[Play, ...]:
    return simulate_game(5, 6).plays


def check(plays: Iterable[Play], **turns: Turn) -> AngleCheck:
    checked = AngleCheck()
    for play in plays:
        angles = {name: turn(getattr(play.samples, name)) for name, turn in turns.items()}
        checked.add(replace(play, samples=replace(play.samples, **angles)))
    return checked


def test_good_angles_give_no_warning(plays: tuple[Play, ...]) -> None:
    checked = check(plays)
    assert checked.warnings() == []
    assert abs(checked.offset("direction") or 99) < 2
    assert abs(checked.offset("orientation") or 99) < 10


@pytest.mark.parametrize("name", ["direction", "orientation"])
@pytest.mark.parametrize("degrees", [-90, 90, 180])
def test_turned_angles_are_told_with_their_offset(plays: tuple[Play, ...], name: str, degrees: int) -> None:
    checked = check(plays, **{name: lambda angle: (angle + degrees) % 360})
    (warning,) = checked.warnings()
    assert warning.startswith(f"{name}: over ")
    offset = checked.offset(name)
    assert offset is not None
    assert abs((offset - degrees + 180) % 360 - 180) < 10


def test_angles_that_grow_the_other_way_are_told_with_their_zero(plays: tuple[Play, ...]) -> None:
    (warning,) = check(plays, direction=lambda angle: (90 - angle) % 360).warnings()
    assert "counter-clockwise, with +y at 90 degrees" in warning


def test_angles_without_sense_are_told(plays: tuple[Play, ...]) -> None:
    (warning,) = check(plays, direction=lambda angle: np.random.default_rng(1).permutation(angle)).warnings()
    assert "nothing to do with the displacements" in warning


def test_missing_angles_and_a_few_steps_tell_nothing(plays: tuple[Play, ...]) -> None:
    nothing = check(plays, direction=lambda angle: angle * np.nan, orientation=lambda angle: angle * np.nan)
    assert nothing.warnings() == []
    assert nothing.offset("direction") is None
    few = replace(plays[0], samples=plays[0].samples.take(plays[0].samples.frame < 3))
    assert check([few], direction=lambda angle: (angle + 90) % 360).warnings() == []


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public game is not at {REAL.parent.name}/{REAL.name}")
def test_directions_of_the_public_game_are_clockwise_from_y() -> None:
    checked = check(play for _, plays in bigdatabowl.read(REAL) for play in plays)
    offset = checked.offset("direction")
    print(f"{offset:+.2f} degrees over {checked.steps['direction']:,} steps")  # noqa: T201
    assert offset is not None
    assert abs(offset) < 1
    assert checked.steps["orientation"] == 0
    assert checked.warnings() == []
