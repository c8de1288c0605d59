"""What is measured of one pass, real or simulated, in the same way from what the tags report."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter

from ghostback.play import Play
from ghostback.tracks import Tracks, resample
from simulator.values import Floats

STEPS = 10
"""Steps of 0.1 s after the throw over which constant velocity is judged."""
_RATE = 10.0
_BEFORE, _AFTER = 1.0, 0.5  # seconds kept around the flight, so that smoothing looks both ways
_WINDOW, _ORDER = 7, 2  # of the smoothing polynomial
_TURNS_ABOVE = 2.0  # yards per second below which a heading means little
_HELD = 1.5  # yards from the thrower within which the ball is in his hand
_NEAR = 1.0  # yards more than the least from the target at which the ball has arrived
_LEAST_FLIGHT = 3  # steps
_SLACK = 3  # steps by which the event of the arrival may come early

QUANTITIES = {
    "air time": "s",
    "throw distance": "yd",
    "mean speed of the ball": "yd/s",
    "depth of target": "yd",
    "time to throw": "s",
    "separation at throw": "yd",
    "separation at arrival": "yd",
    "distance to target at throw, backs": "yd",
    "speed at throw, backs": "yd/s",
    "speed, backs": "yd/s",
    "acceleration, backs": "yd/s²",
    "turning rate, backs": "°/s",
    "closing on the catch point, backs": "yd/s",
    "closing on the catch point, nearest back": "yd/s",
    "closing on the target, nearest defender": "yd/s",
    "break to the catch point, backs": "yd/s²",
    "speed, target": "yd/s",
    "acceleration, target": "yd/s²",
    "speed, linebackers": "yd/s",
    "closing on the catch point, linebackers": "yd/s",
} | {f"error of constant velocity, step {k}": "yd" for k in range(1, STEPS + 1)}
"""What is compared, and its unit."""

_LINEBACKERS = {"ILB", "OLB", "MLB", "LB"}


@dataclass(frozen=True, slots=True)
class Measured:
    """Movement of one pass.

    Attributes:
        play: it.
        samples: of each of `QUANTITIES`, one-dimensional; empty where the pass has none.
        toward: (n_backs, 16) yards per second toward the catch point from half a second before the throw
            to one after it; NaN from the arrival on.
    """

    play: Play
    samples: dict[str, Floats]
    toward: Floats


def measure_all(plays: Iterable[Play]) -> list[Measured]:
    """The passes among plays that can be measured."""
    return [measured for play in plays if (measured := measure(play))]


def measure(play: Play) -> Measured | None:
    """Movement from the throw to the arrival, None where there is no pass to somebody that can be followed.

    The throw is the last step at which the ball is in the thrower's hand, the arrival the first at
    which it is as near to the target as it comes, within a yard: events are off by some
    frames. Left out is a pass whose ball is not in flight between its events.
    """
    thrown = play.forward_pass
    if thrown is None or not thrown.target_id:
        return None
    event = round((thrown.arrived_frame - thrown.forward_frame) / play.sample_rate * _RATE)
    tracks = resample(play, -_BEFORE, max(event, STEPS) / _RATE + _AFTER, _RATE)
    needed = [play.ball.participant_id if play.ball else "", thrown.target_id, thrown.thrower_id]
    if any(name not in tracks for name in needed):
        return None
    ball, target, thrower = (tracks.position[tracks.row(name)] for name in needed)
    last = round(_BEFORE * _RATE) + event + _SLACK
    held = np.flatnonzero(np.linalg.norm(ball - thrower, axis=-1)[: last + 1] < _HELD)
    if not len(held) or held[-1] < STEPS // 2 or last - held[-1] < _LEAST_FLIGHT + _SLACK:
        return None
    throw = int(held[-1])
    misses = np.linalg.norm(ball - target, axis=-1)[throw : last + 1]
    arrival = (
        throw + _LEAST_FLIGHT + int(np.argmax(misses[_LEAST_FLIGHT:] <= np.nanmin(misses[_LEAST_FLIGHT:]) + _NEAR))
    )
    flight = arrival - throw

    defense = [p for p in play.participants if p.team_id not in ("", play.offense_team)]
    backs = _motion(tracks, throw, [p.participant_id for p in play.defensive_backs()])
    linebackers = _motion(tracks, throw, [p.participant_id for p in defense if p.position in _LINEBACKERS])
    everyone = _motion(tracks, throw, [p.participant_id for p in defense])
    receiver = _motion(tracks, throw, [thrown.target_id])
    in_air = slice(throw, arrival + 1)
    catch_point = target[arrival]
    gaps = np.linalg.norm(everyone.position - target, axis=-1)
    if np.isnan(gaps[:, [throw, arrival]]).all(axis=0).any():
        return None
    nearest = int(np.nanargmin(gaps[:, throw]))
    closing = _closing(backs.position, catch_point, throw, flight)
    first = np.argsort(np.linalg.norm(backs.position[:, throw] - target[throw], axis=-1))[:1]
    snap = next((e.frame for e in play.events if e.name in ("ball_snap", "snap_direct")), None)
    hold = np.nan if snap is None else (thrown.forward_frame - snap) / play.sample_rate + throw / _RATE - _BEFORE
    line = play.situation.line_of_scrimmage
    samples = {
        "air time": flight / _RATE,
        "throw distance": np.linalg.norm(ball[arrival] - ball[throw]),
        "mean speed of the ball": np.linalg.norm(ball[arrival] - ball[throw]) / flight * _RATE,
        "depth of target": play.offense_direction * (ball[arrival, 0] - line),
        "time to throw": hold,
        "separation at throw": np.nanmin(gaps[:, throw]),
        "separation at arrival": np.nanmin(gaps[:, arrival]),
        "distance to target at throw, backs": np.linalg.norm(backs.position[:, throw] - target[throw], axis=-1),
        "speed at throw, backs": backs.speed[:, throw],
        "speed, backs": backs.speed[:, in_air],
        "acceleration, backs": backs.acceleration[:, in_air],
        "turning rate, backs": backs.turning[:, in_air],
        "closing on the catch point, backs": closing,
        "closing on the catch point, nearest back": closing[first],
        "closing on the target, nearest defender": (gaps[nearest, throw] - gaps[nearest, arrival]) / flight * _RATE,
        "break to the catch point, backs": _breaking(backs, catch_point, throw, flight),
        "speed, target": receiver.speed[:, in_air],
        "acceleration, target": receiver.acceleration[:, in_air],
        "speed, linebackers": linebackers.speed[:, in_air],
        "closing on the catch point, linebackers": _closing(linebackers.position, catch_point, throw, flight),
    }
    for k in range(1, STEPS + 1):
        ahead = backs.position[:, throw] + backs.velocity_before * k / _RATE
        there = backs.position[:, throw + k] if k <= flight else ahead[:0]
        samples[f"error of constant velocity, step {k}"] = np.linalg.norm(there - ahead[: len(there)], axis=-1)
    steps = np.arange(throw - STEPS // 2, throw + STEPS + 1)
    around = np.minimum(steps, arrival)
    toward = (backs.velocity[:, around] * _unit(catch_point - backs.position[:, around])).sum(-1)
    toward[:, steps > arrival] = np.nan
    flat = {name: np.ravel(values).astype(np.float64) for name, values in samples.items()}
    return Measured(play, {name: values[np.isfinite(values)] for name, values in flat.items()}, toward)


@dataclass(frozen=True, slots=True)
class _Motion:
    """Smoothed motion of n players.

    Attributes:
        position: (n, n_steps, 2) yards, as reported.
        velocity: (n, n_steps, 2) yards per second.
        speed: (n, n_steps) yards per second.
        acceleration: (n, n_steps) yards per second squared, magnitude.
        turning: (n, n_steps) degrees per second, magnitude; NaN for who is slow.
        velocity_before: (n, 2) yards per second at the throw, from the positions up to it.
    """

    position: Floats
    velocity: Floats
    speed: Floats
    acceleration: Floats
    turning: Floats
    velocity_before: Floats


def _motion(tracks: Tracks, throw: int, names: list[str]) -> _Motion:
    position = np.array([tracks.position[tracks.row(name)] for name in names if name in tracks])
    position = position.reshape(-1, len(tracks.times), 2)
    velocity = savgol_filter(position, _WINDOW, _ORDER, deriv=1, delta=1 / _RATE, axis=1)
    acceleration = savgol_filter(position, _WINDOW, _ORDER, deriv=2, delta=1 / _RATE, axis=1)
    speed = np.linalg.norm(velocity, axis=-1)
    across = velocity[..., 0] * acceleration[..., 1] - velocity[..., 1] * acceleration[..., 0]
    turning = np.where(speed > _TURNS_ABOVE, np.degrees(np.abs(across) / np.maximum(speed, _TURNS_ABOVE) ** 2), np.nan)
    before = (position[:, throw] - position[:, throw - 2]) / 2 * _RATE
    return _Motion(position, velocity, speed, np.linalg.norm(acceleration, axis=-1), turning, before)


def _closing(position: Floats, place: Floats, throw: int, flight: int) -> Floats:
    """Yards a second (n,) by which players came nearer to a place while the ball was in the air."""
    gaps = np.linalg.norm(position - place, axis=-1)
    return np.asarray((gaps[:, throw] - gaps[:, throw + flight]) / flight * _RATE)


def _breaking(backs: _Motion, place: Floats, throw: int, flight: int) -> Floats:
    """Constant acceleration (n,) toward the catch point that explains where players went beyond constant velocity."""
    start, seconds = backs.position[:, throw], flight / _RATE
    beyond = backs.position[:, throw + flight] - start - backs.velocity_before * seconds
    return np.asarray((beyond * _unit(place - start)).sum(-1) * 2 / seconds**2)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))
