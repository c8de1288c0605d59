"""What domain code raises when it cannot do what it was asked.

The errors say what is wrong in the reader's words and carry a reason from the contract's
`ErrorReason` (`protos/ghostback/tracking/v1/error_reason.proto`). They know no transport: the
chassis turns them into gRPC statuses (`services/common/status.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_VIOLATIONS = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong.

    Attributes:
        field: path of the field in the request, such as `samples.x[17]`.
        description: what is wrong and what would be right, with the offending value.
    """

    field: str
    description: str


class DomainError(Exception):
    """Base of all errors a caller is told about.

    Attributes:
        reason: name of an `ErrorReason` without its `ERROR_REASON_` prefix.
        message: one clear sentence.
        metadata: facts for programs, such as the name of what was missing.
        retry_seconds: when to try again; 0 where nothing is known of that.
    """

    def __init__(self, reason: str, message: str, *, retry_seconds: float = 0, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata
        self.retry_seconds = retry_seconds


def may_pass(error: DomainError) -> bool:
    """Whether what stood in the way may be gone soon, without anybody changing what was asked for.

    A model version is unusable until it is loaded again after a crash.
    """
    return isinstance(error, Unavailable | DeadlineExceeded | ResourceExhausted) or (
        error.reason == "MODEL_VERSION_UNUSABLE"
    )


class InvalidInput(DomainError):
    """The request itself is wrong, whatever the state of the system."""

    def __init__(self, reason: str, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations[:_MOST_VIOLATIONS])
        super().__init__(reason, "; ".join(f"{v.field}: {v.description}" for v in self.violations))


class NotFound(DomainError):
    """What the request names does not exist."""

    def __init__(self, reason: str, message: str, resource: str) -> None:
        super().__init__(reason, message, resource=resource)


class FailedPrecondition(DomainError):
    """The request is sound, but what it names cannot serve it as it is."""

    def __init__(self, reason: str, message: str, subject: str) -> None:
        super().__init__(reason, message, subject=subject)


class Aborted(DomainError):
    """Somebody else changed what the request is about since its caller read it."""


class Unauthenticated(DomainError):
    """The caller did not show who it is."""


class PermissionDenied(DomainError):
    """The caller may not do this."""


class ResourceExhausted(DomainError):
    """A limit or a full disk stands in the way."""


class Unavailable(DomainError):
    """Something this service needs does not answer now; trying again later may help."""


class DeadlineExceeded(DomainError):
    """The caller's deadline passed before the answer was ready."""
