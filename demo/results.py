"""What a run of the demo found out: the figures behind the table, the report and report.json."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ghostback.client import Prediction
from ghostback.play import PassOutcome, Play
from ghostback.predict.v1 import predict_service_pb2
from ghostback.score.v1 import score_service_pb2 as pb
from ghostback.score.v1 import statistics_service_pb2

SUBJECTS = {
    "actual": (pb.SUBJECT_ACTUAL, "players", -0.1036),
    "model": (pb.SUBJECT_MODEL, "model", -0.0825),
    "spoiled25": (pb.SUBJECT_MODEL_SPOILED, "model, 25% spoiled", 0.0425),
}
"""Key, subject, title, and published mean trajectory score (Amazon Science article on Next Gen Stats)."""
PROFILES = ("catch-point@2", "receiver@1")
"""The default score profile first."""


@dataclass(frozen=True)
class Mean:
    """A mean and the number of values behind it; values of several games can be added up."""

    mean: float
    n: int

    @classmethod
    def of(cls, parts: "Iterable[Mean]") -> "Mean":
        """The mean of all values behind several means."""
        found = list(parts)
        n = sum(part.n for part in found)
        return cls(sum(part.mean * part.n for part in found) / n if n else float("nan"), n)


@dataclass
class Results:
    """Everything a run found.

    Attributes:
        source: where the plays came from, in plain words.
        plays: number of plays sent.
        accepted: samples stored as clean.
        duplicates: samples sent again, dropped.
        quarantined: samples put into quarantine, by reason.
        passes: the passes, with samples, and what was predicted for each.
        forecasts: how a pass to each eligible receiver ends, by play, as told at the throw.
        decision: a pass, and what one to each receiver was worth; of the pass whose passer had most to choose from.
        leaders: who leads, by title of the leaderboard.
        without_ghosts: passes that no ghosts could be drawn for, with the reason.
        without_forecasts: passes with ghosts whose end could not be forecast, with the reason.
        evaluations: one a game.
        seconds: wall time of each step.
    """

    source: str
    plays: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    passes: list[tuple[Play, Prediction]] = field(default_factory=list)
    forecasts: dict[str, predict_service_pb2.PredictPassOutcomesResponse] = field(default_factory=dict)
    without_ghosts: dict[str, str] = field(default_factory=dict)
    without_forecasts: dict[str, str] = field(default_factory=dict)
    decision: tuple[Play, statistics_service_pb2.RateDecisionResponse] | None = None
    leaders: dict[str, list[statistics_service_pb2.Leader]] = field(default_factory=dict)
    evaluations: list[pb.EvaluateModelResult] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def model_version(self) -> str:
        """The model version that was evaluated."""
        return self.evaluations[0].model_version if self.evaluations else ""

    @property
    def what_ifs(self) -> int:
        """Number of targets that were not the actual one."""
        return sum(not target.actual for _, prediction in self.passes for target in prediction.targets)

    @property
    def without_scores(self) -> dict[str, str]:
        """Passes that were not scored, with the reason."""
        return {skipped.play: skipped.description for each in self.evaluations for skipped in each.skipped}

    def completion(self) -> tuple[Mean, Mean]:
        """Completion probability of the passes thrown, and the share that was completed."""
        expected, completed = [], []
        for play, _ in self.passes:
            assert play.forward_pass is not None  # noqa: S101
            for forecast in self.forecasts[play.name].forecasts if play.name in self.forecasts else ():
                if forecast.target_id == play.forward_pass.target_id and play.forward_pass.outcome:
                    expected.append(Mean(forecast.completion_probability, 1))
                    completed.append(Mean(float(play.forward_pass.outcome is PassOutcome.COMPLETE), 1))
        return Mean.of(expected), Mean.of(completed)

    def samples(self) -> list[tuple[str, int]]:
        """What became of the samples: kind and number."""
        return [
            ("accepted", self.accepted),
            ("sent again, dropped", self.duplicates),
            *((f"quarantined: {r.lower().replace('_', ' ')}", n) for r, n in self.quarantined.most_common()),
        ]

    def trajectory_score(self, key: str, profile: str) -> Mean:
        """Mean trajectory score of a subject under a profile."""
        return Mean.of(Mean(s.mean_trajectory_score, s.trajectory_count) for s in self._scores(key, profile))

    def play_score(self, key: str, profile: str) -> Mean:
        """Mean play score of a subject under a profile."""
        return Mean.of(Mean(s.mean_play_score, s.play_count) for s in self._scores(key, profile))

    def rows(self) -> list[dict[str, Any]]:
        """The score table, a row a subject."""
        return [
            {
                "title": title,
                "published": published,
                "scores": [self.trajectory_score(key, profile) for profile in PROFILES],
                "play": self.play_score(key, PROFILES[0]),
            }
            for key, (_, title, published) in SUBJECTS.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """The figures for programs."""

        def mean(value: Mean) -> dict[str, Any]:
            return {"mean": value.mean, "n": value.n}

        return {
            "source": self.source,
            "model_version": self.model_version,
            "plays": self.plays,
            "passes": len(self.passes),
            "what_ifs": self.what_ifs,
            "passes_without_ghosts": self.without_ghosts,
            "passes_without_forecasts": self.without_forecasts,
            "passes_without_scores": self.without_scores,
            "samples": {
                "accepted": self.accepted,
                "duplicates": self.duplicates,
                "quarantined": self.quarantined.total(),
                "quarantined_by_reason": dict(self.quarantined.most_common()),
            },
            "ts": {key: mean(self.trajectory_score(key, PROFILES[0])) for key in SUBJECTS},
            "ts_by_profile": {
                profile: {key: mean(self.trajectory_score(key, profile)) for key in SUBJECTS} for profile in PROFILES
            },
            "play_score": {key: mean(self.play_score(key, PROFILES[0])) for key in SUBJECTS},
            "completion": dict(zip(("expected", "actual"), map(mean, self.completion()), strict=True)),
            "published_ts": {key: published for key, (_, _, published) in SUBJECTS.items()},
            "seconds": {step: round(seconds, 2) for step, seconds in self.seconds.items()},
        }

    def _scores(self, key: str, profile: str) -> Sequence[pb.ModelScore]:
        return [
            score
            for evaluation in self.evaluations
            for score in evaluation.scores
            if score.subject == SUBJECTS[key][0] and score.score_profile == f"scoreProfiles/{profile}"
        ]
