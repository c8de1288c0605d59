"""Where receiver and ball go when a receiver is targeted, in fact or in a what-if."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Participant, Play
from ghostback.tracks import Tracks
from services.common.errors import FailedPrecondition, InvalidInput, Violation

Points = NDArray[np.float64]

RELEASE_SECONDS = 0.16
SECONDS_PER_YARD = 0.0435
"""Air time of a pass over d yards is about 0.16 s + 0.0435 s/yd x d, fitted to the 26 passes over 5 yards of the
first half of game 2017090700 that the NFL left public (median error 0.03 s)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver the ball was thrown to, or could have been.

    Attributes:
        participant_id: the receiver.
        actual: whether the ball was in fact thrown to this receiver.
        air_steps: steps from pass forward to arrival, 1 or more.
        receiver: (n_steps, 2) yards; at the place of arrival from arrival on.
        receiver_velocity: (n_steps, 2) yards per second; 0 from arrival on.
        ball: (n_steps, 2) yards; at the place of arrival from arrival on.
    """

    participant_id: str
    actual: bool
    air_steps: int
    receiver: Points
    receiver_velocity: Points
    ball: Points


def choose(play: Play, target_ids: Sequence[str]) -> list[str]:
    """The targets asked for, or the actual one.

    Raises:
        InvalidInput: a target is not an eligible receiver, or none was asked for and the play names none.
    """
    assert play.forward_pass is not None  # noqa: S101
    eligible = [p.participant_id for p in play.eligible_receivers()]
    wrong = [
        Violation(f"target_ids[{i}]", f"{name!r} is not an eligible receiver of the play: {', '.join(eligible)}")
        for i, name in enumerate(target_ids)
        if name not in eligible
    ]
    if wrong:
        raise InvalidInput("TARGET_NOT_ELIGIBLE", wrong)
    if target_ids:
        return list(dict.fromkeys(target_ids))
    if play.forward_pass.target_id not in eligible:
        raise InvalidInput(
            "TARGET_UNKNOWN", [Violation("target_ids", f"is empty, and {play.name} does not tell who was targeted")]
        )
    return [play.forward_pass.target_id]


def follow(play: Play, tracks: Tracks, target_id: str, observed: int, max_steps: int, live: bool = False) -> Target:
    """Receiver and ball over the steps of the tracks.

    The receiver runs as he did; where his samples end, on at his last velocity, within the field.
    The ball flies as it did to the actual target. To another, and to him while it is in the air, it flies straight
    from its release to where that receiver is when a ball thrown at the usual speed can be there.

    Live, the tracks end at the release but for the ball's, which flies straight to where it comes down.

    Args:
        play: the play.
        tracks: its tracks; step `observed - 1` is pass forward.
        target_id: the receiver.
        observed: steps up to and with pass forward.
        max_steps: longest flight that can be answered for.
        live: whether to use only what the moment of the pass tells.

    Raises:
        FailedPrecondition: receiver or ball are not tracked at pass forward, or the flight is too long.
    """
    pass_ = play.forward_pass
    assert pass_ is not None  # noqa: S101
    release = observed - 1
    receiver, velocity = _extrapolated(play, tracks, target_id, release)
    start = _ball_at_release(play, tracks, release)
    actual = target_id == pass_.target_id
    arrived = actual and pass_.arrived_frame > 0
    rate = 1.0 / (tracks.times[1] - tracks.times[0])
    if arrived:
        seconds = (pass_.arrived_frame - pass_.forward_frame) / play.sample_rate
        air_steps = max(1, round(seconds * rate))
    else:
        seconds_needed = RELEASE_SECONDS + SECONDS_PER_YARD * np.linalg.norm(receiver[observed:] - start, axis=-1)
        in_time = seconds_needed <= np.arange(1, len(receiver) - release) / rate
        air_steps = int(np.argmax(in_time)) + 1 if in_time.any() else max_steps + 1
    if air_steps > max_steps:
        raise FailedPrecondition(
            "PASS_TOO_LONG",
            f"a pass to {target_id} in {play.name} is in the air for more than {max_steps / rate:g} s",
            play.name,
        )
    arrival = release + air_steps
    flight = np.clip((np.arange(len(receiver)) - release) / air_steps, 0, 1)[:, None]
    tracked = np.full_like(receiver, np.nan)
    if play.ball and play.ball.participant_id in tracks:
        tracked = tracks.position[tracks.row(play.ball.participant_id)]
    seen = np.isfinite(tracked[:, 0])
    landing = tracked[arrival] if arrived and seen[arrival] else receiver[arrival]
    ball = start + flight * (landing - start)
    until = arrival if arrived and not live else release
    ball = np.where((seen & (np.arange(len(ball)) <= until))[:, None], tracked, ball)
    held = np.minimum(np.arange(len(receiver)), arrival)
    moving = np.arange(len(receiver)) < arrival
    return Target(target_id, actual, air_steps, receiver[held], velocity * moving[:, None], ball[held])


def _extrapolated(play: Play, tracks: Tracks, target_id: str, release: int) -> tuple[Points, Points]:
    if target_id not in tracks or not np.isfinite(tracks.position[tracks.row(target_id), : release + 1]).all():
        raise FailedPrecondition(
            "TRACKS_INCOMPLETE", f"{play.name} lacks samples of {target_id} at the pass", play.name
        )
    return run_on(tracks, tracks.row(target_id))


def run_on(tracks: Tracks, row: int) -> tuple[Points, Points]:
    """Places and velocities (n_steps, 2) of someone who, where his samples end, runs on within the field.

    Args:
        tracks: the tracks.
        row: of whom; he has samples at the first step.
    """
    position, velocity = tracks.position[row], tracks.velocity[row]
    lost = ~np.isfinite(position).all(axis=-1)
    if not lost.any():
        return position, velocity
    last = int(np.argmax(lost)) - 1
    steps = np.maximum(np.arange(len(position)) - last, 0)[:, None]
    seconds = steps * (tracks.times[1] - tracks.times[0])
    onward = np.clip(position[last] + velocity[last] * seconds, (0, 0), (FIELD_LENGTH, FIELD_WIDTH))
    return np.where(steps > 0, onward, position), np.where(steps > 0, velocity[last], velocity)


def _ball_at_release(play: Play, tracks: Tracks, release: int) -> Points:
    assert play.forward_pass is not None  # noqa: S101
    ball: Participant | None = play.ball
    for name in (ball.participant_id if ball else "", play.forward_pass.thrower_id):
        if name in tracks and np.isfinite(tracks.position[tracks.row(name), release]).all():
            place: Points = tracks.position[tracks.row(name), release]
            return place
    raise FailedPrecondition(
        "TRACKS_INCOMPLETE", f"{play.name} has samples neither of the ball nor of the thrower at the pass", play.name
    )
