"""Trajectories of many passes side by side, and their scores."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.score.subjects import Subject
from ghostback import bigdatabowl
from ghostback.play import Play
from services.common.errors import FailedPrecondition, InvalidInput
from services.score import evaluation, metrics
from services.score import trajectories as of_play
from services.score.metrics import TrajectoryScores
from services.score.profiles import ScoreProfile
from simulator.game import simulate_game

Floats = NDArray[np.float64]
Names = NDArray[np.str_]

FEWEST_GAMES = 5
"""Games from which on games are resampled and held out; below, plays."""


class NothingToScoreError(Exception):
    """No pass can be scored."""


@dataclass(frozen=True)
class Trajectories:
    """A row for each defensive back of each pass; columns of steps end with the longest pass, NaN after arrival.

    Attributes:
        game: (n,) game id.
        play: (n,) resource name of the play.
        target: (n,) participant id of the receiver thrown to.
        defender: (n,) participant id.
        steps: (n,) steps in the air.
        receiver: (n, n_steps + 1, 2) yards.
        paths: (n, n_steps + 1, 2) yards, by subject.
        left_out: passes without a single row, for want of samples or of a target.
    """

    game: Names
    play: Names
    target: Names
    defender: Names
    steps: NDArray[np.int64]
    receiver: Floats
    paths: Mapping[str, Floats]
    left_out: int

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def passes(self) -> NDArray[np.intp]:
        """(n,) which pass each row is of, counted from 0."""
        names = np.char.add(np.char.add(self.play, " "), self.target)
        return np.unique(names, return_inverse=True)[1]

    @property
    def clusters(self) -> tuple[str, NDArray[np.intp]]:
        """What counts as independent, games or plays, and which of them each row is of: (n,)."""
        games, of_game = np.unique(self.game, return_inverse=True)
        if len(games) >= FEWEST_GAMES:
            return "games", of_game
        return "plays", np.unique(self.play, return_inverse=True)[1]

    def distance(self, subject: str, other: str) -> Floats:
        """Mean distance between two subjects while the ball is in the air, yards: (n,)."""
        apart = np.linalg.norm(self.paths[subject] - self.paths[other], axis=-1)[:, 1:]
        mean: Floats = np.nanmean(apart, axis=-1)
        return mean

    def score(self, subject: str, profile: ScoreProfile) -> TrajectoryScores:
        """Scores of a subject's paths under a profile, row for row."""
        together = [np.flatnonzero(self.steps == steps) for steps in np.unique(self.steps)]
        scores = [
            metrics.score_trajectories(self.paths[subject][rows, :length], self.receiver[rows, :length], profile)
            for rows in together
            for length in [self.steps[rows[0]] + 1]
        ]
        back = np.argsort(np.concatenate(together))
        return TrajectoryScores(
            *(np.concatenate([getattr(each, f.name) for each in scores])[back] for f in fields(TrajectoryScores))
        )


def gather(plays: Iterable[Play], subjects: Mapping[str, Subject]) -> Trajectories:
    """The trajectories of the defensive backs that all subjects have a path for.

    Raises:
        NothingToScoreError: there is not one.
    """
    rows: list[tuple[str, str, str, str, Floats, list[Floats]]] = []
    left_out = 0
    for play in plays:
        try:
            truth = of_play.actual(play)
            paths = [subject(play) for subject in subjects.values()]
        except (FailedPrecondition, InvalidInput):
            left_out += 1
            continue
        usable = [name for name in truth.paths if all(name in each and np.isfinite(each[name]).all() for each in paths)]
        left_out += not usable
        rows += [
            (play.game_id, play.name, truth.target_id, name, truth.receiver, [each[name] for each in paths])
            for name in usable
        ]
    if not rows:
        raise NothingToScoreError(
            f"of {left_out} passes none has a targeted receiver and a defensive back who are tracked throughout"
        )
    game, play_name, target, defender, receiver, by_subject = zip(*rows, strict=True)
    return Trajectories(
        game=np.array(game),
        play=np.array(play_name),
        target=np.array(target),
        defender=np.array(defender),
        steps=np.array([len(path) - 1 for path in receiver]),
        receiver=_padded(receiver),
        paths={name: _padded(each) for name, each in zip(subjects, zip(*by_subject, strict=True), strict=True)},
        left_out=left_out,
    )


def recorded(folder: Path) -> Iterator[Play]:
    """The passes in a folder of Big Data Bowl files."""
    for _, plays in bigdatabowl.read(folder):
        yield from evaluation.passes(plays)


def simulated(seeds: Iterable[int], n_plays: int, what_ifs: bool = False) -> Iterator[Play]:
    """The passes of simulated games; or, as what-ifs, each of them thrown to every other receiver."""
    for seed in seeds:
        game = simulate_game(seed, n_plays)
        passes = evaluation.passes(game.plays)
        if not what_ifs:
            yield from passes
            continue
        thrown_to = {(play.play_id, play.forward_pass.target_id) for play in passes if play.forward_pass}
        yield from (play for key, play in game.retarget_all().items() if key not in thrown_to)


def _padded(paths: Iterable[Floats]) -> Floats:
    """Paths of unequal length as one array (n, n_steps + 1, 2), NaN where they have ended."""
    paths = list(paths)
    padded = np.full((len(paths), max(map(len, paths)), 2), np.nan)
    for row, path in zip(padded, paths, strict=True):
        row[: len(path)] = path
    return padded
