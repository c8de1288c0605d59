"""Passes to learn from: what is measured of them, and how they ended."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from distributed import as_completed
from numpy.typing import NDArray
from rich.progress import track

import ghostback_models
from ghostback.play import PassOutcome, Play
from services.common.errors import DomainError
from services.features import feature_sets, tensors
from services.features.measurements import Ghosts
from services.features.tensors import FeatureBatch
from services.predict import ghosts
from services.predict.outcomes import Outcome
from simulator.game import SimulatedGame, simulate_game
from training import cluster, scenes

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


@dataclass(frozen=True)
class Passes:
    """One row for each pass and receiver it was thrown to or could have been.

    Attributes:
        measurements: (n, 10) live, (n, 12) retrospective, as in the feature set.
        outcome: (n,) `Outcome`.
        truth: (n, 3) what the simulator knows of the probability of each outcome, at the throw or at arrival; NaN
            where it was not asked.
        actual: (n,) whether the quarterback chose the receiver.
        game: (n,) number of the game.
    """

    measurements: Float
    outcome: NDArray[np.int64]
    truth: Floats
    actual: NDArray[np.bool_]
    game: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.outcome)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The chosen rows."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def concatenate(cls, parts: "Sequence[Passes]") -> Self:
        """The rows of all parts."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def feature_set_of(setting: str) -> feature_sets.FeatureSet:
    """The feature set of a setting, `live` or `retrospective`."""
    return feature_sets.get("pass-outcome-live@1" if setting == "live" else "pass-outcome@1")


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
    return Passes(
        np.array(list(measured.values()), np.float32),
        np.array([_outcome(replays[key]) for key in measured], np.int64),
        np.stack([caught, 1.0 - caught - intercepted, intercepted], axis=1),
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
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        client = cluster.client(scheduler)
        made = client.map(_of_seed, seeds, setting=setting, truth=truth)
        for _ in track(as_completed(made), f"simulating {len(seeds)} games", total=len(seeds)):
            pass
        passes = Passes.concatenate(client.gather(made))
        np.savez(path, **{f.name: getattr(passes, f.name) for f in fields(Passes)})
    with np.load(path) as stored:
        return Passes(**stored)


def _of_seed(seed: int, setting: str, truth: bool) -> Passes:
    return of_game(simulate_game(seed, scenes.PLAYS_A_GAME), setting, seed, truth)


def _at_arrival(replays: dict[tuple[str, str], Play]) -> dict[tuple[str, str], Float]:
    measured: dict[tuple[str, str], Float] = {}
    for key, play in replays.items():
        try:
            measured[key] = tensors.compute(play, feature_set_of("retrospective")).tensors["measurements"][0]
        except DomainError:
            continue
    return measured


def _at_the_throw(plays: dict[str, Play]) -> dict[tuple[str, str], Float]:
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
    measured: dict[tuple[str, str], Float] = {}
    for (play_id, scene_batch), going in zip(asked.items(), drawn, strict=True):
        names = [target.participant_id for target in scene_batch.targets]
        batch = tensors.compute(plays[play_id], feature_set_of("live"), names, ghosts=going, before_flight=True)
        measured |= {(play_id, name): row for name, row in zip(names, batch.tensors["measurements"], strict=True)}
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
