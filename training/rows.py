"""What is learnt from simulated games: arrays of as many rows each, made game by game and kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from distributed import as_completed
from numpy.typing import NDArray
from rich.progress import track

from training import cluster


@dataclass(frozen=True)
class Rows:
    """Arrays of n rows each; what they are say those who derive from it."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The chosen rows."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    @classmethod
    def of_seeds(cls, of_seed: Callable[[int], Self], seeds: Sequence[int], path: Path, scheduler: str = "") -> Self:
        """The rows of simulated games, made by a Dask cluster and kept in a file.

        Args:
            of_seed: makes the rows of the game of a seed.
            seeds: one a game.
            path: the file; rows that are there are read from it.
            scheduler: address of the cluster's scheduler; empty for the cores of this machine.

        Raises:
            OSError: nothing answers at the address.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            client = cluster.client(scheduler)
            made = client.map(of_seed, seeds)
            for _ in track(as_completed(made), f"simulating {len(seeds)} games", total=len(seeds)):
                pass
            rows = cls.concatenate(client.gather(made))
            np.savez(path, **{f.name: getattr(rows, f.name) for f in fields(cls)})
        with np.load(path) as stored:
            return cls(**stored)
