"""Streams that end with the status the server gave."""

import asyncio
from typing import Any

import grpc.aio

_PATIENCE_SECONDS = 1.0


def keep_server_status(call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
    """Let a call that was just made end with the server's status when a write fails because the server ended it.

    grpc.aio puts INTERNAL in its place (https://github.com/grpc/grpc/issues/36066). It still does when
    the server's status does not arrive within a second.
    """
    call._cython_call = _Patient(call._cython_call)  # type: ignore[attr-defined]


class _Patient:
    """The call beneath a call, for which a failed write is no news until the status had time to arrive."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def set_internal_error(self, error: str) -> None:
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._give_up, error)

    def _give_up(self, error: str) -> None:
        if not self._call.done():
            self._call.set_internal_error(error)
