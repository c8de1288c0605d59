"""The tensors of `ghosting-scene`: a row for each target, with every player of the play in a slot."""

from collections.abc import Sequence

import numpy as np

from ghostback.play import DEFENSIVE_BACK_POSITIONS, Participant, ParticipantKind
from services.features.feature_sets import SLOTS
from services.features.moment import Moment, Points

SIDE = SLOTS // 2
_FRONT_POSITIONS = frozenset({"DE", "DT", "NT", "DL"})
_THROWER, _LINE, _ELIGIBLE, _TARGET, _FRONT, _LINEBACKER, _DEFENSIVE_BACK, _PRESENT = range(8)


def slots(moment: Moment) -> list[Participant | None]:
    """Who is in each of the 22 slots, None in empty ones: players tracked up to the release, those asked for first."""
    tracks, observed = moment.tracks, moment.feature_set.observed
    asked = {*moment.defender_ids, *(target.participant_id for target in moment.targets)}
    tracked = [
        p
        for p in moment.play.participants
        if p.kind is ParticipantKind.PLAYER
        and p.participant_id in tracks
        and np.isfinite(tracks.position[tracks.row(p.participant_id), :observed]).all()
    ]
    tracked.sort(key=lambda p: p.participant_id not in asked)
    filled: list[Participant | None] = []
    for is_offense in (False, True):
        side = [p for p in tracked if (p.team_id == moment.play.offense_team) == is_offense][:SIDE]
        filled += side + [None] * (SIDE - len(side))
    return filled


def tensors(moment: Moment, filled: Sequence[Participant | None]) -> dict[str, Points]:
    """Players (n_targets, 22, 5, 6), roles (n_targets, 22, 8), receiver (n_targets, 45, 4), ball (n_targets, 45, 3).

    Places are those of the field, turned so that the offense moves toward +x.

    Args:
        moment: the pass.
        filled: who is in each slot, as `slots` has it.
    """
    observed, direction = moment.feature_set.observed, moment.direction
    players = np.zeros((SLOTS, observed, 6))
    roles = np.zeros((SLOTS, 8))
    eligible = {p.participant_id for p in moment.play.eligible_receivers()}
    for slot, participant in enumerate(filled):
        if participant is not None:
            row = moment.tracks.row(participant.participant_id)
            players[slot, :, :2] = moment.turned(moment.tracks.position[row, :observed])
            players[slot, :, 2:4] = direction * moment.tracks.velocity[row, :observed]
            players[slot, :, 4:] = direction * moment.tracks.orientation[row, :observed]
            roles[slot, [_role(participant, moment, eligible), _PRESENT]] = 1.0
    n = len(moment.targets)
    all_roles = np.tile(roles, (n, 1, 1))
    receiver, ball = [], []
    names = [participant.participant_id if participant else "" for participant in filled]
    for i, target in enumerate(moment.targets):
        all_roles[i, names.index(target.participant_id), _TARGET] = 1.0
        receiver.append(np.hstack([moment.turned(target.receiver), direction * target.receiver_velocity]))
        ball.append(np.hstack([moment.turned(target.ball), moment.time_to_arrival(target)]))
    return {
        "players": np.tile(players, (n, 1, 1, 1)),
        "roles": all_roles,
        "receiver": np.array(receiver),
        "ball": np.array(ball),
    }


def _role(participant: Participant, moment: Moment, eligible: set[str]) -> int:
    if participant.team_id == moment.play.offense_team:
        if moment.play.forward_pass and participant.participant_id == moment.play.forward_pass.thrower_id:
            return _THROWER
        return _ELIGIBLE if participant.participant_id in eligible else _LINE
    if participant.position in DEFENSIVE_BACK_POSITIONS:
        return _DEFENSIVE_BACK
    return _FRONT if participant.position in _FRONT_POSITIONS else _LINEBACKER
