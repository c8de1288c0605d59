"""The made-up league: teams, their rosters and what each player can do.

The league is the same for every seed, so a player keeps his talents from game to game.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

LEAGUE = "SIM"
TEAMS = ("HAR", "MER", "COV", "DUN", "ELM", "FOX", "GAL", "IVY", "KES", "LUN", "NOR", "OAK", "PYR", "QUA", "RID", "SOL")

_ROSTER = {
    "QB": 2,
    "T": 4,
    "G": 4,
    "C": 2,
    "WR": 6,
    "TE": 4,
    "RB": 4,
    "FB": 1,
    "DE": 4,
    "DT": 3,
    "NT": 2,
    "ILB": 5,
    "OLB": 3,
    "CB": 6,
    "FS": 2,
    "SS": 2,
}
# Top speed, yards per second: mean and spread; fastest step ever allowed is 11.
_TOP_SPEED = {
    "QB": (8.0, 0.5),
    "T": (6.2, 0.3),
    "G": (6.1, 0.3),
    "C": (6.2, 0.3),
    "WR": (9.9, 0.45),
    "TE": (8.8, 0.4),
    "RB": (9.5, 0.4),
    "FB": (8.0, 0.3),
    "DE": (7.6, 0.4),
    "DT": (6.6, 0.3),
    "NT": (6.2, 0.3),
    "ILB": (7.9, 0.4),
    "OLB": (8.1, 0.4),
    "CB": (9.8, 0.4),
    "FS": (9.6, 0.4),
    "SS": (9.4, 0.4),
}
TOP_SPEED = 11.0
"""No player is faster, yards per second."""
# fmt: off
_FIRST = (
    "Abe", "Bo", "Cal", "Dex", "Eli", "Fin", "Gus", "Hal", "Ike", "Jed", "Kai", "Lev", "Max", "Ned", "Oz", "Pax",
    "Quin", "Ray", "Sol", "Ty", "Uri", "Van", "Wes", "Xan", "Yul", "Zed",
)
_LAST_HEAD = (
    "Ash", "Brook", "Cald", "Dray", "Esk", "Farr", "Gren", "Holl", "Ing", "Jar", "Kell", "Lang", "Marl", "Nor",
    "Ost", "Pell", "Roth", "Stan", "Thorn", "Wex",
)
_LAST_TAIL = (
    "bury", "croft", "den", "ers", "field", "gate", "ham", "ley", "more", "nor", "ridge", "son", "ton", "wick",
    "worth",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Person:
    """A player of the league.

    Attributes:
        person_id: digits, unique in the league.
        name: first and last name.
        team: abbreviation.
        position: as in the public data sets.
        jersey: number on the back, unique in the team.
        top_speed: yards per second.
        burst: acceleration from standing, yards per second squared.
    """

    person_id: str
    name: str
    team: str
    position: str
    jersey: int
    top_speed: float
    burst: float


@cache
def roster(team: str) -> dict[str, tuple[Person, ...]]:
    """The team's players by position, starters first.

    Raises:
        ValueError: no such team.
    """
    number = TEAMS.index(team)
    rng = np.random.default_rng([90, number])
    jerseys = rng.permutation(np.arange(1, 100))
    people: dict[str, tuple[Person, ...]] = {}
    count = 0
    for position, size in _ROSTER.items():
        mean, spread = _TOP_SPEED[position]
        group = []
        for _ in range(size):
            talent = float(np.clip(rng.normal(), -2, 2))
            group.append(
                Person(
                    person_id=str(90001 + 100 * number + count),
                    name=f"{rng.choice(_FIRST)} {rng.choice(_LAST_HEAD)}{rng.choice(_LAST_TAIL)}",
                    team=team,
                    position=position,
                    jersey=int(jerseys[count]),
                    top_speed=min(mean + spread * talent, TOP_SPEED),
                    burst=6.0 + 0.3 * talent + 0.35 * (mean - 8.0),
                )
            )
            count += 1
        people[position] = tuple(group)
    return people
