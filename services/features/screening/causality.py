"""Does a candidate know more than it says? Shown by changing what comes later and computing it again.

The future of a play is replaced: after the instant until which a candidate is known, everyone moves on
otherwise, the pass ends otherwise, and later events are gone. A candidate that keeps to its word has the very
same value; one that differs anywhere knows the future. This is exact: an honest candidate never fails, and a
dishonest one passes only where the new future happens to give the same number.

A candidate that stays the same even when every sample is changed is not made of the tracks at all. Then nothing
is shown, and it has to answer to statistics (`services.features.screening.leaks`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, PassOutcome, Play
from services.common.errors import DomainError
from services.features.screening.candidates import Candidate, Columns, Known, values
from services.features.screening.throw import SNAPS, throws

_OFF, _TURN = 0.5, 20.0
"""Yards and degrees, at most, by which changed samples differ."""
_HALF_STEP_SECONDS = 0.05
_LONGER_FRAMES = 3
"""By how much the pass is longer in the air in the other future."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What changing plays has shown of each candidate.

    Attributes:
        knows_future: (n_candidates,) whether it changed with what comes after its instant.
        of_tracks: (n_candidates,) whether it changed with the samples up to its instant.
    """

    knows_future: NDArray[np.bool_]
    of_tracks: NDArray[np.bool_]

    def __or__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.knows_future | other.knows_future, self.of_tracks | other.of_tracks)


def nothing_shown(n_candidates: int) -> Evidence:
    """No play was changed."""
    return Evidence(np.zeros(n_candidates, bool), np.zeros(n_candidates, bool))


def probe(play: Play, setting: str, candidates: Sequence[Candidate], seed: int) -> Evidence:
    """Change a play's future for each instant, then all of its samples, and see which candidates change.

    Args:
        play: a pass to a known target.
        setting: `live` or `retrospective`.
        candidates: whom to put to the test.
        seed: of the changes.
    """
    rng = np.random.default_rng(seed)
    known = np.array([candidate.known for candidate in candidates])
    now = _computed(play, setting, candidates)
    found = nothing_shown(len(candidates))
    for instant in Known:
        other = _computed(_changed_after(play, instant, setting, rng), setting, candidates)
        found.knows_future[:] |= (known == instant) & _differ(now, other)
    found.of_tracks[:] = _differ(
        now, _computed(_moved(play, np.full(len(play.samples), True), rng), setting, candidates)
    )
    return found


def _computed(play: Play, setting: str, candidates: Sequence[Candidate]) -> dict[str, Columns]:
    """The candidates of each defender; none where the play cannot be computed on."""
    try:
        _, made = throws(play, setting)
    except DomainError:
        return {}
    found: dict[str, Columns] = {}
    for throw in made:
        found |= zip(throw.defender_ids, values(throw, candidates), strict=True)
    return found


def _differ(first: dict[str, Columns], second: dict[str, Columns]) -> NDArray[np.bool_]:
    """(n_candidates,) whether the candidates differ for a defender who is in both."""
    common = sorted(first.keys() & second.keys())
    if not common:
        return np.zeros((), bool)
    a, b = (np.stack([each[name] for name in common]) for each in (first, second))
    differ: NDArray[np.bool_] = ((a != b) & ~(np.isnan(a) & np.isnan(b))).any(axis=0)
    return differ


def _changed_after(play: Play, instant: Known, setting: str, rng: np.random.Generator) -> Play:
    """The play as it is until an instant, and otherwise afterwards.

    The ball stays until the step nearest to arrival. In retrospect the target does too, for the ball comes down
    where he is if it has no tag.
    """
    thrown = play.forward_pass
    assert thrown is not None  # noqa: S101
    snap = next((event.frame for event in play.events if event.name in SNAPS), thrown.forward_frame)
    last = {Known.BEFORE_SNAP: -1, Known.SNAP: snap}.get(instant, thrown.forward_frame)
    later = play.samples.frame > last
    kept: set[str] = set()
    if instant >= Known.FLIGHT and play.ball:
        kept.add(play.ball.participant_id)
    if instant >= (Known.ARRIVAL if setting == "live" else Known.FLIGHT):
        kept.add(thrown.target_id)
    tags = [tag for p in play.participants if p.participant_id in kept for tag in p.tag_ids]
    arrived = thrown.arrived_frame + math.ceil(_HALF_STEP_SECONDS * play.sample_rate)
    in_flight = np.isin(play.samples.tag_id, np.array(tags, np.uint64)) & (play.samples.frame <= arrived)
    ended = thrown.arrived_frame + (0 if instant >= Known.FLIGHT else _LONGER_FRAMES)
    other = PassOutcome.INCOMPLETE if thrown.outcome is PassOutcome.COMPLETE else PassOutcome.COMPLETE
    return replace(
        _moved(play, later & ~in_flight, rng),
        forward_pass=replace(thrown, outcome=other, arrived_frame=ended),
        events=tuple(event for event in play.events if event.frame <= last or event.name in SNAPS),
        description="",
    )


def _moved(play: Play, which: NDArray[np.bool_], rng: np.random.Generator) -> Play:
    """The play with some of its samples elsewhere, each on its own."""
    samples, n = play.samples, len(play.samples)

    def changed(values: NDArray[np.float32], other: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.where(which, other, values).astype(np.float32)

    turn = rng.uniform(-_TURN, _TURN, n)
    return replace(
        play,
        samples=replace(
            samples,
            x=changed(samples.x, np.clip(samples.x + rng.uniform(-_OFF, _OFF, n), 0, FIELD_LENGTH)),
            y=changed(samples.y, np.clip(samples.y + rng.uniform(-_OFF, _OFF, n), 0, FIELD_WIDTH)),
            speed=changed(samples.speed, samples.speed * rng.uniform(0.8, 1.0, n)),
            direction=changed(samples.direction, (samples.direction + turn) % 360),
            orientation=changed(samples.orientation, (samples.orientation + turn) % 360),
        ),
    )
