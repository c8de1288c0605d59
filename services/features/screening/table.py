"""The rows that candidates are screened on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Play, PlayState
from ghostback.tracks import resample
from services.common.errors import DomainError
from services.features.screening.candidates import Candidate, Columns, values
from services.features.screening.causality import Evidence, nothing_shown, probe
from services.features.screening.throw import throws

STEPS = 10
"""Steps after the throw whose displacement is predicted, at 10 Hz."""
PROBED = 10
"""Of so many plays one is changed to see what candidates know."""


@dataclass(frozen=True, slots=True)
class Table:
    """One row for each defensive back of each pass that is in the air for ten steps or more.

    Attributes:
        values: (n_rows, n_candidates); NaN where a play does not tell.
        displacement: (n_rows, 2) yards in ten steps from the throw, offense toward +x.
        play: (n_rows,) names of plays.
        evidence: what changing some of the plays has shown of the candidates.
    """

    values: Columns
    displacement: NDArray[np.float64]
    play: NDArray[np.str_]
    evidence: Evidence

    def __len__(self) -> int:
        return len(self.play)

    @property
    def game(self) -> NDArray[np.str_]:
        """(n_rows,) names of games."""
        return np.array([name.partition("/plays/")[0] for name in self.play.tolist()], np.str_)

    @classmethod
    def concatenate(cls, parts: "Sequence[Table]", n_candidates: int) -> Self:
        """The rows of all parts."""
        evidence = nothing_shown(n_candidates)
        for part in parts:
            evidence |= part.evidence
        nothing = empty(n_candidates)
        rows = {
            f.name: np.concatenate([getattr(part, f.name) for part in (nothing, *parts)])
            for f in fields(cls)
            if f.name != "evidence"
        }
        return cls(**rows, evidence=evidence)


def empty(n_candidates: int) -> Table:
    """No rows."""
    return Table(
        np.empty((0, n_candidates), np.float32), np.empty((0, 2)), np.empty(0, np.str_), nothing_shown(n_candidates)
    )


def of_play(play: Play, setting: str, candidates: Sequence[Candidate], probed: bool) -> Table:
    """The rows of one play: none where it is no pass that counts or cannot be computed on.

    Args:
        play: the play, with samples.
        setting: `live` or `retrospective`.
        candidates: the columns.
        probed: whether to change it and see what the candidates know.
    """
    nothing = empty(len(candidates))
    if play.state is not PlayState.COMPLETE or play.forward_pass is None:
        return nothing
    try:
        batch, made = throws(play, setting)
    except DomainError:
        return nothing
    throw = next(made)
    if throw.target.air_steps < STEPS or not throw.defender_ids:
        return nothing
    tracks = resample(play, 0.0, STEPS * throw.step, 1.0 / throw.step)
    went = np.stack([tracks.position[tracks.row(name), -1] for name in throw.defender_ids])
    displacement = batch.direction * (went - batch.anchor)
    there = np.isfinite(displacement).all(axis=1)
    table = Table(
        values(throw, candidates)[there],
        displacement[there],
        np.full(there.sum(), play.name),
        nothing.evidence,
    )
    return replace(table, evidence=probe(play, setting, candidates, len(play.samples))) if probed else table
