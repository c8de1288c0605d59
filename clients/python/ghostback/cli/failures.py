"""What went wrong, in one sentence with the next step, and the exit code that tells scripts its kind."""

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ghostback.bigdatabowl import BigDataBowlError

FAILED = 1
USAGE = 2
UNREACHABLE = 3
FORBIDDEN = 4
INTERRUPTED = 130

_CODES = {
    grpc.StatusCode.UNAVAILABLE: UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: UNREACHABLE,
    grpc.StatusCode.UNAUTHENTICATED: FORBIDDEN,
    grpc.StatusCode.PERMISSION_DENIED: FORBIDDEN,
}
_NEXT_BY_REASON = {
    "GAME_UNKNOWN": "`ghostback plays list` lists the games",
    "PLAY_UNKNOWN": "`ghostback plays list GAME` lists the plays of a game",
    "PLAY_WITHOUT_PASS": "`ghostback plays list GAME --passes` lists those with a pass",
    "TRACKS_INCOMPLETE": "`ghostback plays quality PLAY` tells what became of its samples",
    "TARGET_UNKNOWN": "name one with --target; `ghostback plays show PLAY` lists the receivers",
    "DEFENDER_UNKNOWN": "`ghostback plays show PLAY` lists the defenders",
    "MODEL_VERSION_UNKNOWN": "`ghostback models list` lists them",
    "MODEL_VERSION_UNUSABLE": "`ghostback models list` tells why",
    "ROLLOUT_UNKNOWN": "`ghostback rollout list` lists them",
    "ROLLOUT_CHANGED": "look with `ghostback rollout status` and decide again",
}
_NEXT_BY_CODE = {
    grpc.StatusCode.UNAVAILABLE: "`ghostback doctor` tells what is wrong",
    grpc.StatusCode.DEADLINE_EXCEEDED: "`ghostback doctor` tells whether the suite is well",
    grpc.StatusCode.UNAUTHENTICATED: "say who you are with --certificate and --key, or --token-file",
    grpc.StatusCode.PERMISSION_DENIED: "ask whoever keeps the suite's access policy for the role it takes",
}

_UP = "is the suite up? `ghostback up` starts one, `ghostback doctor` tells what is wrong"
_TLS = "does it speak TLS, and is its certificate signed by one of --ca? `openssl s_client -connect HOST:PORT` shows it"


class CommandError(Exception):
    """A command cannot do what it was asked; one sentence with the next step.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def told(error: Exception) -> CommandError | None:
    """The error as a user is told of it; None where it is a defect of the command."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return _of_call(error)
    if isinstance(error, BigDataBowlError | OSError):
        return CommandError(str(error))
    return None


def _of_call(error: grpc.aio.AioRpcError) -> CommandError:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    code = _CODES.get(error.code(), FAILED)
    said = (error.details() or error.code().name).rstrip(".")
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details if status else ():
        detail.Unpack(info)
        detail.Unpack(retry)
    if not info.reason and error.code() is grpc.StatusCode.UNAVAILABLE:
        why = said.rpartition("last error: ")[2].removeprefix("UNKNOWN: ")
        return CommandError(f"a service does not answer: {why}; {_TLS if 'handshake' in why else _UP}", code)
    following = _NEXT_BY_REASON.get(info.reason) or _NEXT_BY_CODE.get(error.code(), "")
    if retry.HasField("retry_delay"):
        following = f"try again in {retry.retry_delay.ToMilliseconds() / 1000:g} s"
    return CommandError(f"{said}; {following}" if following else said, code)
