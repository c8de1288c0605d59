"""Scenes to train on, to choose by and to judge by: of simulated games, or of one's own."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from rich.progress import track

from ghostback import bigdatabowl, parquet
from ghostback.play import Game, Play
from training import scenes
from training.scenes import Scenes

PARTS = ("train", "validation", "test")
TRAIN_SEEDS = range(10_000, 10_120)
VALIDATION_SEEDS = range(20_000, 20_012)
TEST_SEEDS = range(30_000, 30_012)
SPLIT_SEED = 1
"""What recorded games are dealt to the parts by."""
_HELD_OUT = 10


@dataclass(frozen=True)
class Data:
    """Games in three parts, none in two of them.

    Attributes:
        name: tells it from other data in the names of runs.
        description: which games are in which part.
        part: the scenes of `train`, `validation` or `test`.
    """

    name: str
    description: str
    part: Callable[[str], Scenes]


def simulated(setting: str, cache: Path, games: int = len(TRAIN_SEEDS), scheduler: str = "") -> Data:
    """Simulated games, made when a part is first asked for; what-ifs are in the test part alone.

    Args:
        setting: `live` or `retrospective`.
        cache: folder that scenes are kept in.
        games: to train on.
        scheduler: address of a Dask scheduler; empty for the cores of this machine.
    """
    parts = dict(zip(PARTS, (TRAIN_SEEDS[:games], VALIDATION_SEEDS, TEST_SEEDS), strict=True))
    drawn = ", ".join(f"{name} {seeds[0]}-{seeds[-1]}" for name, seeds in parts.items())
    return Data(
        str(games),
        f"simulated games of {scenes.PLAYS_A_GAME} plays: {drawn}",
        lambda part: scenes.of_seeds(parts[part], setting, cache, part == "test", scheduler),
    )


def recorded(folder: Path, setting: str, cache: Path) -> Data:
    """One's own games: what `python -m ghostback.exporter` wrote, or a folder of Big Data Bowl files.

    A tenth of the games, at least one, is held out for validation, and as many for the test.

    Raises:
        OSError: the folder or a file of it cannot be read.
        BigDataBowlError: the files are no Big Data Bowl files.
        ValueError: fewer than three games have a pass to learn from.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    known = "".join(f"{path.relative_to(folder)} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for path in files)
    digest = hashlib.sha256(known.encode()).hexdigest()[:12]
    path = cache / f"{setting}-recorded-{scenes.source_digest()}-{digest}.npz"
    if not path.exists():
        _keep(path, parquet.read(folder) if (folder / "plays").is_dir() else bigdatabowl.read(folder), setting)
    with np.load(path) as stored:
        everything = Scenes(**{f.name: stored[f.name] for f in fields(Scenes)})
        names = stored["names"]
    games = np.unique(everything.game)
    if len(games) < len(PARTS):
        raise ValueError(f"{folder} has {len(games)} games with passes to learn from; {len(PARTS)} are needed")
    held_out = max(1, len(games) // _HELD_OUT)
    dealt = np.random.default_rng(SPLIT_SEED).permutation(games)
    validation, test, train = np.split(dealt, [held_out, 2 * held_out])
    parts = dict(zip(PARTS, (train, validation, test), strict=True))
    return Data(
        digest,
        f"{len(games)} games of {folder.name} ({digest}), dealt by seed {SPLIT_SEED}: {len(train)} to train, "
        f"validation {' '.join(sorted(names[validation]))}, test {' '.join(sorted(names[test]))}",
        lambda part: everything.take(np.isin(everything.game, parts[part])),
    )


def _keep(path: Path, games: Iterable[tuple[Game, list[Play]]], setting: str) -> None:
    """Write the scenes of all games, numbered as they come, and the games' names."""
    names: list[str] = []
    parts: list[Scenes] = []
    for game, plays in track(games, "reading games"):
        parts += scenes.of_plays(plays, setting, len(names))
        names.append(game.game_id)
    if not parts:
        raise ValueError("there is no pass with a target to learn from")
    together = Scenes.concatenate(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, names=np.array(names), **{f.name: getattr(together, f.name) for f in fields(Scenes)})
