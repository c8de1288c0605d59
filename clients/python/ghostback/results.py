"""What the client gives: plain data and NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services listen, `host:port`; empty for those that are not called."""

    ingest: str = ""
    features: str = ""
    predict: str = ""
    score: str = ""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What became of the samples of a game or a play.

    Attributes:
        accepted: samples stored as clean.
        duplicates: samples that were there already, dropped.
        quarantined: samples put into quarantine, by reason.
    """

    accepted: int
    duplicates: int
    quarantined: dict[str, int]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A batch that is on disk.

    Attributes:
        sequence: number of the batch within the stream, from 0.
        accepted: samples stored as clean.
        duplicates: samples that were there already.
        quarantined: samples put into quarantine, by reason.
        counted: whether the server told how many; not when the connection broke after the batch was on disk and
            before its acknowledgement was here.
    """

    sequence: int
    accepted: int
    duplicates: int
    quarantined: dict[str, int]
    counted: bool = True


@dataclass(frozen=True, slots=True)
class CompletedPlay:
    """A play that is over.

    Attributes:
        play: the play, without samples.
        revision: counts up when the play is corrected.
        resume_token: watch on after this play with it.
    """

    play: Play
    revision: int
    resume_token: str


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver the ball was thrown to, or could have been.

    Attributes:
        participant_id: the receiver.
        actual: whether the ball was in fact thrown to this receiver.
        receiver: (n_steps + 1, 2) yards, from pass forward to arrival, 0.1 s apart.
        ball: (n_steps + 1, 2) yards.
    """

    participant_id: str
    actual: bool
    receiver: Points
    ball: Points


@dataclass(frozen=True, slots=True)
class Ghost:
    """A predicted trajectory.

    Attributes:
        defender_id: the defender.
        target_id: the receiver targeted in this prediction.
        path: (n_steps + 1, 2) yards, from pass forward to arrival, 0.1 s apart.
        covariance: (n_steps + 1, 3) xx, xy and yy of each point, square yards; None where the model does not tell.
    """

    defender_id: str
    target_id: str
    path: Points
    covariance: Points | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The ghosts of one play.

    Attributes:
        model_version: which model version made them.
        targets: the targets asked for.
        ghosts: one for each defender and target.
        skipped: defenders left out, with the reason.
        message: the response as received, for passing on to `score`.
    """

    model_version: str
    targets: tuple[Target, ...]
    ghosts: tuple[Ghost, ...]
    skipped: dict[str, str]
    message: predict_service_pb2.PredictGhostsResponse


@dataclass(frozen=True, slots=True)
class Yards:
    """A distribution over whole yards.

    Attributes:
        first: the yards that the first probability is of.
        probabilities: (n,) of each number of yards; they sum to 1.
    """

    first: int
    probabilities: Points

    @property
    def mean(self) -> float:
        """Yards to expect."""
        return float(self.probabilities @ (self.first + np.arange(len(self.probabilities))))

    def quantile(self, share: float) -> int:
        """The fewest yards that are not exceeded with a probability of at least `share`, 0 to 1."""
        below = np.cumsum(self.probabilities)
        return self.first + int(np.searchsorted(below, share * below[-1]))


@dataclass(frozen=True, slots=True)
class YardsAfterCatch:
    """How far a receiver runs once he has caught a pass.

    Attributes:
        target_id: the receiver.
        air_yards: from the line of scrimmage to where the ball comes down, along the field, yards.
        yards: from there to the end of the play, along the field.
        drawn_yards: the same for each draw of the ghosts.
    """

    target_id: str
    air_yards: float
    yards: Yards
    drawn_yards: tuple[Yards, ...]


@dataclass(frozen=True, slots=True)
class YardsForecast:
    """How far receivers run.

    Attributes:
        model_version: which model version made it.
        ghost_model_version: which one drew the ghosts; empty at the catch.
        targets: one for each target.
        message: the response as received.
    """

    model_version: str
    ghost_model_version: str
    targets: tuple[YardsAfterCatch, ...]
    message: predict_service_pb2.PredictYardsAfterCatchResponse


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model version gave for the tensors of one play.

    Attributes:
        model_version: which model version gave it.
        arm: the arm of a rollout that answered; empty where the call named a version.
        rollout: the rollout that decided; empty where there is none.
        tensors: by name (n_rows, ...), rows as in the tensors given.
    """

    model_version: str
    arm: str
    rollout: str
    tensors: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is: passes scored, and passes to score."""

    done: int
    total: int


def counts(messages: Sequence[ingest_service_pb2.QuarantineCount]) -> dict[str, int]:
    """Samples by reason."""
    return {reason_name(message.reason): message.count for message in messages}


def reason_name(reason: ingest_service_pb2.QuarantineReason.ValueType) -> str:
    """Name of a reason, such as `SPEED`."""
    return ingest_service_pb2.QuarantineReason.Name(reason).removeprefix("QUARANTINE_REASON_")
