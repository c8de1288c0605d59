"""Public figures of NFL football, and the simulator's beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.signal import savgol_filter

from ghostback.play import DEFENSIVE_BACK_POSITIONS, ParticipantKind, PassOutcome, Play
from simulator.figures.passes import Measured
from simulator.game import SimulatedGame
from simulator.outcome import Catch
from simulator.playbook import COVERAGES, DEFENSE, Job, Kind
from simulator.values import RATE, Flags, Floats, Ints

_PFR = "Pro-Football-Reference, 2019-2023, as commonly reported"
_NGS = "Next Gen Stats, as commonly reported"
_PBP = "nflfastR play-by-play, as commonly reported"
_PFF = "PFF, 2024"
_FPD = "Fantasy Points Data, 2023"
_CHARTED = "charting services, as commonly reported"
_SHARES = {
    "cover 0": ("0.05", _CHARTED),
    "cover 1": ("0.19", _FPD),
    "cover 2": ("0.14", _CHARTED),
    "cover 3": ("0.36", _FPD),
    "cover 4": ("0.14", _FPD),
    "cover 6": ("0.09", _CHARTED),
}
_DEPTHS = {"behind the line": (-99, 0), "0 to 9 yd": (0, 10), "10 to 19 yd": (10, 20), "20 yd and more": (20, 99)}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: what it is.
        public: as published; empty where nothing is.
        source: of the published figure.
        band: (lowest, highest) that ours may be over a few games.
        ours: of the simulated games.
        half_game: of real passes at hand, NaN where it is not measured there.
    """

    name: str
    public: str
    source: str
    band: tuple[float, float]
    ours: float
    half_game: float = np.nan


def figures(
    games: Sequence[SimulatedGame],
    passes: Sequence[Measured],
    plays: Sequence[Play] = (),
    real: Sequence[Measured] = (),
) -> list[Figure]:
    """The table.

    Args:
        games: simulated.
        passes: measured in them.
        plays: real ones, if any.
        real: passes measured in those.
    """

    def both(
        name: str, public: str, source: str, band: tuple[float, float], of: Callable[[Sequence[Measured]], float]
    ) -> Figure:
        return Figure(name, public, source, band, of(passes), of(real) if real else np.nan)

    made = [
        both("completion rate", "0.64-0.65", _PFR, (0.60, 0.69), lambda p: _ended(p, PassOutcome.COMPLETE)),
        both("intercepted, of passes", "0.023", _PFR, (0.010, 0.040), lambda p: _ended(p, PassOutcome.INTERCEPTED)),
    ]
    for depth, share, rate, band in zip(
        _DEPTHS, ("0.15", "0.50", "0.23", "0.12"), ("0.78", "0.70", "0.55", "0.39"), _DEPTH_BANDS, strict=True
    ):
        made += [
            both(f"passes {depth}, share", share, _PBP, band[0], partial(_share_at, depth)),
            both(f"passes {depth}, completed", rate, _PBP, band[1], partial(_completed_at, depth)),
        ]
    made += [
        both("depth of target, mean (yd)", "7.5-8.0", _NGS, (6.5, 9.5), _mean("depth of target")),
        both("air time, mean (s)", "", "", (0.8, 1.15), _mean("air time")),
        both("time to throw, mean (s)", "2.7-2.8", _NGS, (2.5, 2.95), _mean("time to throw")),
        both("separation at arrival, WR and TE (yd)", "2.9-3.0", _NGS, (2.6, 4.2), _separation),
        both("passes into tight windows (under 1 yd)", "0.15-0.17", _NGS, (0.07, 0.20), _tight),
        both("yards after catch, mean", "5.2", _PFR, (4.2, 7.5), _after_catch),
    ]
    speeds, accelerations = _extremes([play for game in games for play in game.plays])
    real_speeds, real_accelerations = _extremes(plays) if plays else (np.array([np.nan]), np.array([np.nan]))
    top = "Next Gen Stats, fastest ball carrier since 2016 (23.24 mph)"
    fast, quick = (speeds, real_speeds), (accelerations, real_accelerations)
    made += [
        Figure("speed, 99.9th percentile (yd/s)", "", "", (9.2, 10.4), *_quantiles(0.999, *fast)),
        Figure("speed, maximum (yd/s)", "11.36", top, (9.8, 11.4), *_quantiles(1.0, *fast)),
        Figure("acceleration, 99th percentile (yd/s²)", "", "", (5.0, 9.0), *_quantiles(0.99, *quick)),
        Figure("acceleration, maximum (yd/s²)", "", "", (7.0, 10.0), *_quantiles(1.0, *quick)),
    ]
    return made + _known_to_the_simulator(games)


_DEPTH_BANDS = (
    ((0.09, 0.20), (0.70, 0.90)),
    ((0.42, 0.60), (0.62, 0.76)),
    ((0.18, 0.32), (0.48, 0.66)),
    ((0.05, 0.15), (0.28, 0.54)),
)


def _known_to_the_simulator(games: Sequence[SimulatedGame]) -> list[Figure]:
    """Figures of what no tag reports."""

    def of(get: Callable[[SimulatedGame], Ints | Flags]) -> Ints:
        return np.concatenate([np.asarray(get(game), np.intp) for game in games])

    kind, coverage = of(lambda g: g.truth.scripts.kind), of(lambda g: g.truth.scripts.coverage)
    catch, blown = of(lambda g: g.truth.after.catch), of(lambda g: g.truth.scripts.blown)
    rushers = of(lambda g: (g.truth.scripts.job == Job.RUSH).sum(-1))
    late, slipped = of(lambda g: g.truth.scripts.late), of(lambda g: g.truth.scripts.slip < 90.0)
    hurried, action = of(lambda g: g.truth.scripts.hurried) > 0, of(lambda g: g.truth.scripts.action) / RATE
    dropback, passed = kind != Kind.RUN, kind == Kind.PASS
    man = np.array([c.man for c in COVERAGES])[coverage]
    gains = [
        game.truth.after.position[end, i, holder, 0] - game.truth.scripts.line[i]
        for game in games
        for i, (end, holder) in enumerate(zip(game.truth.after.end, game.truth.after.holder, strict=True))
        if game.truth.scripts.kind[i] == Kind.RUN
    ]
    apart = np.concatenate([_between_redraws(game) for game in games])
    complete, sacked = catch == Catch.COMPLETE, kind == Kind.SACK

    def rate(values: Floats | Ints | Flags) -> float:
        return float(values.mean())

    sacks = "Football Outsiders, Cooper, 2009-2011"
    charted = "PFF, Menon and Fortgang, 2019-2021"
    made = [
        Figure("sacks, of dropbacks", "0.065-0.07", _PFR, (0.035, 0.10), rate(sacked[dropback])),
        Figure("time of a sack, median (s)", "2.7-2.8", sacks, (2.3, 3.4), float(np.median(action[sacked]))),
        Figure("completion rate under pressure", "0.49", _PFF, (0.42, 0.62), rate(complete[passed & hurried])),
        Figure("completion rate from a clean pocket", "0.72", _PFF, (0.62, 0.76), rate(complete[passed & ~hurried])),
        Figure("dropped, of passes", "0.04", _PFR, (0.01, 0.06), rate((catch == Catch.DROPPED)[passed])),
        Figure("man coverage, of dropbacks", "0.34", charted, (0.23, 0.37), rate(man[dropback])),
        Figure("five rushers and more, of dropbacks", "0.25", _PFR, (0.15, 0.35), rate((rushers > 4)[dropback])),
        Figure("yards a run", "4.3", _PFR, (2.5, 6.2), rate(np.array(gains))),
        Figure("blown coverages, of plays", "", "", (0.02, 0.06), rate(blown >= 0)),
        Figure("defenders late to a pass", "", "", (0.06, 0.10), rate(late[passed])),
        Figure("players who slip, of a play's 22", "", "", (0.0, 0.003), rate(slipped)),
        Figure("backs, mean distance between two redraws (yd)", "", "", (0.15, 0.40), rate(apart)),
        Figure(
            "backs, least error of a prediction, RMS (yd)", "", "", (0.25, 0.65), float(np.sqrt(rate(apart**2) / 2))
        ),
    ]
    return made + [
        Figure(
            f"{c.name}, of dropbacks", *_SHARES[c.name], (0.6 * c.share, 1.5 * c.share), rate((coverage == i)[dropback])
        )
        for i, c in enumerate(COVERAGES)
    ]


def _between_redraws(game: SimulatedGame) -> Floats:
    """Yards between defensive backs and themselves with other reactions, at every step of every flight."""
    here, there = game.truth.after, game.redraw(1).truth.after
    apart = []
    for i, flight in enumerate(here.flight):
        backs = [
            11 + j for j, p in enumerate(game.truth.drawn[i].people[DEFENSE]) if p.position in DEFENSIVE_BACK_POSITIONS
        ]
        steps = slice(1, flight + 1)
        gaps = here.position[steps, i][:, backs] - there.position[steps, i][:, backs]
        apart.append(np.linalg.norm(gaps, axis=-1).ravel())
    return np.concatenate(apart)


def _quantiles(share: float, *samples: Floats) -> tuple[float, ...]:
    return tuple(float(np.quantile(values, share)) for values in samples)


def _mean(name: str) -> Callable[[Sequence[Measured]], float]:
    return lambda passes: float(np.mean(np.concatenate([m.samples[name] for m in passes])))


def _one(passes: Sequence[Measured], name: str) -> Floats:
    return np.array([m.samples[name][0] for m in passes])


def _at(passes: Sequence[Measured], depth: str) -> Flags:
    low, high = _DEPTHS[depth]
    depths = _one(passes, "depth of target")
    return np.asarray((depths >= low) & (depths < high))


def _share_at(depth: str, passes: Sequence[Measured]) -> float:
    return float(_at(passes, depth).mean())


def _completed_at(depth: str, passes: Sequence[Measured]) -> float:
    at = [m for m, there in zip(passes, _at(passes, depth), strict=True) if there]
    return _ended(at, PassOutcome.COMPLETE) if at else np.nan


def _ended(passes: Sequence[Measured], outcome: PassOutcome) -> float:
    return float(np.mean([m.play.forward_pass.outcome is outcome for m in passes if m.play.forward_pass]))


def _separation(passes: Sequence[Measured]) -> float:
    wide = []
    for m in passes:
        target = m.play.participant(m.play.forward_pass.target_id) if m.play.forward_pass else None
        if target and target.position in ("WR", "TE"):
            wide.append(m.samples["separation at arrival"][0])
    return float(np.mean(wide))


def _tight(passes: Sequence[Measured]) -> float:
    return float((_one(passes, "separation at arrival") < 1.0).mean())


def _after_catch(passes: Sequence[Measured]) -> float:
    """Yards downfield from the arrival to the end of completed passes."""
    gains = []
    for m in passes:
        thrown, ends = m.play.forward_pass, [e.frame for e in m.play.events if e.name in _ENDS]
        target = m.play.participant(thrown.target_id) if thrown else None
        if not thrown or not target or not ends or thrown.outcome is not PassOutcome.COMPLETE:
            continue
        own = m.play.samples.take(np.isin(m.play.samples.tag_id, target.tag_ids))
        at = [own.x[own.frame == frame] for frame in (thrown.arrived_frame, min(ends))]
        if all(len(x) for x in at):
            gains.append(float(at[1][0] - at[0][0]) * m.play.offense_direction)
    return float(np.mean(gains))


_ENDS = ("tackle", "out_of_bounds", "touchdown")


def _extremes(plays: Sequence[Play]) -> tuple[Floats, Floats]:
    """Speeds and accelerations of every player of passing plays at every frame, derived from smoothed positions."""
    speeds: list[Floats] = []
    accelerations: list[Floats] = []
    for play in plays:
        if not play.forward_pass:
            continue
        for participant in play.participants:
            own = play.samples.take(np.isin(play.samples.tag_id, participant.tag_ids)).sorted_by_frame()
            position = np.stack([own.x, own.y], axis=-1).astype(np.float64)
            position = position[np.isfinite(position).all(axis=-1)]
            if participant.kind is ParticipantKind.PLAYER and len(position) > 7:
                for order, into in ((1, speeds), (2, accelerations)):
                    change = savgol_filter(position, 7, 2, deriv=order, delta=1 / play.sample_rate, axis=0)
                    into.append(np.linalg.norm(change, axis=-1))
    return np.concatenate(speeds), np.concatenate(accelerations)
