"""Passes to learn from: what is measured of them, and how they ended."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import ghostback_models
from ghostback.play import FIELD_LENGTH, PassOutcome, Play
from services.common.errors import DomainError
from services.features import feature_sets, tensors
from services.features.measurements import Ghosts
from services.features.tensors import FeatureBatch
from services.predict import ghosts
from services.predict.outcomes import Outcome
from simulator.game import SimulatedGame, simulate_game
from training import scenes
from training.rows import Rows

GHOSTS = Path(next(iter(ghostback_models.__path__))) / "live" / "scene_transformer" / "model.onnx"
"""The model that says where defenders go while the ball is in the air."""
DRAWS = 16
"""How often a pass is played out for its truth at the throw."""
_OUTCOMES = {
    PassOutcome.COMPLETE: Outcome.COMPLETE,
    PassOutcome.INCOMPLETE: Outcome.INCOMPLETE,
    PassOutcome.INTERCEPTED: Outcome.INTERCEPTED,
}

Float = NDArray[np.float32]
Floats = NDArray[np.float64]
Measured = dict[tuple[str, str], tuple[Float, Float]]
"""By play and receiver, the measurements of both feature sets."""


@dataclass(frozen=True)
class Passes(Rows):
    """One row for each pass and receiver it was thrown to or could have been.

    Attributes:
        measurements: (n, 10) live, (n, 12) retrospective, as in the feature set of pass outcomes.
        catch: (n, 19), as in the feature set of yards after catch.
        outcome: (n,) `Outcome`.
        gain: (n,) yards from the line of scrimmage to where a run after the catch ended, at most to the end zone,
            which is a touchdown; NaN where the pass was not caught.
        truth: (n, 3) what the simulator knows of the probability of each outcome, at the throw or at arrival; NaN
            where it was not asked.
        gains: (n, `DRAWS`) what it knows of the gain of passes that were caught, at the throw or at arrival: one of
            each draw; NaN where it was not asked or the draw's pass was not caught.
        actual: (n,) whether the quarterback chose the receiver.
        game: (n,) number of the game.
    """

    measurements: Float
    catch: Float
    outcome: NDArray[np.int64]
    gain: Floats
    truth: Floats
    gains: Floats
    actual: NDArray[np.bool_]
    game: NDArray[np.int64]


def feature_set_of(setting: str, task: str = "pass-outcome") -> feature_sets.FeatureSet:
    """The feature set of a setting, `live` or `retrospective`, for a task, or for `yards-after-catch`."""
    return feature_sets.get(f"{task}-live@1" if setting == "live" else f"{task}@1")


def of_game(simulated: SimulatedGame, setting: str, number: int, truth: bool = False) -> Passes:
    """Every pass of a game to every eligible receiver, but those that cannot be measured.

    Args:
        simulated: the game.
        setting: `live` or `retrospective`.
        number: of the game.
        truth: whether to ask the simulator for its probabilities.
    """
    replays = simulated.retarget_all()
    plays = {play.play_id: play for play in simulated.plays if play.forward_pass}
    measured = _at_the_throw(plays) if setting == "live" else _at_arrival(replays)
    known: dict[tuple[str, str], tuple[float, float]] = {}
    if truth:
        known = simulated.at_throw(DRAWS) if setting == "live" else simulated.at_arrival()
    caught, intercepted = np.array([known.get(key, (np.nan, np.nan)) for key in measured]).T
    outcome = np.array([_outcome(replays[key]) for key in measured], np.int64)
    gains = np.full((len(measured), DRAWS), np.nan)
    if truth:
        complete = outcome == Outcome.COMPLETE
        attempts = [key for key, it_is in zip(measured, complete, strict=True) if it_is]
        gains[complete] = simulated.gains(attempts, DRAWS, from_arrival=setting == "retrospective")
    return Passes(
        np.array([each for each, _ in measured.values()], np.float32),
        np.array([each for _, each in measured.values()], np.float32),
        outcome,
        np.array([_gain(replays[key]) for key in measured]),
        np.stack([caught, 1.0 - caught - intercepted, intercepted], axis=1),
        gains,
        np.array([plays[play_id].forward_pass.target_id == target for play_id, target in measured]),  # type: ignore[union-attr]
        np.full(len(measured), number),
    )


def of_seeds(seeds: Sequence[int], setting: str, folder: Path, truth: bool = False, scheduler: str = "") -> Passes:
    """The passes of simulated games, made by a Dask cluster and kept in a folder.

    Args:
        seeds: one a game.
        setting: `live` or `retrospective`.
        folder: passes that this very code made before are read from it.
        truth: whether to ask the simulator for its probabilities.
        scheduler: address of the cluster's scheduler; empty for the cores of this machine.

    Raises:
        OSError: nothing answers at the address.
    """
    digest = hashlib.sha256(scenes.source_digest().encode())
    for source in (Path(__file__), Path(ghosts.__file__), GHOSTS):
        digest.update(source.read_bytes())
    kind = "truth" if truth else "outcomes"
    path = folder / f"{setting}-{kind}-{digest.hexdigest()[:12]}-{seeds[0]}-{seeds[-1]}-{len(seeds)}.npz"
    return Passes.of_seeds(partial(_of_seed, setting=setting, truth=truth), seeds, path, scheduler)


def _of_seed(seed: int, setting: str, truth: bool) -> Passes:
    return of_game(simulate_game(seed, scenes.PLAYS_A_GAME), setting, seed, truth)


def _measured(play: Play, setting: str, **options: Any) -> tuple[Float, Float]:
    """Both measurements, (n_targets, n) each, of a pass."""
    sets = (feature_set_of(setting, task) for task in ("pass-outcome", "yards-after-catch"))
    outcome, catch = (tensors.compute(play, each, **options).tensors["measurements"] for each in sets)
    return outcome, catch


def _at_arrival(replays: dict[tuple[str, str], Play]) -> Measured:
    measured: Measured = {}
    for key, play in replays.items():
        try:
            outcome, catch = _measured(play, "retrospective")
        except DomainError:
            continue
        measured[key] = outcome[0], catch[0]
    return measured


def _at_the_throw(plays: dict[str, Play]) -> Measured:
    """The measurements as they are served: all receivers of a play at once, with ghosts for each."""
    asked = {}
    for play_id, play in plays.items():
        receivers = [receiver.participant_id for receiver in play.eligible_receivers()]
        scene = feature_sets.get("ghosting-scene-live@2")
        try:
            asked[play_id] = tensors.compute(play, scene, receivers, before_flight=True)
        except DomainError:
            continue
    drawn = _ghosts(list(asked.values()))
    measured: Measured = {}
    for (play_id, scene_batch), going in zip(asked.items(), drawn, strict=True):
        names = [target.participant_id for target in scene_batch.targets]
        both = _measured(plays[play_id], "live", target_ids=names, ghosts=[going], before_flight=True)
        measured |= {(play_id, name): pair for name, pair in zip(names, zip(*both, strict=True), strict=True)}
    return measured


def _ghosts(batches: list[FeatureBatch]) -> list[Ghosts]:
    """Where the defensive backs of each batch go for each of its targets."""
    inputs = {name: np.concatenate([batch.tensors[name] for batch in batches]) for name in batches[0].tensors}
    displacement = _ghosting().run([ghosts.OUTPUT], inputs)[0]
    ends = np.cumsum([len(batch.targets) for batch in batches])
    return [
        dict(
            zip(
                zip(batch.target_ids, batch.defender_ids, strict=True),
                ghosts.paths(
                    ghosts.of_pairs(output, batch.tensor_row, batch.slot),
                    batch.anchor,
                    batch.direction,
                    batch.air_steps,
                ),
                strict=True,
            )
        )
        for batch, output in zip(batches, np.split(displacement, ends[:-1]), strict=True)
    ]


@cache
def _ghosting() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(GHOSTS), options, providers=["CPUExecutionProvider"])


def _outcome(play: Play) -> Outcome:
    assert play.forward_pass is not None  # noqa: S101
    assert play.forward_pass.outcome is not None  # noqa: S101
    return _OUTCOMES[play.forward_pass.outcome]


def _gain(play: Play) -> float:
    """Yards from the line of scrimmage to where the ball was at the last event, NaN of a pass that was not caught."""
    if _outcome(play) is not Outcome.COMPLETE:
        return float("nan")
    assert play.ball  # noqa: S101
    last, samples = play.events[-1], play.samples
    (there,) = samples.x[(samples.frame == last.frame) & np.isin(samples.tag_id, play.ball.tag_ids)]
    goal_line = FIELD_LENGTH - 10.0 if play.offense_direction > 0 else 10.0
    line = play.situation.line_of_scrimmage
    to_go, gained = (play.offense_direction * (x - line) for x in (goal_line, float(there)))
    return to_go if last.name == "touchdown" else min(gained, to_go)
