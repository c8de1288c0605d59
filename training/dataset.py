"""Rows to learn from: the tensors of simulated passes and where the defenders really went."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

import ghostback
import services.features
import simulator
from ghostback.play import Play
from ghostback.tracks import resample
from services.common.errors import DomainError
from services.features import feature_sets, tensors
from simulator.game import simulate_game

FEATURE_SET = "ghosting-kinematics@1"
PLAYS_A_GAME = 150

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """One row for each defender of each pass.

    Attributes:
        defender: (n_rows, 5, 8), as in the feature set.
        receiver: (n_rows, 45, 4), as in the feature set.
        ball: (n_rows, 45, 3), as in the feature set.
        displacement: (n_rows, 40, 2) yards from the anchor, offense toward +x; 0 after arrival.
        air_steps: (n_rows,) steps from pass forward to arrival.
        what_if: (n_rows,) whether the target is not the one the quarterback chose.
    """

    defender: Float
    receiver: Float
    ball: Float
    displacement: Float
    air_steps: NDArray[np.int64]
    what_if: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.air_steps)

    @property
    def in_air(self) -> NDArray[np.bool_]:
        """(n_rows, 40) which steps lie before or at arrival."""
        steps: NDArray[np.bool_] = np.arange(1, self.displacement.shape[1] + 1) <= self.air_steps[:, None]
        return steps

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The chosen rows."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def concatenate(cls, parts: "Sequence[Rows]") -> Self:
        """The rows of all parts."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


def of_play(play: Play, target_id: str = "", what_if: bool = False) -> Rows | None:
    """The rows of one pass, None when the play cannot be learnt from.

    Args:
        play: the play as it went.
        target_id: the receiver thrown to.
        what_if: whether that receiver is not the one the quarterback chose.
    """
    feature_set = feature_sets.get(FEATURE_SET)
    try:
        batch = tensors.compute(play, feature_set, [target_id] if target_id else [])
    except DomainError:
        return None
    tracks = resample(play, 0.0, feature_set.horizon / feature_set.rate, feature_set.rate)
    went = np.stack([tracks.position[tracks.row(name)] for name in batch.defender_ids])
    displacement = batch.direction * (went[:, 1:] - batch.anchor[:, None])
    in_air = np.arange(1, feature_set.horizon + 1) <= batch.air_steps[:, None]
    displacement = np.where(in_air[..., None], displacement, 0)
    complete = np.flatnonzero(np.isfinite(displacement).all(axis=(1, 2)))
    rows = Rows(
        **batch.tensors,
        displacement=displacement.astype(np.float32),
        air_steps=batch.air_steps,
        what_if=np.full(len(went), what_if),
    )
    return rows.take(complete)


def of_game(seed: int, what_ifs: bool) -> Rows:
    """The rows of one simulated game; of every what-if too when asked."""
    game = simulate_game(seed, PLAYS_A_GAME)
    parts = [of_play(play) for play in game.plays if play.forward_pass]
    if what_ifs:
        chosen = {play.play_id: play.forward_pass.target_id for play in game.plays if play.forward_pass}
        parts += [
            of_play(play, target, what_if=True)
            for (play_id, target), play in game.retarget_all().items()
            if chosen[play_id] != target
        ]
    return Rows.concatenate([part for part in parts if part is not None])


def of_games(seeds: Sequence[int], cache: Path, what_ifs: bool = False) -> Rows:
    """The rows of simulated games, made by all cores and kept in a cache folder.

    Args:
        seeds: one a game.
        cache: folder; rows that this very code made before are read from it.
        what_ifs: whether to add every what-if.
    """
    kind = "-what-ifs" if what_ifs else ""
    path = cache / f"{FEATURE_SET}-{_source_digest()}-{seeds[0]}-{seeds[-1]}-{len(seeds)}{kind}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor() as pool:
            made = pool.map(of_game, seeds, [what_ifs] * len(seeds))
            rows = Rows.concatenate(list(track(made, f"simulating {len(seeds)} games", total=len(seeds))))
        np.savez(path, **{f.name: getattr(rows, f.name) for f in fields(Rows)})
    with np.load(path) as stored:
        return Rows(**stored)


def _source_digest() -> str:
    """Digest of the code that decides what the rows are."""
    digest = hashlib.sha256()
    for package in (simulator, services.features, ghostback):
        for folder in package.__path__:
            for source in sorted(Path(folder).rglob("*.py")):
                digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
