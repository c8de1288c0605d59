"""Who plays whom and when, and the drives of a game."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from ghostback.play import Game
from simulator import league

_GAMES_A_WEEK, _WEEKS, _SEASONS = 16, 18, 7000
_PLAYS_A_QUARTER = 38
_OWN = 1 << 31  # keeps these draws apart from those of the plays


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


def game_of(seed: int) -> Game:
    """The fixture of a seed; game ids are distinct for seeds below two million."""
    index = seed % _GAMES_A_WEEK
    week = seed // _GAMES_A_WEEK % _WEEKS
    season = 2024 + seed // (_GAMES_A_WEEK * _WEEKS) % _SEASONS
    home, away = np.random.default_rng([seed, _OWN]).permutation(league.TEAMS)[:2].tolist()
    september = datetime(season, 9, 1, 17, tzinfo=UTC)
    day = september + timedelta(days=6 - september.weekday(), weeks=week)
    return Game(f"{day:%Y%m%d}{index:02d}", league.LEAGUE, season, week + 1, home, away, day)


def drives(seed: int, game: Game) -> Iterator[Setting]:
    """Plays without end. A play's spot is drawn, not carried over from how the play before it went."""
    rng = np.random.default_rng([seed, _OWN + 1])
    home_has_ball, line, down, to_go, i = bool(rng.random() < 0.5), 35.0, 1, 10.0, 0
    while True:
        quarter = 1 + i // _PLAYS_A_QUARTER
        clock = float(round(900.0 * (1.0 - i % _PLAYS_A_QUARTER / _PLAYS_A_QUARTER)))
        offense, defense = (game.home_team, game.away_team) if home_has_ball else (game.away_team, game.home_team)
        direction = 1 if home_has_ball == (quarter % 2 == 1) else -1
        yield Setting(offense, defense, direction, line, quarter, clock, down, to_go)
        gain = float(np.round(np.clip(rng.gamma(1.1, 6.5) - 1.5, -6.0, 40.0)))
        line, to_go, down, i = max(line + gain, 12.0), to_go - gain, down + 1, i + 1
        if to_go <= 0.0:
            down, to_go = 1, min(10.0, 110.0 - line)
        if line >= 109.0 or down > 4:
            home_has_ball, line, down, to_go = not home_has_ball, float(rng.integers(25, 46)), 1, 10.0
