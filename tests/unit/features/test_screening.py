"""Screening: noise is dropped, leaks are reported, and what is kept predicts nearly as well as everything."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, PassOutcome, Play, Situation
from ghostback.tracks import resample
from services.common.errors import FailedPrecondition
from services.features.screening import catalogue, ranking, table
from services.features.screening.boosting import Stopped, Workers, split_by_game
from services.features.screening.candidates import Candidate, Known, Points, values
from services.features.screening.causality import probe
from services.features.screening.screen import TOLERANCE, Screening, Stage, Verdict, screen
from services.features.screening.table import Table
from services.features.screening.throw import Throw, throws
from simulator.faults import inject_faults
from simulator.game import simulate_game

SEEDS = range(61, 65)
CATALOGUE = catalogue.of_setting("retrospective")
GROUPS = ("defender", "landing", "game")
PLAYS = [play for seed in SEEDS for play in simulate_game(seed, 100).plays if play.forward_pass]
WENT = {
    (play.name, participant): places
    for play in PLAYS
    for tracks in [resample(play, 0.0, 1.0)]
    for participant, places in zip(tracks.participant_ids, tracks.position, strict=True)
}
"""Where everyone went in the second after the throw: what nobody knows at the throw."""


def after_the_throw(throw: Throw, seconds: float) -> Points:
    tracks = resample(throw.play, 0.0, 1.0)
    places = np.stack([tracks.position[tracks.row(name), round(seconds * 10)] for name in throw.defender_ids])
    return throw.turned(places) - throw.defenders.position[:, -1]


def drawn(throw: Throw, seed: int) -> Points:
    """A standard normal number of each defender of the play."""
    play = throw.play
    keys = ([seed, int(play.game_id), int(play.play_id), int(name)] for name in throw.defender_ids)
    return np.array([np.random.default_rng(key).normal() for key in keys])


def told_afterwards(throw: Throw, noise: float) -> Points:
    """A figure handed in with the play: how far the defender went, as noted after the play."""
    ways = [WENT[throw.play.name, name] for name in throw.defender_ids]
    across = np.array([throw.play.offense_direction * (way[-1, 1] - way[0, 1]) for way in ways])
    return across + noise * drawn(throw, 0)


def candidate(name: str, compute: object, known: Known = Known.THROW) -> Candidate:
    return Candidate(name, "yd", "planted by a test", "planted", known, compute)  # type: ignore[arg-type]


def noise(seed: int) -> Candidate:
    return candidate(f"noise_{seed}", lambda throw: drawn(throw, seed), Known.BEFORE_SNAP)


NOISE = tuple(noise(seed) for seed in range(1, 7))
COMPUTED_LEAKS = (
    candidate("where_he_is_a_second_later", lambda throw: after_the_throw(throw, 1.0)[:, 0]),
    candidate("where_he_is_a_step_later", lambda throw: after_the_throw(throw, 0.1)[:, 1]),
    candidate(
        "velocity_smoothed_over_the_throw",
        lambda throw: (
            throw.defenders.velocity[:, -1, 0]
            + 0.1 * (after_the_throw(throw, 0.1)[:, 0] - throw.defenders.velocity[:, -1, 0])
        ),
    ),
    candidate("caught", lambda throw: float(throw.play.forward_pass.outcome is PassOutcome.COMPLETE)),  # type: ignore[union-attr]
    candidate("air_time", lambda throw: throw.air_seconds),
    candidate("events", lambda throw: float(len(throw.play.events))),
    candidate("depth_at_throw", lambda throw: throw.defenders.position[:, -1, 0], Known.SNAP),
)
HANDED_IN_LEAKS = tuple(
    candidate(f"noted_afterwards_{sd:g}", lambda throw, sd=sd: told_afterwards(throw, sd), Known.BEFORE_SNAP)
    for sd in (0.5, 1.0, 1.5)
)
TWIN = candidate("defender_vx_in_feet", lambda throw: 3 * catalogue.CATALOGUE["defender_vx"].compute(throw))
SCREENED = (
    *(each for each in CATALOGUE if each.group in GROUPS),
    *NOISE,
    *COMPUTED_LEAKS,
    *HANDED_IN_LEAKS,
    TWIN,
)


def rows(candidates: tuple[Candidate, ...], plays: list[Play] = PLAYS) -> Table:
    parts = [table.of_play(play, "retrospective", candidates, i % 5 == 0) for i, play in enumerate(plays)]
    return Table.concatenate(parts, len(candidates))


def silent(stage: Stage, done: int, total: int) -> None: ...


@pytest.fixture(scope="module")
def screened_table() -> Table:
    return rows(SCREENED)


@pytest.fixture(scope="module")
def screening(screened_table: Table) -> Screening:
    return screen(screened_table, SCREENED, Workers(3, 2), silent)


def verdicts(screening: Screening) -> dict[str, Verdict]:
    return {judged.candidate.name: judged.verdict for judged in screening.judged}


def test_planted_noise_is_dropped(screening: Screening) -> None:
    kept = {judged.candidate.name for judged in screening.kept}
    assert not kept & {each.name for each in NOISE}
    found = [verdicts(screening)[each.name] for each in NOISE]
    assert found.count(Verdict.NOISE) >= len(NOISE) - 1, found


@pytest.mark.parametrize("leak", [*COMPUTED_LEAKS, *HANDED_IN_LEAKS], ids=lambda each: each.name)
def test_a_planted_leak_is_reported_with_the_reason(screening: Screening, leak: Candidate) -> None:
    (judged,) = (each for each in screening.judged if each.candidate.name == leak.name)
    assert judged.verdict is Verdict.LEAK
    if leak in COMPUTED_LEAKS:
        assert judged.reason == "it changes with what comes after the instant it is known at"
    else:
        assert "of what all the tracks tell leaves open" in judged.reason


def test_no_honest_candidate_is_called_a_leak(screening: Screening) -> None:
    planted = {each.name for each in (*COMPUTED_LEAKS, *HANDED_IN_LEAKS)}
    assert {name for name, verdict in verdicts(screening).items() if verdict is Verdict.LEAK} == planted


def test_of_twins_the_better_ranked_stays(screening: Screening) -> None:
    found = verdicts(screening)
    assert {found["defender_vx"], found["defender_vx_in_feet"]} == {Verdict.KEPT, Verdict.TWIN}


def test_what_is_kept_is_few_and_nearly_as_good_as_everything(screening: Screening) -> None:
    assert screening.kept_rmse <= (1 + TOLERANCE) * screening.full_rmse
    assert 2 <= len(screening.kept) <= 30
    names = {judged.candidate.name for judged in screening.kept}
    assert {"defender_vx", "defender_vy"} & names
    assert not names & {"down", "yards_to_go", "quarter", "game_clock"}


def test_what_no_play_carries_is_absent_and_not_made_up(screening: Screening) -> None:
    absent = {judged.candidate.name: judged.reason for judged in screening.judged if judged.verdict is Verdict.ABSENT}
    assert absent["drive_length"] == absent["temperature"] == "no play has it"


FEW = tuple(each for each in SCREENED if each.group == "defender" and each.name.endswith(("x", "y")))


@pytest.fixture(scope="module")
def small_table() -> Table:
    return rows(FEW, PLAYS[:200])


def test_the_same_seed_gives_the_same_screening_at_any_number_of_threads(small_table: Table) -> None:
    first, second = (screen(small_table, FEW, Workers(4, n), silent) for n in (1, 3))
    assert repr(first) == repr(second)


def test_a_screening_that_is_stopped_ends_at_once(small_table: Table) -> None:
    workers = Workers(3, 2)
    stopped_at: list[float] = []

    def stop_while_ranking(stage: Stage, done: int, total: int) -> None:
        if stage is Stage.RANKING and not stopped_at:
            workers.stop.set()
            stopped_at.append(time.monotonic())

    with pytest.raises(Stopped):
        screen(small_table, FEW, workers, stop_while_ranking)
    assert time.monotonic() - stopped_at[0] < 2
    assert not [thread for thread in threading.enumerate() if "ThreadPoolExecutor" in thread.name]


def test_too_few_games_are_refused_and_told() -> None:
    (name,) = {play.game_id for play in PLAYS[:1]}
    one_game = rows(CATALOGUE[:5], [play for play in PLAYS if play.game_id == name])
    with pytest.raises(FailedPrecondition, match=r"rows of 1 games to learn from.*of passes that are in the air"):
        screen(one_game, CATALOGUE[:5], Workers(1, 1), silent)


def test_folds_split_by_game_and_cover_every_row_once() -> None:
    game = np.repeat([f"games/{i}" for i in range(13)], 7)
    folds = split_by_game(game, 5, 2)
    assert (np.sum(folds, axis=0) == 1).all()
    for fold in folds:
        assert not set(game[fold]) & set(game[~fold])


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(8, 20), st.integers(2, 6)), elements=st.floats(-5, 5, width=16)),
    st.floats(0.3, 0.99),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_what_is_left_has_no_twins_and_what_is_dropped_has_a_better_one(
    columns: np.ndarray[tuple[int, int], np.dtype[np.float32]], limit: float, data: st.DataObject
) -> None:
    columns = columns + np.arange(len(columns), dtype=np.float32)[:, None] * 1e-3
    order = np.array(data.draw(st.permutations(range(columns.shape[1]))))
    found = ranking.twins(columns, order, limit)
    left = [column for column in order.tolist() if column not in found]
    for i, column in enumerate(left):
        assert not ranking.twins(columns[:, left[: i + 1]], np.arange(i + 1), limit), column
    for column, better in found.items():
        assert better in left
        assert order.tolist().index(better) < order.tolist().index(column)


def without_speeds(play: Play) -> Play:
    absent = np.full(len(play.samples), np.nan, np.float32)
    return replace(play, samples=replace(play.samples, speed=absent, direction=absent, orientation=absent))


def without_ball(play: Play) -> Play:
    assert play.ball
    return replace(play, samples=play.samples.take(~np.isin(play.samples.tag_id, play.ball.tag_ids)))


FEEDS = {
    "as it is": lambda play: play,
    "without speeds and angles": without_speeds,
    "without a ball": without_ball,
    "of 25 Hz": lambda play: replace(play, sample_rate=25.0),
    "with lost tags": lambda play: inject_faults(play, 3),
}


@pytest.mark.parametrize("setting", ["live", "retrospective"])
@pytest.mark.parametrize("feed", FEEDS)
def test_no_candidate_of_the_catalogue_knows_more_than_it_says(setting: str, feed: str) -> None:
    candidates = catalogue.of_setting(setting)
    for i, play in enumerate(PLAYS[:10]):
        shown = probe(FEEDS[feed](play), setting, candidates, i)
        assert not [each.name for each, leaks in zip(candidates, shown.knows_future, strict=True) if leaks]


def test_live_candidates_do_not_know_where_the_receiver_goes() -> None:
    live = {each.name for each in catalogue.of_setting("live")}
    assert "landing_rel_x" in live
    assert "receiver_ahead_x_10" not in live
    assert "receiver_ahead_x_10" in {each.name for each in CATALOGUE}


def computed(play: Play) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    _, made = throws(play, "retrospective")
    return np.concatenate([values(throw, CATALOGUE) for throw in made])


def turned_around(play: Play) -> Play:
    samples = play.samples
    turned = replace(
        samples,
        x=np.float32(FIELD_LENGTH) - samples.x,
        y=np.float32(FIELD_WIDTH) - samples.y,
        orientation=(samples.orientation + 180) % 360,
        direction=(samples.direction + 180) % 360,
    )
    line = FIELD_LENGTH - play.situation.line_of_scrimmage
    return replace(
        play,
        samples=turned,
        offense_direction=-play.offense_direction,
        situation=replace(play.situation, line_of_scrimmage=line),
    )


@pytest.mark.parametrize("play", PLAYS[:4], ids=lambda play: play.name)
def test_a_play_turned_around_gives_the_same_candidates(play: Play) -> None:
    there, back = computed(play), computed(turned_around(play))
    off = np.abs(there - back) / np.maximum(1, np.abs(there))
    close = (off < 0.02) | (np.isnan(there) & np.isnan(back))
    wrapped = np.abs(np.abs(there - back) - 360) < 1
    names = np.array([each.name for each in CATALOGUE])
    assert not names[~(close | wrapped).all(axis=0)].tolist()


def test_what_a_play_does_not_tell_is_not_a_number() -> None:
    play = replace(PLAYS[0], situation=Situation(), events=())
    found = dict(zip((each.name for each in CATALOGUE), computed(play).T, strict=True))
    for name in ("down", "yards_to_go", "quarter", "game_clock", "score_difference", "high_safeties", "since_snap"):
        assert np.isnan(found[name]).all(), name
    assert np.isfinite(found["separation"]).all()


def test_names_of_candidates_are_unique_and_each_tells_its_unit_and_meaning() -> None:
    assert len(catalogue.CATALOGUE) == len({each.entry for each in catalogue.CATALOGUE.values()}) > 200
    assert all(each.unit and each.description for each in catalogue.CATALOGUE.values())


def test_candidates_are_the_play_s_geometry() -> None:
    play = PLAYS[0]
    _, made = throws(play, "retrospective")
    throw = next(made)
    found = dict(zip((each.name for each in CATALOGUE), values(throw, CATALOGUE).T, strict=True))
    gap = throw.receiver.position[0, -1] - throw.defenders.position[:, -1]
    np.testing.assert_allclose(found["separation"], np.hypot(*gap.T), rtol=1e-5)
    np.testing.assert_allclose(found["receiver_rel_x"], gap[:, 0], rtol=1e-5)
    later = throw.defenders.position[:, -1] + throw.defenders.velocity[:, -1] * throw.air_seconds
    np.testing.assert_allclose(found["drift_y"], throw.landing[1] - later[:, 1], rtol=1e-4, atol=1e-4)
    assert found["n_defensive_backs"][0] == len(play.defensive_backs())
