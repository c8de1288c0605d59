"""Computing a feature set: one implementation for serving and for training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, ParticipantKind, Play
from ghostback.tracks import Tracks, resample
from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.features import catches, kinematics, measurements, scene, targets
from services.features.feature_sets import FeatureSet
from services.features.moment import Moment

SIDELINE_TOLERANCE = 1.0
"""Yards beyond the field's edge at which a defender's trajectory counts as having left it."""

Tensor = NDArray[np.float32]
_NO_GHOSTS: Sequence[measurements.Ghosts] = ({},)


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """Tensors of a play for pairs of target and defender; of passes to targets, in their order, there are no pairs.

    Attributes:
        feature_set: id of the feature set.
        setting: `live` or `retrospective`.
        defender_ids: (n_pairs) the defender of each pair.
        target_ids: (n_pairs) the target of each pair.
        air_steps: (n_pairs,) steps from pass forward to arrival.
        tensor_row: (n_pairs,) the row of the tensors that stands for the pair.
        slot: (n_pairs,) the defender's slot in it; 0 where rows stand for single defenders.
        tensors: by name, (n_rows, ...); turned so that the offense moves toward +x.
        anchor: (n_pairs, 2) yards, where the defender was at pass forward, in the play's own coordinates.
        direction: +1 or -1; anchor + direction x displacement is a place in the play's own coordinates.
        targets: the targets.
        observed: steps up to and with pass forward, of the targets' paths too.
        skipped: defenders left out, with the reason.
    """

    feature_set: str
    setting: str
    defender_ids: tuple[str, ...]
    target_ids: tuple[str, ...]
    air_steps: NDArray[np.int64]
    tensor_row: NDArray[np.intp]
    slot: NDArray[np.intp]
    tensors: dict[str, Tensor]
    anchor: NDArray[np.float64]
    direction: int
    targets: tuple[targets.Target, ...]
    observed: int
    skipped: dict[str, str]


def compute(
    play: Play,
    feature_set: FeatureSet,
    target_ids: Sequence[str] = (),
    defender_ids: Sequence[str] = (),
    ghosts: Sequence[measurements.Ghosts] = _NO_GHOSTS,
    before_flight: bool = False,
) -> FeatureBatch:
    """The tensors of a feature set for some targets and defenders of a play.

    Args:
        play: the play, with samples.
        feature_set: the feature set.
        target_ids: participants to take as the target; empty means the actual one.
        defender_ids: defenders to compute for; empty means every defensive back, or every defender where rows stand
            for passes.
        ghosts: where defenders go, for feature sets whose rows stand for passes; rows are for each of these in turn.
        before_flight: whether every target is a what-if: nothing is taken from the flight of the ball, or from whom
            it flies to.

    Raises:
        InvalidInput: a target is not eligible, or a defender unknown.
        FailedPrecondition: the play has no pass, or lacks samples where they are needed; the ball is in the air, and
            the feature set retrospective.
    """
    if play.forward_pass is None:
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} has no forward pass", play.name)
    live = feature_set.setting == "live"
    if not (live or play.forward_pass.arrived_frame):
        told = f"the ball of {play.name} is still in the air, and {feature_set.id} needs to know how it went"
        raise FailedPrecondition("PLAY_WITHOUT_PASS", told, play.name)
    chosen = targets.choose(play, target_ids)
    asked = _defenders(play, defender_ids, every=feature_set.row == "pass")
    if before_flight:
        play = replace(play, forward_pass=replace(play.forward_pass, target_id=""))
    step, observed, horizon = 1.0 / feature_set.rate, feature_set.observed, feature_set.horizon
    tracks = resample(_at_the_pass(play) if live else play, (1 - observed) * step, horizon * step, feature_set.rate)
    followed = tuple(targets.follow(play, tracks, name, observed, horizon, live) for name in chosen)
    usable, skipped = _usable(tracks, asked, observed, step)
    if feature_set.row == "target":
        skipped |= dict.fromkeys(usable[scene.SIDE :], f"the feature set holds {scene.SIDE} defenders")
        usable = usable[: scene.SIDE]
    moment = Moment(play, tracks, feature_set, followed, tuple(usable))
    n = len(usable)
    if feature_set.row == "pass":
        n, tensor_row, slot = 0, np.empty(0, np.intp), np.empty(0, np.intp)
        measure = catches if feature_set.name.startswith("yards-after-catch") else measurements
        going = measure.going(moment)
        parts = [measure.tensors(moment, going, each) for each in ghosts]
        values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    elif feature_set.row == "target":
        filled = scene.slots(moment)
        names = [p.participant_id if p else "" for p in filled]
        tensor_row = np.repeat(np.arange(len(followed)), n)
        slot = np.tile(np.array([names.index(name) for name in usable], np.intp), len(followed))
        values = scene.tensors(moment, filled)
    else:
        tensor_row, slot = np.arange(n * len(followed)), np.zeros(n * len(followed), np.intp)
        values = kinematics.tensors(moment)
    return FeatureBatch(
        feature_set=feature_set.id,
        setting=feature_set.setting,
        defender_ids=moment.defender_ids[:n] * len(followed),
        target_ids=tuple(target.participant_id for target in followed for _ in range(n)),
        air_steps=np.repeat([target.air_steps for target in followed], n),
        tensor_row=tensor_row,
        slot=slot,
        tensors={name: value.astype(np.float32) for name, value in values.items()},
        anchor=np.tile(moment.anchor[:n], (len(followed), 1)),
        direction=moment.direction,
        targets=followed,
        observed=observed,
        skipped=skipped,
    )


def _at_the_pass(play: Play) -> Play:
    """The play with the samples that there are at the pass; and the ball's, whose flight tells where it comes down."""
    assert play.forward_pass is not None  # noqa: S101
    ball = np.array(play.ball.tag_ids if play.ball else (), np.uint64)
    known = (play.samples.frame <= play.forward_pass.forward_frame) | np.isin(play.samples.tag_id, ball)
    return replace(play, samples=play.samples.take(known))


def _defenders(play: Play, defender_ids: Sequence[str], every: bool) -> list[str]:
    defense = [
        p.participant_id
        for p in play.participants
        if p.kind is ParticipantKind.PLAYER and p.team_id != play.offense_team
    ]
    if not defender_ids:
        return defense if every else [p.participant_id for p in play.defensive_backs()]
    wrong = [
        Violation(f"defender_ids[{i}]", f"{name!r} is not a defender of the play")
        for i, name in enumerate(defender_ids)
        if name not in defense
    ]
    if wrong:
        raise InvalidInput("DEFENDER_UNKNOWN", wrong)
    return list(dict.fromkeys(defender_ids))


def _usable(tracks: Tracks, names: Sequence[str], observed: int, step: float) -> tuple[list[str], dict[str, str]]:
    """Defenders tracked on the field over the observed steps, and why the others are not usable."""
    usable, skipped = [], {}
    edge = np.array([FIELD_LENGTH, FIELD_WIDTH]) + SIDELINE_TOLERANCE
    for name in names:
        position = tracks.position[tracks.row(name), :observed] if name in tracks else np.full((observed, 2), np.nan)
        missing = int(np.isnan(position[:, 0]).sum())
        if missing:
            skipped[name] = f"no samples for {missing * step:.1f} of the {observed * step:.1f} s before the pass"
        elif (position < -SIDELINE_TOLERANCE).any() or (position > edge).any():
            skipped[name] = "left the field before the pass"
        else:
            usable.append(name)
    return usable, skipped
