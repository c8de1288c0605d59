"""Everything about a play that is left to chance, drawn before anyone moves.

A play's script comes from its own random generators, so it depends on the game's seed and the
play's number only. What follows from it (`dropback`, `flight`) is plain mechanics: throwing to
another receiver replays the same script, and drawing the reactions anew replays the same play with
other answers of the defense.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from simulator import assignments, league, offense
from simulator.playbook import (
    CARRIER,
    COVERAGES,
    DEFENSE,
    ELIGIBLE,
    FORMATIONS,
    LINE,
    LINEBACKERS,
    N_DEFENSE,
    N_ELIGIBLE,
    N_PLAYERS,
    Job,
    Kind,
    Spot,
    Tempo,
)
from simulator.values import MAX_FLIGHT, MAX_FRAMES, RATE, Flags, Floats, Ints

FALLS = 0.0012
"""Chance that a receiver or defender slips during a play."""
LATE = 0.08
"""Share of defenders who see a pass late."""
REACTIONS = ("late", "delay", "answer", "effort", "judgement")
"""Fields of `Scripts` that `Scripts.redrawn` draws anew."""
THROW = ("lob", "aim", "luck", "grip", "call")
"""Fields that it draws anew when the throw and its luck are to be others too."""
_RUN = 0.355  # share of plays
_TEMPO_SHARES = (0.44, 0.38, 0.18)
_HOLD = {Tempo.QUICK: (2.2, 0.4), Tempo.MEDIUM: (3.15, 0.5), Tempo.LONG: (4.2, 0.7)}  # seconds, mean and spread
_LOOKED_AT = {"WR": 1.7, "TE": 0.9, "RB": 1.0, "FB": 0.3}  # how often a position is the first read
_BOOTLEG = 0.08  # share of dropbacks that leave the pocket by design
_UNDER_PRESSURE = (0.23, 0.15)  # shares that end in a sack, that the quarterback escapes
_DOWN = 0.9  # seconds until someone who fell runs again


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts of n plays, stacked; yards, seconds unless said otherwise.

    Attributes:
        kind: (n,) `Kind`.
        coverage: (n,) index into `COVERAGES`.
        formation: (n,) index into `FORMATIONS`.
        line: (n,) x of the line of scrimmage.
        ball_y: (n,) y of the ball before the snap.
        start: (n, 22, 2) where everyone lines up.
        top_speed: (n, 22) yards per second.
        burst: (n, 22) acceleration from standing, yards per second squared.
        vigour: (n, 22) factor of it by how hard someone goes when nothing is urgent; above 1 is all out.
        corners: (n, 5, 4, 2) corners of each receiver's route.
        route_delay: (n, 5) seconds a receiver waits, blocking, before the route.
        jammed: (n, 5) seconds a receiver is held up by press coverage.
        route_pace: (n, 5) share of top speed a route is run at.
        action: (n,) frames from snap to release, hand-off or the pocket's collapse.
        hurried: (n,) whether a rusher forces the throw.
        pocket: (n, 2) where the quarterback sets up.
        job: (n, 11) `Job` of each defender.
        man: (n, 11) receiver (0-4) whom a man defender covers, or a zone defender may take over.
        match: (n, 11) `Match`, when a zone defender takes him over.
        blown: (n,) defender (0-10) who plays the wrong man or zone, -1 for nobody.
        landmark: (n, 11, 2) middle of a zone.
        block: (n, 5) defender (0-10) whom each lineman blocks.
        leverage: (n, 11) yards across the field a man defender stays off his man.
        cushion: (n, 11) yards deep a man defender starts off his man.
        lag: (n, 11) frames a defender sees late, 1 to 3.
        shed: (n, 11) seconds after the snap at which a rusher beats his block.
        slip: (n, 22) seconds after the snap at which someone falls, 99 for never.
        first_read: (n,) receiver (0-4) the quarterback looks at first.
        taste: (n, 5) what the quarterback's choice of target adds to how open a receiver is.
        lob: (n,) factor of the time the ball is in the air.
        aim: (n, 2) error of the throw, standard normal.
        luck: (n,) decides on the catch, uniform.
        late: (n, 11) whether a defender sees a pass late.
        delay: (n, 11) seconds from the release to a defender's reaction.
        answer: (n, 11) decides how a defender reacts, uniform.
        effort: (n, 11) how much of himself a defender gives, uniform.
        judgement: (n, 11, 2) error about where the ball comes down, standard normal.
        grip: (n, 105) decides whether contact brings the carrier down, uniform, by frame.
        call: (n,) frames from arrival to the outcome's event.
        gap: (n, 2) where a run is meant to cross the line.
    """

    kind: Ints
    coverage: Ints
    formation: Ints
    line: Floats
    ball_y: Floats
    start: Floats
    top_speed: Floats
    burst: Floats
    vigour: Floats
    corners: Floats
    route_delay: Floats
    jammed: Floats
    route_pace: Floats
    action: Ints
    hurried: Flags
    pocket: Floats
    job: Ints
    man: Ints
    match: Ints
    blown: Ints
    landmark: Floats
    block: Ints
    leverage: Floats
    cushion: Floats
    lag: Ints
    shed: Floats
    slip: Floats
    first_read: Ints
    taste: Floats
    lob: Floats
    aim: Floats
    luck: Floats
    late: Flags
    delay: Floats
    answer: Floats
    effort: Floats
    judgement: Floats
    grip: Floats
    call: Ints
    gap: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: Ints) -> Self:
        """The scripts of the chosen plays, repeated where asked."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def redrawn(self, generators: list[np.random.Generator], throw: bool = False) -> Self:
        """The same scripts but for how defenders react to a throw and, where asked, how it comes; a generator a play.

        The reactions drawn do not depend on whether the throw is drawn too.
        """
        drawn = [_reactions(rng) | (_throw(rng) if throw else {}) for rng in generators]
        return replace(self, **{name: np.array([d[name] for d in drawn]) for name in drawn[0]})

    def fallen(self, time: Floats) -> Flags:
        """Who lies on the ground (n, 22), seconds (n,) after the snap."""
        since = time[:, None] - self.slip
        return np.asarray((since >= 0.0) & (since < _DOWN))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What chance made of one play.

    Attributes:
        people: who fills the 22 slots.
        routes: names of what the receivers run.
        script: the fields of `Scripts` for this play.
        noise: (`MAX_FRAMES`, 23, 4) tag noise by frame, of the players and the ball, standard normal.
    """

    people: tuple[league.Person, ...]
    routes: tuple[str, ...]
    script: dict[str, object]
    noise: NDArray[np.float32]


def generator(seed: int, play: int, redraw: int = 0) -> np.random.Generator:
    """Where a play's reactions come from: those it has, or those of a later redraw counted from 1."""
    return np.random.default_rng(np.random.SeedSequence([seed, play, 1 + redraw]))


def draw(seed: int, play: int, attack: str, defend: str, line: float) -> Drawn:
    """Draw one play.

    Args:
        seed: of the game.
        play: its number in the game, from 0.
        attack: team with the ball.
        defend: the other team.
        line: x of the line of scrimmage, yards, with the offense moving toward +x.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, play]))
    kind = Kind.RUN if rng.random() < _RUN else Kind.PASS
    shares = np.array([f.share for f in FORMATIONS])
    if kind is Kind.RUN:
        shares *= np.array([f.receivers[-1][1] is Spot.BACK for f in FORMATIONS])
    formation_index = int(rng.choice(len(FORMATIONS), p=shares / shares.sum()))
    formation = FORMATIONS[formation_index]
    coverage_index = int(rng.choice(len(COVERAGES), p=[c.share for c in COVERAGES]))
    coverage = COVERAGES[coverage_index]
    ball_y = float(rng.uniform(23.6, 29.7))
    ball = np.array([line, ball_y])

    people = offense.lineup(rng, attack, defend, formation)
    own_start = offense.line_up(rng, formation, ball)
    receivers = own_start[ELIGIBLE]
    positions = [p.position for p in people[DEFENSE]]
    defense = assignments.assign(rng, coverage, formation, positions, receivers, ball)
    job = defense.job
    shed = np.where(job == Job.RUSH, rng.gamma(7.0, 0.64, N_DEFENSE), 99.0)
    hot = offense.hot_receiver(rng, formation, defense)
    tempo = Tempo.QUICK if hot >= 0 else Tempo(rng.choice(3, p=_TEMPO_SHARES))
    corners, wait, names = offense.routes(rng, formation, tempo, hot, coverage, defense, receivers, ball_y)
    hole = rng.choice([-6.5, -4.0, -1.5, 1.5, 4.0, 6.5])
    gap = ball + np.array([0.0, hole])
    hurried = False
    if kind is Kind.RUN:
        action = rng.normal(0.7, 0.1)
        pocket = ball - np.array([4.5, 0.0])
        beyond = gap + np.array([9.0, 0.0])
        corners[CARRIER] = (pocket + np.array([0.0, 0.8 * np.sign(hole)]), gap, beyond, beyond)
    else:
        bootleg = tempo is not Tempo.QUICK and rng.random() < _BOOTLEG
        across = rng.choice([-1.0, 1.0]) * rng.uniform(6.0, 10.0) if bootleg else rng.normal(0.0, 0.7)
        pocket = ball + np.array([-rng.uniform(6.0, 8.0), across])
        action, kind, hurried = _release(rng, rng.normal(*_HOLD[tempo]) + 0.5 * bootleg, float(shed.min()))
    vigour = _vigour(rng, kind, job)
    looks = np.array([_LOOKED_AT[p.position] for p in people[ELIGIBLE]])
    first_read = rng.choice(N_ELIGIBLE, p=looks / looks.sum())
    slips = rng.random(N_PLAYERS) < FALLS
    slips[:6] = False
    script: dict[str, object] = {
        "kind": kind,
        "coverage": coverage_index,
        "formation": formation_index,
        "line": line,
        "ball_y": ball_y,
        "start": np.concatenate([own_start, defense.place]),
        "top_speed": np.array([p.top_speed for p in people]) * rng.uniform(0.95, 1.0, N_PLAYERS),
        "burst": np.array([p.burst for p in people]),
        "vigour": vigour,
        "corners": corners,
        "route_delay": wait * (kind is not Kind.RUN),
        "jammed": defense.jam,
        "route_pace": rng.uniform(0.84, 1.02, N_ELIGIBLE),
        "action": round(float(np.clip(action, 0.5 if kind is Kind.RUN else 1.2, 6.0)) * RATE),
        "hurried": hurried,
        "pocket": pocket,
        "job": job,
        "man": defense.man,
        "match": defense.match,
        "blown": defense.blown,
        "landmark": defense.landmark,
        "block": _blocks(job, own_start[LINE], defense.place),
        "leverage": defense.leverage,
        "cushion": defense.cushion,
        "lag": rng.integers(1, 4, N_DEFENSE),
        "shed": shed,
        "slip": np.where(slips, rng.uniform(0.5, 4.0, N_PLAYERS), 99.0),
        "first_read": hot if hot >= 0 else first_read,
        "taste": rng.gumbel(0.0, 0.8, N_ELIGIBLE),
        "gap": gap,
    }
    script |= _throw(rng) | _reactions(generator(seed, play))
    return Drawn(people, names, script, rng.standard_normal((MAX_FRAMES, N_PLAYERS + 1, 4), dtype=np.float32))


def stack(scripts: list[dict[str, object]]) -> Scripts:
    """Many plays' scripts as one."""
    return Scripts(**{f.name: np.array([s[f.name] for s in scripts]) for f in fields(Scripts)})


def _release(rng: np.random.Generator, hold: float, shed: float) -> tuple[float, Kind, bool]:
    """Seconds to the release or the sack, what becomes of the dropback, and whether the throw is hurried.

    Args:
        rng: the play's generator.
        hold: seconds the quarterback means to hold the ball.
        shed: seconds at which the first rusher beats his block.
    """
    pressure = shed + rng.uniform(0.4, 0.9)
    if pressure > hold:
        return hold, Kind.PASS, False
    sacked, escapes = _UNDER_PRESSURE
    fate = rng.random()
    if fate < sacked:
        return max(pressure, 1.8), Kind.SACK, False
    if fate < sacked + escapes:
        return hold + rng.uniform(0.3, 1.8), Kind.PASS, True
    return max(pressure, 1.5), Kind.PASS, True


def _vigour(rng: np.random.Generator, kind: Kind, job: Ints) -> Floats:
    """How hard everybody (22,) goes: in the middle of a zone less, in man coverage and on runs more."""
    vigour = rng.uniform(0.25, 1.5, N_PLAYERS)
    vigour[ELIGIBLE] = rng.uniform(0.45, 0.9, N_ELIGIBLE)
    vigour[DEFENSE] = np.where(job == Job.MAN, rng.uniform(0.6, 1.4, N_DEFENSE), vigour[DEFENSE])
    vigour[LINEBACKERS] *= np.where(job[4:7] == Job.MAN, 0.85, 0.38)
    if kind is Kind.RUN:
        vigour = rng.uniform(0.8, 1.0, N_PLAYERS)
    vigour[LINE] = 1.2
    return vigour


def _reactions(rng: np.random.Generator) -> dict[str, Floats | Flags]:
    """How eleven defenders react to a throw: the fields of `REACTIONS`."""
    late = rng.random(N_DEFENSE) < LATE
    return {
        "late": late,
        "delay": np.clip(rng.gamma(2.0, 0.04, N_DEFENSE), 0.1, 0.7) + late * rng.uniform(0.3, 0.7, N_DEFENSE),
        "answer": rng.uniform(size=N_DEFENSE),
        "effort": rng.uniform(size=N_DEFENSE),
        "judgement": rng.normal(size=(N_DEFENSE, 2)),
    }


def _throw(rng: np.random.Generator) -> dict[str, object]:
    """How a throw comes and what luck it has: the fields of `THROW`."""
    return {
        "lob": 0.89 + rng.gamma(1.0, 0.1),
        "aim": rng.normal(size=2),
        "luck": rng.uniform(),
        "grip": rng.uniform(size=MAX_FLIGHT),
        "call": rng.integers(1, 4),
    }


def _blocks(job: Ints, linemen: Floats, defenders: Floats) -> Ints:
    """Whom each lineman (5,) blocks: rushers first, everybody someone else, nearest overall."""
    cost = np.abs(linemen[:, None, 1] - defenders[None, :, 1]) + 0.5 * (defenders[:, 0] - linemen[:, None, 0])
    blocked: Ints = linear_sum_assignment(cost + 20.0 * (job != Job.RUSH))[1]
    return blocked
