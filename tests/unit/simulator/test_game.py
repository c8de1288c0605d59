"""Simulated games: the same by seed, physically possible, and with known what-ifs."""

import numpy as np
import pytest

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, ParticipantKind, PassOutcome, Play
from ghostback.tracks import resample
from simulator.faults import inject_faults
from simulator.game import SimulatedGame, simulate_game
from simulator.motion import MAX_ACCELERATION
from simulator.tracks import track

SIX_INCHES = 1 / 6


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(71, 60)


@pytest.fixture(scope="module")
def passes(game: SimulatedGame) -> list[Play]:
    return [play for play in game.plays if play.forward_pass]


def of_player(play: Play, participant_id: str) -> np.ndarray:
    participant = play.participant(participant_id)
    assert participant
    own = play.samples.take(np.isin(play.samples.tag_id, participant.tag_ids))
    return np.c_[own.x, own.y].astype(float)


def test_the_same_seed_gives_the_same_game_and_another_seed_another(game: SimulatedGame) -> None:
    assert simulate_game(71, 60).plays == game.plays
    assert simulate_game(72, 5).plays != game.plays[:5]


def test_the_first_plays_do_not_depend_on_how_many_follow(game: SimulatedGame) -> None:
    assert simulate_game(71, 7).plays == game.plays[:7]


def test_every_play_has_22_players_and_a_ball_at_every_frame(game: SimulatedGame) -> None:
    for play in game.plays:
        assert sum(p.kind is ParticipantKind.PLAYER for p in play.participants) == 22
        assert sum(p.team_id == play.offense_team for p in play.participants) == 11
        frames = np.unique(play.samples.frame)
        assert len(play.samples) == 23 * len(frames)
        assert frames.tolist() == list(range(1, len(frames) + 1))


def test_a_game_has_passes_and_other_plays_in_both_directions(game: SimulatedGame, passes: list[Play]) -> None:
    assert 0.4 < len(passes) / len(game.plays) < 0.8
    assert {play.offense_direction for play in game.plays} == {1, -1}
    assert {play.offense_team for play in game.plays} == {game.game.home_team, game.game.away_team}
    outcomes = [play.forward_pass.outcome for play in passes if play.forward_pass]
    assert 0.4 < outcomes.count(PassOutcome.COMPLETE) / len(outcomes) < 0.85


def test_a_pass_goes_from_the_quarterback_to_an_eligible_receiver(passes: list[Play]) -> None:
    for play in passes:
        assert play.forward_pass
        thrower = play.participant(play.forward_pass.thrower_id)
        assert thrower
        assert thrower.position == "QB"
        assert play.forward_pass.target_id in {p.participant_id for p in play.eligible_receivers()}
        assert 0.3 <= (play.forward_pass.arrived_frame - play.forward_pass.forward_frame) / play.sample_rate <= 4.0
        assert 3 <= len(play.defensive_backs()) <= 7


def test_nobody_is_faster_or_quicker_than_a_human(game: SimulatedGame) -> None:
    for play in game.plays:
        players = [tag for p in play.participants if p.kind is ParticipantKind.PLAYER for tag in p.tag_ids]
        own = np.isin(play.samples.tag_id, players)
        assert np.nanmax(play.samples.speed[own]) < 12.0
        assert np.nanmax(play.samples.acceleration[own]) < MAX_ACCELERATION + 2.0


def test_tags_lie_within_six_inches_of_the_player_but_for_one_in_a_thousand(game: SimulatedGame) -> None:
    off = []
    for row, play in enumerate(game.plays):
        true = track(game.truth.scripts, game.truth.before, game.truth.after, row, row)[0][:, :-1]
        if play.offense_direction < 0:
            true = np.array([FIELD_LENGTH, FIELD_WIDTH]) - true
        tracks = [of_player(play, p.participant_id) for p in play.participants if p.kind is ParticipantKind.PLAYER]
        off.append(np.abs(np.stack(tracks, axis=1) - true).ravel())
    assert 0.5 * SIX_INCHES < np.quantile(np.concatenate(off), 0.999) < 1.1 * SIX_INCHES


def test_a_what_if_is_the_same_play_until_the_throw(game: SimulatedGame, passes: list[Play]) -> None:
    for play in passes[:10]:
        assert play.forward_pass
        for receiver in play.eligible_receivers():
            other = game.retarget(play.play_id, receiver.participant_id)
            assert other.forward_pass
            assert other.forward_pass.target_id == receiver.participant_id
            assert other.forward_pass.forward_frame == play.forward_pass.forward_frame
            until = play.forward_pass.forward_frame
            assert other.samples.take(other.samples.frame <= until) == play.samples.take(play.samples.frame <= until)


def test_throwing_to_the_same_receiver_again_is_the_same_play(game: SimulatedGame, passes: list[Play]) -> None:
    play = passes[0]
    assert play.forward_pass
    assert game.retarget(play.play_id, play.forward_pass.target_id) == play


def test_all_what_ifs_at_once_are_those_one_by_one(game: SimulatedGame, passes: list[Play]) -> None:
    everything = game.retarget_all()
    assert len(everything) == sum(len(play.eligible_receivers()) for play in passes)
    for play_id, receiver in list(everything)[:8]:
        assert everything[play_id, receiver] == game.retarget(play_id, receiver)


def test_defenders_react_to_where_the_ball_goes(game: SimulatedGame, passes: list[Play]) -> None:
    changed = 0
    for play in passes[:15]:
        assert play.forward_pass
        for receiver in play.eligible_receivers():
            other = game.retarget(play.play_id, receiver.participant_id)
            if receiver.participant_id != play.forward_pass.target_id:
                ends = [resample(p, 0.8, 0.8).position[:, 0] for p in (play, other)]
                changed += bool(np.nanmax(np.linalg.norm(ends[0] - ends[1], axis=-1)) > 1.0)
    assert changed > 30


def test_what_cannot_be_retargeted_is_told(game: SimulatedGame, passes: list[Play]) -> None:
    run = next(play for play in game.plays if not play.forward_pass)
    with pytest.raises(KeyError):
        game.retarget("none", "1")
    with pytest.raises(ValueError, match="no forward pass"):
        game.retarget(run.play_id, run.participants[0].participant_id)
    with pytest.raises(ValueError, match="not an eligible receiver"):
        game.retarget(passes[0].play_id, "nobody")


def test_faults_are_few_and_the_same_by_seed(game: SimulatedGame) -> None:
    clean = sum(len(play.samples) for play in game.plays)
    faulty = [inject_faults(play, 5) for play in game.plays]
    assert faulty == [inject_faults(play, 5) for play in game.plays]
    missing = sum(int(np.isnan(play.samples.x).sum()) for play in faulty)
    strangers = sum(
        int((~np.isin(play.samples.tag_id, [t for p in play.participants for t in p.tag_ids])).sum()) for play in faulty
    )
    fast = sum(int((play.samples.speed > 12.47).sum()) for play in faulty)
    before = sum(int((play.samples.speed > 12.47).sum()) for play in game.plays)
    assert missing
    assert strangers
    assert fast > before
    assert abs(sum(len(play.samples) for play in faulty) - clean) < 0.01 * clean
