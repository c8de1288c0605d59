"""Whole games: plays as the tags report them, and each play as it would have gone with another target."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from ghostback.play import (
    FIELD_LENGTH,
    FIELD_WIDTH,
    Event,
    Game,
    Participant,
    ParticipantKind,
    Pass,
    PassOutcome,
    Play,
    PlayState,
    Situation,
)
from simulator import ball, dropback, flight, league, script, tags
from simulator.dropback import Dropback
from simulator.flight import AFTER_WHISTLE, Aftermath, Catch, Ending
from simulator.playbook import COVERAGES, ELIGIBLE, N_ELIGIBLE, QUARTERBACK, Kind
from simulator.script import BEFORE_SNAP, RATE, Drawn, Ints, Scripts
from simulator.throw import throws

BALL = Participant("ball", ParticipantKind.BALL, "Football", "", "", -1, (1,))
"""The ball and its tag, the same in every game."""

_GAMES_A_WEEK, _WEEKS, _SEASONS = 16, 18, 7000
_PLAYS_A_QUARTER = 38
_OUTCOMES = {
    Catch.COMPLETE: (PassOutcome.COMPLETE, "pass_outcome_caught"),
    Catch.INCOMPLETE: (PassOutcome.INCOMPLETE, "pass_outcome_incomplete"),
    Catch.INTERCEPTED: (PassOutcome.INTERCEPTED, "pass_outcome_interception"),
}
_ENDINGS = {
    Ending.TACKLE: "tackle",
    Ending.SACK: "qb_sack",
    Ending.OUT_OF_BOUNDS: "out_of_bounds",
    Ending.TOUCHDOWN: "touchdown",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a play before it is drawn.

    Attributes:
        offense: team with the ball.
        defense: the other team.
        direction: +1 when the offense moves toward +x, else -1.
        line: x of the line of scrimmage, yards, with the offense moving toward +x.
        quarter: from 1.
        clock: seconds left in the quarter.
        down: 1 to 4.
        to_go: yards to a first down.
    """

    offense: str
    defense: str
    direction: int
    line: float
    quarter: int
    clock: float
    down: int
    to_go: float


@dataclass(frozen=True, slots=True)
class Truth:
    """What the simulator knows of a game's plays besides what the tags report, in order of play.

    Attributes:
        settings: of each play.
        drawn: who played, and tag noise.
        scripts: everything drawn by chance.
        before: motion until the release.
        targets: (n_plays,) receiver (0-4) thrown to; without meaning for plays that are no passes.
    """

    settings: tuple[Setting, ...]
    drawn: tuple[Drawn, ...]
    scripts: Scripts
    before: Dropback
    targets: Ints


@dataclass(frozen=True, slots=True)
class SimulatedGame:
    """A game and what would have been.

    Attributes:
        game: the game.
        plays: in order of play, as the tags report them: with noise, without faults.
        truth: what only the simulator knows.
    """

    game: Game
    plays: tuple[Play, ...]
    truth: Truth = field(repr=False, compare=False)

    def retarget(self, play_id: str, participant_id: str) -> Play:
        """The same play had the pass been thrown to another receiver: the true what-if.

        Up to and including the release it is the same play, sample by sample.

        Raises:
            KeyError: no such play.
            ValueError: the play has no pass, or nobody of that id could have caught it.
        """
        index = {play.play_id: i for i, play in enumerate(self.plays)}[play_id]
        receivers = [p.person_id for p in self.truth.drawn[index].people[ELIGIBLE]]
        if self.plays[index].forward_pass is None:
            raise ValueError(f"play {play_id} has no forward pass")
        if participant_id not in receivers:
            raise ValueError(f"{participant_id} is not an eligible receiver of play {play_id}")
        return next(self._replay(np.array([index]), np.array([receivers.index(participant_id)])))

    def retarget_all(self) -> dict[tuple[str, str], Play]:
        """Every pass thrown to every eligible receiver, by play id and participant id.

        The receiver truly thrown to is there too, with the play as it is in `plays`.
        """
        passes = np.flatnonzero(self.truth.scripts.kind == Kind.PASS)
        rows, receivers = (a.ravel() for a in np.meshgrid(passes, np.arange(N_ELIGIBLE), indexing="ij"))
        other = receivers != self.truth.targets[rows]
        replays = self._replay(rows[other], receivers[other])
        return {
            (self.plays[row].play_id, self.truth.drawn[row].people[6 + receiver].person_id): (
                next(replays) if replayed else self.plays[row]
            )
            for row, receiver, replayed in zip(rows, receivers, other, strict=True)
        }

    def _replay(self, rows: Ints, receivers: Ints) -> Iterator[Play]:
        for replay, row in zip(_plays(self.game, self.truth, rows, receivers), rows, strict=True):
            actual = self.plays[row]
            object.__setattr__(replay, "situation", actual.situation)
            yield replay


def simulate_game(seed: int, n_plays: int = 150) -> SimulatedGame:
    """Simulate a game.

    The first plays of a game do not depend on how many follow. Game ids are distinct for seeds
    below two million.

    Args:
        seed: 0 or more; the same seed gives the same game.
        n_plays: 1 or more.

    Raises:
        ValueError: the seed or the number of plays is out of range.
    """
    if seed < 0 or n_plays < 1:
        raise ValueError("the seed must be 0 or more and a game must have a play or more")
    game = _game(seed)
    settings = tuple(_settings(np.random.default_rng([seed, 1 << 31]), game, n_plays))
    drawn = tuple(
        script.draw(np.random.default_rng(np.random.SeedSequence([seed, i])), s.offense, s.defense, s.line)
        for i, s in enumerate(settings)
    )
    scripts = script.stack([d.script for d in drawn])
    before = dropback.run(scripts)
    targets = throws(scripts, before.state).appeal.argmax(-1)
    truth = Truth(settings, drawn, scripts, before, targets)
    plays = _plays(game, truth, np.arange(n_plays), targets)
    return SimulatedGame(game, tuple(_with_scores(game, plays)), truth)


def _game(seed: int) -> Game:
    index = seed % _GAMES_A_WEEK
    week = seed // _GAMES_A_WEEK % _WEEKS
    season = 2024 + seed // (_GAMES_A_WEEK * _WEEKS) % _SEASONS
    home, away = np.random.default_rng([seed, (1 << 31) + 1]).permutation(league.TEAMS)[:2]
    september = datetime(season, 9, 1, 17, tzinfo=UTC)
    day = september + timedelta(days=6 - september.weekday() + 7 * week)
    return Game(f"{day:%Y%m%d}{index:02d}", league.LEAGUE, season, week + 1, str(home), str(away), day)


def _settings(rng: np.random.Generator, game: Game, n_plays: int) -> Iterator[Setting]:
    """Drives from end to end. The next play's spot is drawn too, not carried over from the play before."""
    home_has_ball, line, down, to_go = bool(rng.random() < 0.5), 35.0, 1, 10.0
    for i in range(n_plays):
        quarter = 1 + i // _PLAYS_A_QUARTER
        offense, defense = (
            (game.home_team, game.away_team) if home_has_ball else (game.away_team, game.home_team)
        )
        direction = 1 if home_has_ball == (quarter % 2 == 1) else -1
        clock = 900.0 * (1.0 - (i % _PLAYS_A_QUARTER) / _PLAYS_A_QUARTER)
        yield Setting(offense, defense, direction, line, quarter, float(round(clock)), down, to_go)
        gain = float(np.round(np.clip(rng.gamma(1.1, 6.5) - 1.5, -6.0, 40.0)))
        line, to_go, down = line + gain, to_go - gain, down + 1
        if to_go <= 0.0:
            down, to_go = 1, min(10.0, 110.0 - line)
        if line >= 109.0 or down > 4:
            home_has_ball = not home_has_ball
            line, down, to_go = float(rng.integers(25, 46)), 1, 10.0
        line = max(line, 12.0)


def _with_scores(game: Game, plays: Sequence[Play]) -> Iterator[Play]:
    points = {game.home_team: 0, game.away_team: 0}
    for play in plays:
        yield play
        raise NotImplementedError


def _plays(game: Game, truth: Truth, rows: Ints, receivers: Ints) -> list[Play]:
    """Play the chosen plays out with the ball thrown to the given receivers (0-4)."""
    scripts, state = truth.scripts.take(rows), truth.before.state.take(rows)
    after = flight.play_out(scripts, state, receivers)
    return []
