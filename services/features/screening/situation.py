"""Candidates of the game's state, the line-ups, and the coverage shell."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ghostback.play import DEFENSIVE_BACK_POSITIONS, FIELD_LENGTH, FIELD_WIDTH, Play
from services.features.screening.candidates import Candidate, Known
from services.features.screening.throw import Throw

Points = NDArray[np.float64]

NOT_KNOWN = float("nan")
_DEEP_YARDS = 10.0
"""A defensive back who lines up at least so deep counts as a high safety."""
_BOX_YARDS = (8.0, 6.0)
"""Depth and half width of the box, from the line of scrimmage and the ball."""
_BACKS = frozenset({"RB", "FB", "HB"})
_PERSONNEL = {
    "receivers": frozenset({"WR"}),
    "tight_ends": frozenset({"TE"}),
    "backs": _BACKS,
    "defensive_backs": DEFENSIVE_BACK_POSITIONS,
    "linebackers": frozenset({"LB", "ILB", "MLB", "OLB"}),
    "linemen": frozenset({"DE", "DT", "NT", "DL"}),
}
_ROLES = {
    "is_cornerback": frozenset({"CB"}),
    "is_free_safety": frozenset({"FS"}),
    "is_strong_safety": frozenset({"SS"}),
}


def _told(value: float, known: object) -> float:
    return float(value) if known else NOT_KNOWN


def _to_end_zone(play: Play) -> float:
    line = play.situation.line_of_scrimmage
    return _told(FIELD_LENGTH - 10 - line if play.offense_direction > 0 else line - 10, line)


def _game(name: str, unit: str, description: str, compute: Callable[[Play], float]) -> Candidate:
    return Candidate(name, unit, description, "game", Known.BEFORE_SNAP, lambda throw: compute(throw.play))


def _not_carried(name: str, unit: str, description: str) -> Candidate:
    """What the published screening had and a play does not tell: reported as absent, never made up."""
    return _game(name, unit, description, lambda play: NOT_KNOWN)


def _on_field(positions: frozenset[str]) -> Callable[[Throw], float]:
    return lambda throw: float(sum(person.position in positions for person in throw.people))


def _plays_as(positions: frozenset[str]) -> Callable[[Throw], Points]:
    def tell(throw: Throw) -> Points:
        known = {p.participant_id: p.position for p in throw.play.participants}
        return np.array([float(known[name] in positions) for name in throw.defender_ids])

    return tell


def _depths(throw: Throw, positions: frozenset[str]) -> Points:
    """Depths at the snap of the defenders of some positions, the deepest first, yards."""
    rows = [i for i in throw.defense if throw.people[i].position in positions]
    depths = throw.at_snap[rows, 0] - throw.line_of_scrimmage
    return np.sort(depths[np.isfinite(depths)])[::-1]


def _lined_up(throw: Throw) -> Points:
    """(n_defenders, 2) yards, where the defenders were at the snap."""
    return throw.at_snap[throw.rows(throw.defender_ids)]


def _receivers_at_snap(throw: Throw) -> Points:
    """(n, 2) yards, where the eligible receivers were at the snap."""
    places = throw.at_snap[[*throw.other_receivers, *throw.rows([throw.target.participant_id])]]
    return places[np.isfinite(places[:, 0])]


def _nearest_at_snap(throw: Throw) -> Points:
    places = _receivers_at_snap(throw)
    if not len(places):
        return np.full(len(throw.defender_ids), NOT_KNOWN)
    nearest: Points = np.linalg.norm(_lined_up(throw)[:, None] - places, axis=-1).min(axis=-1)
    return nearest


def _nth_deepest(throw: Throw, n: int) -> float:
    depths = _depths(throw, DEFENSIVE_BACK_POSITIONS)
    return float(depths[n]) if len(depths) > n else NOT_KNOWN


def _high_safeties(throw: Throw) -> float:
    depths = _depths(throw, DEFENSIVE_BACK_POSITIONS)
    return _told(float((depths >= _DEEP_YARDS).sum()), len(depths))


def _in_box(throw: Throw) -> float:
    places = throw.at_snap[throw.defense]
    passer = throw.at_snap[throw.rows([throw.play.forward_pass.thrower_id])] if throw.play.forward_pass else places[:0]
    if not len(places) or not np.isfinite(passer).all() or np.isnan(throw.line_of_scrimmage):
        return NOT_KNOWN
    deep, wide = _BOX_YARDS
    inside = (places[:, 0] - throw.line_of_scrimmage <= deep) & (np.abs(places[:, 1] - passer[0, 1]) <= wide)
    return float(inside.sum())


def _shell(name: str, unit: str, description: str, compute: Callable[[Throw], Points | float]) -> Candidate:
    return Candidate(name, unit, description, "shell", Known.SNAP, compute)


CANDIDATES: tuple[Candidate, ...] = (
    _game("down", "1", "down", lambda p: _told(p.situation.down, p.situation.down)),
    _game("yards_to_go", "yd", "yards to a first down", lambda p: _told(p.situation.yards_to_go, p.situation.down)),
    _game("yards_to_end_zone", "yd", "from the line of scrimmage to the end zone", _to_end_zone),
    _game("quarter", "1", "quarter", lambda p: _told(p.situation.quarter, p.situation.quarter)),
    _game("game_clock", "s", "left in the quarter", lambda p: _told(p.situation.game_clock, p.situation.quarter)),
    _game(
        "half_clock",
        "s",
        "left in the half",
        lambda p: _told(p.situation.game_clock + 900 * (p.situation.quarter in (1, 3)), p.situation.quarter),
    ),
    _game(
        "score_difference",
        "1",
        "points of the offense less those of the defense",
        lambda p: _told(p.situation.offense_score - p.situation.defense_score, p.situation.quarter),
    ),
    _not_carried("drive_length", "1", "plays of the drive so far"),
    _not_carried("temperature", "degF", "of the air"),
    *(
        Candidate(
            f"n_{name}",
            "1",
            f"{name.replace('_', ' ')} on the field",
            "personnel",
            Known.BEFORE_SNAP,
            _on_field(positions),
        )
        for name, positions in _PERSONNEL.items()
    ),
    *(
        Candidate(
            name,
            "1",
            f"whether the defender plays {' or '.join(positions)}",
            "role",
            Known.BEFORE_SNAP,
            _plays_as(positions),
        )
        for name, positions in _ROLES.items()
    ),
    _shell("high_safeties", "1", f"defensive backs at least {_DEEP_YARDS:g} yards deep at the snap", _high_safeties),
    _shell("deepest", "yd", "depth at the snap of the deepest defensive back", lambda t: _nth_deepest(t, 0)),
    _shell("second_deepest", "yd", "depth at the snap of the second deepest", lambda t: _nth_deepest(t, 1)),
    _shell("in_box", "1", "defenders in the box at the snap", _in_box),
    _shell("snap_depth", "yd", "defender's depth at the snap", lambda t: _lined_up(t)[:, 0] - t.line_of_scrimmage),
    _shell(
        "snap_lateral",
        "yd",
        "defender's place across the field at the snap",
        lambda t: _lined_up(t)[:, 1] - FIELD_WIDTH / 2,
    ),
    _shell("cushion", "yd", "from the defender to the nearest receiver at the snap", _nearest_at_snap),
    Candidate("since_snap", "s", "from snap to throw", "passer", Known.THROW, lambda throw: throw.snap_seconds),
)
"""Situation, personnel, roles and shell."""
