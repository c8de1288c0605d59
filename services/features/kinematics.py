"""The tensors of `ghosting-kinematics`: a row for each pair of target and defender."""

import numpy as np

from services.features.moment import Moment, Points


def tensors(moment: Moment) -> dict[str, Points]:
    """Defender (n_rows, 5, 8), receiver (n_rows, 45, 4) and ball (n_rows, 45, 3), target by target.

    Places are relative to where the row's defender is at the release.
    """
    rows, observed, direction = moment.rows(moment.defender_ids), moment.feature_set.observed, moment.direction
    anchor = moment.anchor[:, None]
    velocity = moment.tracks.velocity[rows, :observed]
    motion = direction * np.concatenate(
        [
            moment.tracks.position[rows, :observed] - anchor,
            velocity,
            np.gradient(velocity, 1.0 / moment.feature_set.rate, axis=1),
            moment.tracks.orientation[rows, :observed],
        ],
        axis=-1,
    )
    receiver, ball = [], []
    for target in moment.targets:
        place = target.receiver[None] - anchor
        speed = np.broadcast_to(target.receiver_velocity, place.shape)
        receiver.append(direction * np.concatenate([place, speed], axis=-1))
        flight = direction * (target.ball[None] - anchor)
        remaining = np.broadcast_to(moment.time_to_arrival(target), (*flight.shape[:2], 1))
        ball.append(np.concatenate([flight, remaining], axis=-1))
    return {
        "defender": np.tile(motion, (len(moment.targets), 1, 1)),
        "receiver": np.concatenate(receiver),
        "ball": np.concatenate(ball),
    }
