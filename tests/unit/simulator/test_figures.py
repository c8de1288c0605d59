"""The simulator's figures lie where football's do, and its movement is tested against real movement."""

import json
from pathlib import Path

import numpy as np
import pytest

from ghostback import bigdatabowl
from simulator.figures import public
from simulator.figures.__main__ import main
from simulator.figures.comparison import compare
from simulator.figures.passes import QUANTITIES, STEPS, Measured, measure_all
from simulator.figures.reported import REACH, told_by_acceleration, velocity_weights
from simulator.game import SimulatedGame, simulate_game

REAL = Path(__file__).parents[4] / "shared" / "data" / "nfl-2017090700-first-half"


@pytest.fixture(scope="module")
def games() -> list[SimulatedGame]:
    return [simulate_game(seed, 150) for seed in range(500, 506)]


@pytest.fixture(scope="module")
def passes(games: list[SimulatedGame]) -> list[Measured]:
    return measure_all(play for game in games for play in game.plays)


def test_figures_lie_within_their_bands(games: list[SimulatedGame], passes: list[Measured]) -> None:
    outside = {
        figure.name: figure.ours
        for figure in public.figures(games, passes, [], [])
        if not figure.band[0] <= figure.ours <= figure.band[1]
    }
    assert not outside


def test_nearly_every_simulated_pass_can_be_measured(games: list[SimulatedGame], passes: list[Measured]) -> None:
    thrown = sum(play.forward_pass is not None for game in games for play in game.plays)
    assert len(passes) > 0.97 * thrown
    for measured in passes:
        assert set(measured.samples) == set(QUANTITIES)
        assert measured.toward.shape[1] == STEPS + STEPS // 2 + 1


def test_the_throw_and_the_arrival_are_found_without_their_events(passes: list[Measured]) -> None:
    off = []
    for measured in passes:
        thrown = measured.play.forward_pass
        assert thrown
        off.append(measured.samples["air time"][0] * 10 - (thrown.arrived_frame - thrown.forward_frame))
    assert np.mean(np.abs(off) <= 1) > 0.9


def test_simulated_passes_pass_for_simulated_ones_and_slowed_ones_do_not(passes: list[Measured]) -> None:
    few = passes[::16][:33]
    rest = [measured for i, measured in enumerate(passes) if i % 16]
    assert compare(few, rest, seed=1, draws=99).p > 0.05
    slowed = [
        Measured(
            m.play, {name: values * (0.7 if "speed" in name else 1.0) for name, values in m.samples.items()}, m.toward
        )
        for m in few
    ]
    different = compare(slowed, rest, seed=1, draws=99)
    assert different.p < 0.05
    by_name = {c.quantity: c for c in different.quantities}
    assert by_name["speed, backs"].p_wasserstein < 0.05
    assert by_name["speed, backs"].p_kolmogorov < 0.05


def test_p_values_are_uniform_when_nothing_differs(passes: list[Measured]) -> None:
    p = [compare(passes[i : i + 20], passes[:i] + passes[i + 20 :], seed=i, draws=49).p for i in range(0, 240, 20)]
    assert 0.2 < np.mean(p) < 0.8


def test_the_command_prints_json_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--games", "1", "--seed", "9", "--out", str(tmp_path / "made"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["passes"]["real"] == 0
    assert printed["movement"] == []
    assert {"completion rate", "sacks, of dropbacks"} <= {figure["name"] for figure in printed["figures"]}
    for path in printed["pictures"]:
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_the_command_holds_files_against_the_simulator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated = simulate_game(77, 60)
    bigdatabowl.write(tmp_path, [(simulated.game, simulated.plays)])
    main(["--games", "2", "--data", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "All together" in printed
    with pytest.raises(SystemExit, match="error"):
        main(["--data", str(tmp_path / "none")])


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public game is not at {REAL.parent.name}/{REAL.name}")
def test_errors_of_constant_velocity_are_those_of_real_defensive_backs(passes: list[Measured]) -> None:
    real = measure_all(play for _, plays in bigdatabowl.read(REAL) for play in plays)
    assert len(real) == 33
    compared = {c.quantity: c for c in compare(real, passes, seed=1, draws=199).quantities}
    for k in range(1, STEPS + 1):
        assert compared[f"error of constant velocity, step {k}"].p_wasserstein > 0.01
    assert compared["closing on the catch point, backs"].p_wasserstein > 0.05
    assert compared["speed, backs"].p_wasserstein > 0.05


def test_simulated_tags_do_not_report_motion_that_is_still_to_come(games: list[SimulatedGame]) -> None:
    weights = velocity_weights(games[0].plays)
    assert weights.sum() == pytest.approx(1, abs=0.05)
    assert np.abs(weights[REACH + 3 :]).max() < 0.05


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public game is not at {REAL.parent.name}/{REAL.name}")
def test_the_half_game_reports_motion_that_is_still_to_come_and_positions_do_not(games: list[SimulatedGame]) -> None:
    plays = [play for _, plays in bigdatabowl.read(REAL) for play in plays]
    assert velocity_weights(plays)[REACH + 3 :].sum() == pytest.approx(0.33, abs=0.05)
    real, simulated = told_by_acceleration(plays), told_by_acceleration(p for game in games for p in game.plays)
    assert real["reported"][-1, 1] > 0.9
    np.testing.assert_allclose(real["positions"], simulated["positions"], atol=0.2)
