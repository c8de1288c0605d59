"""What a failed call says."""

from dataclasses import dataclass

import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Failure:
    """A gRPC error taken apart.

    Attributes:
        code: name of the status code.
        message: the message.
        reason: reason of its `ErrorInfo`.
        fields: path and description of each field violation of its `BadRequest`.
        retry_seconds: delay of its `RetryInfo`.
    """

    code: str
    message: str
    reason: str
    fields: dict[str, str]
    retry_seconds: float = 0


def failure(error: grpc.aio.AioRpcError) -> Failure:
    """Take an error apart."""
    reason, fields, retry_seconds = "", {}, 0.0
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            assert info.domain == "ghostback"
            reason = info.reason
        elif detail.Unpack(bad_request):
            fields = {v.field: v.description for v in bad_request.field_violations}
        elif detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToMilliseconds() / 1000
    return Failure(error.code().name, error.details() or "", reason, fields, retry_seconds)
