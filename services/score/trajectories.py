"""The trajectories of a play that are scored: the players' own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Play
from ghostback.tracks import resample
from services.common.errors import FailedPrecondition, InvalidInput, Violation

STEP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Actual:
    """The trajectories of a play against the receiver who was targeted, from pass forward to pass arrived.

    Attributes:
        target_id: the receiver.
        receiver: (n_steps + 1, 2) yards.
        paths: (n_steps + 1, 2) yards, by defensive back.
        skipped: defensive backs left out, with the reason.
    """

    target_id: str
    receiver: NDArray[np.float64]
    paths: dict[str, NDArray[np.float64]]
    skipped: dict[str, str]


def actual(play: Play) -> Actual:
    """The trajectories of a play, at the steps of the score.

    Raises:
        FailedPrecondition: the play has no pass, its ball is in the air, or it lacks samples of the receiver.
        InvalidInput: the play does not tell who was targeted.
    """
    pass_ = play.forward_pass
    if pass_ is None:
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} has no forward pass", play.name)
    if not pass_.arrived_frame:
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"the ball of {play.name} is still in the air", play.name)
    if not pass_.target_id:
        raise InvalidInput("TARGET_UNKNOWN", [Violation("actual", f"{play.name} does not tell who was targeted")])
    seconds = (pass_.arrived_frame - pass_.forward_frame) / play.sample_rate
    tracks = resample(play, 0.0, max(1, round(seconds / STEP_SECONDS)) * STEP_SECONDS, 1 / STEP_SECONDS)
    paths = {
        name: tracks.position[i]
        for i, name in enumerate(tracks.participant_ids)
        if np.isfinite(tracks.position[i]).all()
    }
    if pass_.target_id not in paths:
        raise FailedPrecondition(
            "TRACKS_INCOMPLETE", f"{play.name} lacks samples of the receiver while the ball is in the air", play.name
        )
    defenders = [p.participant_id for p in play.defensive_backs()]
    skipped = {name: "lacks samples while the ball is in the air" for name in defenders if name not in paths}
    return Actual(
        pass_.target_id,
        paths[pass_.target_id],
        {name: paths[name] for name in defenders if name in paths},
        skipped,
    )
