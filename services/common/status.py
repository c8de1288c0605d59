"""Domain errors as gRPC statuses with details."""

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from ghostback.convert import InvalidMessage
from services.common import errors

ERROR_DOMAIN = "ghostback"
Told = errors.DomainError | InvalidMessage | DecodeError
"""What a caller is told of; any other error is a defect."""

_PUSHBACK_KEY = "grpc-retry-pushback-ms"

_CODES: dict[type[errors.DomainError], int] = {
    errors.InvalidInput: code_pb2.INVALID_ARGUMENT,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    errors.Aborted: code_pb2.ABORTED,
    errors.Unauthenticated: code_pb2.UNAUTHENTICATED,
    errors.PermissionDenied: code_pb2.PERMISSION_DENIED,
    errors.ResourceExhausted: code_pb2.RESOURCE_EXHAUSTED,
    errors.Unavailable: code_pb2.UNAVAILABLE,
    errors.DeadlineExceeded: code_pb2.DEADLINE_EXCEEDED,
}


def status_of(error: Told) -> status_pb2.Status:
    """The status of an error: code, message, `ErrorInfo`, `BadRequest` where fields are to blame, and `RetryInfo`."""
    if isinstance(error, DecodeError):
        error = InvalidMessage("FIELD_INVALID", "", "the request, or what it carries, is no message of this method")
    if isinstance(error, InvalidMessage):
        error = errors.InvalidInput(error.reason, [errors.Violation(error.field, error.description)])
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    ]
    if isinstance(error, errors.InvalidInput):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description, reason=error.reason)
            for v in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(1000 * error.retry_seconds))
        details.append(retry)
    return _status(_CODES[type(error)], error.message, details)


def refusal_of(error: Told) -> grpc.Status:
    """The status that a call is ended with; gRPC's own repeats wait as long as it says."""
    refusal = rpc_status.to_status(status_of(error))
    seconds = error.retry_seconds if isinstance(error, errors.DomainError) else 0
    wait = [(_PUSHBACK_KEY, str(round(1000 * seconds)))] if seconds else []
    return refusal._replace(trailing_metadata=(*refusal.trailing_metadata, *wait))  # type: ignore[attr-defined,no-any-return]


def internal(request_id: str) -> status_pb2.Status:
    """The status of a defect: nothing of its cause, only where to look it up."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=ERROR_DOMAIN, metadata={"request_id": request_id})
    return _status(code_pb2.INTERNAL, f"internal error; the server's log has it under request id {request_id}", [info])


def error_of(call_error: grpc.aio.AioRpcError, upstream: str) -> errors.DomainError:
    """What a failed call to another service means to our own caller.

    Errors about the request are passed on as they are; everything else means that the other
    service is unavailable.
    """
    reason, metadata, violations, retry_seconds = "", {}, [], 0.0
    for detail in getattr(rpc_status.from_call(call_error), "details", ()):  # type: ignore[arg-type]
        info, bad_request, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request):
            violations = [errors.Violation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToMilliseconds() / 1000
    message = call_error.details() or ""
    if reason:
        match call_error.code():
            case grpc.StatusCode.INVALID_ARGUMENT:
                return errors.InvalidInput(reason, violations)
            case grpc.StatusCode.NOT_FOUND:
                return errors.NotFound(reason, message, metadata.get("resource", ""))
            case grpc.StatusCode.FAILED_PRECONDITION:
                return errors.FailedPrecondition(reason, message, metadata.get("subject", ""))
            case grpc.StatusCode.PERMISSION_DENIED:
                return errors.PermissionDenied(reason, message, **metadata)
            case grpc.StatusCode.UNAVAILABLE:
                return errors.Unavailable(reason, message, retry_seconds=retry_seconds, **metadata)
    if call_error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded("DEADLINE_EXCEEDED", f"{upstream} did not answer before the deadline")
    return errors.Unavailable(
        "UPSTREAM_UNAVAILABLE",
        f"{upstream} does not answer: {call_error.code().name} {message}",
        retry_seconds=retry_seconds,
        upstream=upstream,
        code=call_error.code().name,
    )


def _status(code: int, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
