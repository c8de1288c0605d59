"""Scenes to learn from: the tensors of passes, and where the defenders really went."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ghostback
import services.features
import simulator
from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, Play
from ghostback.tracks import Tracks, resample
from services.common.errors import DomainError
from services.features import feature_sets, tensors
from services.features.scene import SIDE
from services.features.tensors import FeatureBatch
from simulator.game import SimulatedGame, simulate_game
from training.rows import Rows

PLAYS_A_GAME = 150

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Scenes(Rows):
    """One row for each pass and target.

    Attributes:
        players: (n, 22, 5, 6), as in the feature set.
        roles: (n, 22, 8), as in the feature set.
        receiver: (n, 45, 4), as in the feature set.
        ball: (n, 45, 3), as in the feature set.
        displacement: (n, 11, 40, 2) yards from where each defender was at the release, offense toward
            +x; 0 where it does not count.
        caught_by: (n, 41, 2) yards, where the receiver really was from the release on, on the turned field.
        counts: (n, 11, 40) which steps count: those of defensive backs until the ball arrived.
        air_steps: (n,) steps from the release to arrival.
        game: (n,) number of the game.
        what_if: (n,) whether the target is not the one the quarterback chose.
    """

    players: Float
    roles: Float
    receiver: Float
    ball: Float
    displacement: Float
    caught_by: Float
    counts: NDArray[np.bool_]
    air_steps: NDArray[np.int64]
    game: NDArray[np.int64]
    what_if: NDArray[np.bool_]

    @property
    def inputs(self) -> dict[str, Float]:
        """What a model is given, by name."""
        return {"players": self.players, "roles": self.roles, "receiver": self.receiver, "ball": self.ball}


def feature_set_of(setting: str) -> feature_sets.FeatureSet:
    """The scenes' feature set of a setting, `live` or `retrospective`."""
    return feature_sets.get("ghosting-scene-live@2" if setting == "live" else "ghosting-scene@2")


def of_play(play: Play, setting: str, game: int, target_id: str = "", went: Play | None = None) -> Scenes | None:
    """The scene of one pass, None when it cannot be learnt from.

    Args:
        play: the play that features are computed from.
        setting: `live` or `retrospective`.
        game: number of the game.
        target_id: the receiver taken as the target; empty for the one thrown to.
        went: the play as it went with that target, where that is another one: then the scene is a what-if,
            as it would be served, and only steps of both flights count.
    """
    feature_set = feature_set_of(setting)
    try:
        batch = tensors.compute(play, feature_set, [target_id] if target_id else [])
    except DomainError:
        return None
    truth = went or play
    tracks = resample(truth, 0.0, feature_set.horizon / feature_set.rate, feature_set.rate)
    if not batch.defender_ids or not all(name in tracks for name in batch.defender_ids):
        return None
    places = np.stack([tracks.position[tracks.row(name)] for name in batch.defender_ids])
    moved = batch.direction * (places[:, 1:] - batch.anchor[:, None])
    air_steps = int(batch.air_steps[0])
    flights = [air_steps]
    if went and went.forward_pass:
        seconds = (went.forward_pass.arrived_frame - went.forward_pass.forward_frame) / went.sample_rate
        flights.append(round(seconds * feature_set.rate))
    in_air = np.arange(1, feature_set.horizon + 1) <= min(flights)
    tracked = np.isfinite(np.where(in_air[:, None], moved, 0)).all(axis=(1, 2))
    displacement = np.zeros((1, SIDE, feature_set.horizon, 2), np.float32)
    counts = np.zeros((1, SIDE, feature_set.horizon), bool)
    counts[0, batch.slot[tracked]] = in_air
    displacement[0, batch.slot[tracked]] = np.where(in_air[:, None], moved[tracked], 0)
    return Scenes(
        **batch.tensors,
        displacement=displacement,
        caught_by=_receiver(tracks, batch)[None],
        counts=counts,
        air_steps=np.array([air_steps]),
        game=np.array([game]),
        what_if=np.array([went is not None]),
    )


def _receiver(tracks: Tracks, batch: FeatureBatch) -> Float:
    """Where the target really was (41, 2); where he is not tracked, where the features have him."""
    known = batch.tensors["receiver"][0, batch.observed - 1 :, :2]
    name = batch.target_ids[0]
    if name not in tracks:
        return known
    places = tracks.position[tracks.row(name)]
    turned = places if batch.direction > 0 else np.array([FIELD_LENGTH, FIELD_WIDTH]) - places
    return np.where(np.isfinite(turned), turned, known).astype(np.float32)


def of_plays(plays: Iterable[Play], setting: str, game: int) -> list[Scenes]:
    """The scenes of the passes among plays."""
    scenes = (of_play(play, setting, game) for play in plays if play.forward_pass)
    return [scene for scene in scenes if scene is not None]


def what_ifs(simulated: SimulatedGame, setting: str, game: int) -> list[Scenes]:
    """The scenes of every pass of a game with every receiver it was not thrown to."""
    plays = {play.play_id: play for play in simulated.plays if play.forward_pass}
    scenes = (
        of_play(plays[play_id], setting, game, target, went)
        for (play_id, target), went in simulated.retarget_all().items()
        if plays[play_id].forward_pass.target_id != target  # type: ignore[union-attr]
    )
    return [scene for scene in scenes if scene is not None]


def of_seed(seed: int, setting: str, with_what_ifs: bool) -> Scenes:
    """The scenes of one simulated game; of every what-if too when asked."""
    simulated = simulate_game(seed, PLAYS_A_GAME)
    scenes = of_plays(simulated.plays, setting, seed)
    return Scenes.concatenate(scenes + (what_ifs(simulated, setting, seed) if with_what_ifs else []))


def of_seeds(
    seeds: Sequence[int], setting: str, cache: Path, with_what_ifs: bool = False, scheduler: str = ""
) -> Scenes:
    """The scenes of simulated games, made by a Dask cluster and kept in a cache folder.

    Args:
        seeds: one a game.
        setting: `live` or `retrospective`.
        cache: folder; scenes that this very code made before are read from it.
        with_what_ifs: whether to add every what-if.
        scheduler: address of the cluster's scheduler; empty for the cores of this machine.

    Raises:
        OSError: nothing answers at the address.
    """
    kind = "what-ifs" if with_what_ifs else "actual"
    path = cache / f"{setting}-{kind}-{source_digest()}-{seeds[0]}-{seeds[-1]}-{len(seeds)}.npz"
    return Scenes.of_seeds(partial(of_seed, setting=setting, with_what_ifs=with_what_ifs), seeds, path, scheduler)


def source_digest() -> str:
    """Digest of the code that decides what the scenes are, 12 hexadecimal digits."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for package in (simulator, services.features, ghostback):
        for folder in package.__path__:
            for source in sorted(Path(folder).glob("*.py")):
                digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
