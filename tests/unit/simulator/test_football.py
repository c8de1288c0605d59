"""Plays look right to someone who watches football."""

import numpy as np
import pytest

from ghostback.play import PassOutcome
from simulator.assignments import BLOWN
from simulator.dropback import covers_man
from simulator.flight import play_out
from simulator.game import SimulatedGame, simulate_game
from simulator.motion import MAX_ACCELERATION, length, step
from simulator.outcome import DROPS, Catch
from simulator.playbook import COVERAGES, FORMATIONS, HOT, ROUTE_SHARES, ROUTES, Job, Kind, Match, Tempo
from simulator.reactions import Answer
from simulator.script import FALLS, LATE


@pytest.fixture(scope="module")
def games() -> list[SimulatedGame]:
    return [simulate_game(seed, 150) for seed in range(300, 306)]


def test_defenders_do_nothing_about_a_throw_until_their_reaction_time_is_over(games: list[SimulatedGame]) -> None:
    truth = games[0].truth
    passes = np.flatnonzero(truth.scripts.kind == Kind.PASS)
    scripts, state = truth.scripts.take(passes), truth.before.state.take(passes)
    everyone = np.repeat(truth.targets[passes][:, None], 5, axis=1)
    everyone[:] = np.arange(5)
    plays = [play_out(scripts, state, targets) for targets in everyone.T]
    earliest = np.min([play.reactions.delay for play in plays], axis=0)
    assert earliest.min() >= 1
    ball_in_air = np.min([play.flight for play in plays], axis=0)
    alone = scripts.job != Job.RUSH
    for i, j in zip(*np.nonzero(alone), strict=True):
        same = min(earliest[i, j], ball_in_air[i])
        first = plays[0].position[1 : same + 1, i, 11 + j]
        for other in plays[1:]:
            apart = length(other.position[1 : same + 1, i, 11 + j] - first).max(initial=0.0)
            assert apart < 0.12, "his receiver may run another way, the ball must not matter yet"


def test_turning_the_hips_costs_time() -> None:
    start = np.zeros((3, 2)), np.tile([6.0, 0.0], (3, 1)), np.zeros((3, 2))
    wishes = 7.0 * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    position, velocity, acceleration = start
    for _ in range(6):
        position, velocity, acceleration = step(
            position, velocity, acceleration, wishes, np.full(3, 9.5), np.full(3, 6.0)
        )
    off = length(velocity - wishes)
    assert off[0] < off[1] < off[2]
    assert (length(acceleration) <= MAX_ACCELERATION).all()


def test_every_receiver_runs_a_route_of_the_tree_or_what_it_turns_into(games: list[SimulatedGame]) -> None:
    run = {name for game in games for drawn in game.truth.drawn for name in drawn.routes}
    called = {name for spots in ROUTE_SHARES.values() for shares in spots.values() for name in shares}
    options = {name for route in ROUTES.values() for name in route.options.values()}
    assert run == called | options | {HOT}


def test_routes_adjust_to_the_coverage(games: list[SimulatedGame]) -> None:
    sits = {True: 0, False: 0}
    for game in games:
        for coverage, drawn in zip(game.truth.scripts.coverage, game.truth.drawn, strict=True):
            sits[COVERAGES[coverage].man] += sum(name.endswith("sit") for name in drawn.routes)
    assert sits[True] == 0
    assert sits[False] > 50


def test_against_a_blitz_somebody_is_hot_and_the_ball_is_out_sooner(games: list[SimulatedGame]) -> None:
    hold: dict[bool, list[float]] = {True: [], False: []}
    for game in games:
        scripts = game.truth.scripts
        for i in np.flatnonzero(scripts.kind == Kind.PASS):
            hold[bool((scripts.job[i] == Job.RUSH).sum() > 4)].append(scripts.action[i] / 10)
    assert np.mean(hold[True]) < np.mean(hold[False]) - 0.05


def test_match_rules_hand_verticals_to_the_deep_defender_and_outs_to_the_flat(games: list[SimulatedGame]) -> None:
    handed = {Match.VERTICAL: 0, Match.SHORT: 0}
    for game in games:
        scripts, state = game.truth.scripts, game.truth.before.state
        taken = covers_man(scripts, state) & (scripts.job != Job.MAN)
        depth = state.position[0, :, 6:11, 0] - scripts.line[:, None]
        for i, j in zip(*np.nonzero(taken), strict=True):
            rule = Match(scripts.match[i, j])
            handed[rule] += 1
            deep = depth[i, scripts.man[i, j]] > 7.5
            assert deep == (rule is Match.VERTICAL)
    assert min(handed.values()) > 20


def test_man_defenders_play_inside_without_help_and_outside_with_it(games: list[SimulatedGame]) -> None:
    inside: dict[int, list[float]] = {0: [], 1: []}
    for game in games:
        scripts = game.truth.scripts
        for i, j in zip(*np.nonzero(scripts.job == Job.MAN), strict=True):
            toward = np.sign(scripts.ball_y[i] - scripts.start[i, 6 + scripts.man[i, j], 1])
            if scripts.cushion[i, j] > 0.0:
                inside[COVERAGES[scripts.coverage[i]].high].append(toward * scripts.leverage[i, j])
    assert np.mean(inside[0]) > 0.4
    assert np.mean(inside[1]) < -0.2


def test_every_coverage_formation_answer_and_tempo_is_played(games: list[SimulatedGame]) -> None:
    scripts = [game.truth.scripts for game in games]
    assert {c.name for c in COVERAGES} == {"cover 0", "cover 1", "cover 2", "cover 3", "cover 4", "cover 6"}
    assert set(np.concatenate([s.coverage for s in scripts])) == set(range(len(COVERAGES)))
    assert set(np.concatenate([s.formation for s in scripts])) == set(range(len(FORMATIONS)))
    assert set(np.concatenate([g.truth.after.reactions.answer.ravel() for g in games])) == set(Answer)
    assert set(np.concatenate([g.truth.after.catch for g in games])) == set(Catch)
    holds = np.concatenate([s.action[s.kind == Kind.PASS] for s in scripts]) / 10
    assert len(Tempo) == 3
    assert 1.2 <= holds.min() < 1.8
    assert 4.5 < holds.max() <= 6.0


def test_rare_events_come_in_about_their_stated_shares(games: list[SimulatedGame]) -> None:
    scripts = [game.truth.scripts for game in games]
    blown = np.concatenate([s.blown >= 0 for s in scripts])
    late = np.concatenate([s.late.ravel() for s in scripts])
    slipped = np.concatenate([(s.slip[:, 6:] < 90.0).ravel() for s in scripts])
    catch = np.concatenate([game.truth.after.catch for game in games])
    dropped = (catch == Catch.DROPPED).sum() / np.isin(catch, [Catch.DROPPED, Catch.COMPLETE]).sum()
    for share, stated, n in (
        (blown.mean(), BLOWN, len(blown)),
        (late.mean(), LATE, len(late)),
        (slipped.mean(), FALLS, len(slipped)),
        (dropped, DROPS, int((catch > 0).sum())),
    ):
        assert abs(share - stated) < 4.0 * np.sqrt(stated * (1.0 - stated) / n)


def test_who_slips_comes_to_rest(games: list[SimulatedGame]) -> None:
    rested = 0
    for game in games:
        scripts = game.truth.scripts
        for i, j in zip(*np.nonzero(scripts.slip < 90.0), strict=True):
            down = round((scripts.slip[i, j] + 0.8) * 10)
            if down <= scripts.action[i]:
                rested += 1
                assert length(game.truth.before.velocity[down, i, j]) < 2.5
    assert rested > 0


def test_truth_tells_what_an_expert_would_ask_for(games: list[SimulatedGame]) -> None:
    for game in games[:2]:
        for row, play in enumerate(game.plays):
            told = game.truth.of_play(row)
            ids = {p.participant_id for p in play.participants}
            assert told.coverage in {c.name for c in COVERAGES}
            assert len(told.assignments) == 11
            assert set(told.routes) == {p.participant_id for p in play.participants[6:11]}
            assert set(told.assignments) | {a.man for a in told.assignments.values() if a.man} <= ids
            assert sum(a.blown for a in told.assignments.values()) <= 1
            if play.forward_pass is None:
                assert told.catch is Catch.NO_PASS
                assert np.isnan(told.catch_probability)
                assert {a.answer for a in told.assignments.values()} == {None}
            else:
                assert 0.0 <= told.catch_probability <= 1.0
                assert (told.catch is Catch.COMPLETE) == (play.forward_pass.outcome is PassOutcome.COMPLETE)
                first = min(a.reaction_frame for a in told.assignments.values())
                assert first > play.forward_pass.forward_frame


def test_catch_probabilities_are_calibrated(games: list[SimulatedGame]) -> None:
    chances = np.concatenate([g.truth.after.catch_probability for g in games])
    caught = np.concatenate([g.truth.after.catch == Catch.COMPLETE for g in games])[~np.isnan(chances)]
    chances = chances[~np.isnan(chances)]
    for low, high in ((0.0, 0.5), (0.5, 0.75), (0.75, 1.0)):
        within = (chances >= low) & (chances <= high)
        error = 4.0 * np.sqrt(0.25 / within.sum())
        assert abs(caught[within].mean() - chances[within].mean()) < error
