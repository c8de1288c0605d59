"""Streams that go on after a broken connection, and end with the status the server gave."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, NamedTuple

import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Samples
from ghostback.results import Acknowledgement, CompletedPlay, counts
from ghostback.score.v1 import statistics_service_pb2

_UNACKNOWLEDGED = 128
"""Batches that wait for their acknowledgement before more are taken from the caller."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_BEGIN_ANEW = {"STREAM_IDLE", "READER_TOO_SLOW"}
"""Reasons for which a server ends a stream that may be opened again."""
_STATUS_SECONDS = 1.0


async def send_tags(
    method: Callable[..., Any], batches: AsyncIterable[tuple[str, Samples]], stream: str, patience: float
) -> AsyncIterator[Acknowledgement]:
    """Stream batches and give their acknowledgements, in order; see `Client.stream_tags`."""
    outbox, attempts = _Outbox(), _Attempts(patience)
    reading = asyncio.create_task(outbox.read(batches))
    try:
        while not outbox.finished:
            begin: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            call = method(outbox.requests(stream, begin))
            keep_server_status(call)
            try:
                async for response in call:
                    attempts.succeeded()
                    if stream and not begin.done():
                        while await outbox.begins_before(response.next_sequence):
                            if (sequence := outbox.acknowledge()) < outbox.sent:
                                yield Acknowledgement(sequence, 0, 0, {}, counted=False)
                        begin.set_result(response.next_sequence)
                        continue
                    outbox.acknowledge()
                    yield Acknowledgement(
                        *(response.sequence, response.accepted_count, response.duplicate_count),
                        counts(response.quarantined),
                    )
                break
            except grpc.aio.AioRpcError as error:
                if not stream:
                    raise
                await attempts.failed(error)
            finally:
                begin.cancel()
                outbox.hang_up()
                call.cancel()
            await outbox.something()
        if outbox.failure:
            raise outbox.failure
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def watch_plays(
    method: Callable[..., Any], game: str, resume_token: str, completed_after: datetime | None, patience: float
) -> AsyncIterator[CompletedPlay]:
    """Give plays that are over, as they are completed; see `Client.watch_plays`."""
    request = wire.view(ingest_service_pb2.WatchPlaysRequest)(parent=game, resume_token=resume_token)
    if completed_after:
        request.completed_after.FromDatetime(completed_after)
    async with aclosing(_told(method, request, patience)) as told:
        async for response in told:
            play = convert.play_from_message(response.play)
            yield CompletedPlay(play, response.play.revision, response.resume_token)


async def watch_statistics(
    method: Callable[..., Any], game: str, resume_token: str, patience: float
) -> AsyncIterator[statistics_service_pb2.WatchStatisticsResponse]:
    """Give statistics as they can be known; see `Client.watch_statistics`."""
    request = wire.view(statistics_service_pb2.WatchStatisticsRequest)(parent=game, resume_token=resume_token)
    async with aclosing(_told(method, request, patience)) as told:
        async for response in told:
            yield response


async def _told(method: Callable[..., Any], request: Any, patience: float) -> AsyncGenerator[Any, None]:
    """The responses of a stream that goes on with the resume token of the last one that had any."""
    attempts = _Attempts(patience)
    while True:
        call = method(request)
        try:
            async for response in call:
                attempts.succeeded()
                request.resume_token = response.resume_token or request.resume_token
                yield response
        except grpc.aio.AioRpcError as error:
            await attempts.failed(error)
        finally:
            call.cancel()


class _Attempts:
    """How long a broken stream is opened again and again until it goes on."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.succeeded()

    def succeeded(self) -> None:
        """Begin to count anew."""
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    async def failed(self, error: grpc.aio.AioRpcError) -> None:
        """Wait before the next attempt; raise the error when there is to be none."""
        reason, server_pause = _details(error)
        self._since = self._since or time.monotonic()
        code = error.code()
        may_go_on = (
            code is grpc.StatusCode.UNAVAILABLE
            or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and server_pause > 0)
            or reason in _BEGIN_ANEW
        )
        if not may_go_on or time.monotonic() - self._since >= self._patience:
            raise error
        await asyncio.sleep(max(server_pause, self._pause * random.uniform(0.8, 1.2)))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _details(error: grpc.aio.AioRpcError) -> tuple[str, float]:
    """Why a call failed, and after how many seconds to try again, as far as the server says so."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details if status else ():
        _ = detail.Unpack(info) or detail.Unpack(retry)
    return info.reason, retry.retry_delay.ToMilliseconds() / 1000


class _Batch(NamedTuple):
    play: str
    samples: Samples


class _Outbox:
    """Batches that were taken from the caller and are not acknowledged."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.sent = 0
        """Batches that were sent, or tried to, over any connection."""
        self._batches: deque[_Batch] = deque()
        self._first = 0
        """Number of the first batch of them."""
        self._over = False
        self._calls = 0
        self._changed = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Whether all batches there are were acknowledged."""
        return self._over and not self._batches

    async def read(self, batches: AsyncIterable[tuple[str, Samples]]) -> None:
        """Take batches from the caller, as long as few enough wait for their acknowledgement."""
        try:
            async for play, samples in batches:
                self._batches.append(_Batch(play, samples))
                self._tell()
                await self._until(lambda: len(self._batches) < _UNACKNOWLEDGED)
        except Exception as error:
            self.failure = error
        self._over = True
        self._tell()

    async def requests(self, stream: str, begin: asyncio.Future[int]) -> AsyncIterator[Message]:
        """The requests of a call, until it is hung up or there are no more batches.

        Args:
            stream: the stream's name; empty for one without.
            begin: the number of the first batch to send, for a named stream.
        """
        request = wire.view(ingest_service_pb2.StreamTagsRequest)
        call, sequence = self._calls, 0
        if stream:
            yield request(stream=stream)
            sequence = await begin
        while True:
            await self._until(lambda: sequence < self._end or self._over or call != self._calls)  # noqa: B023
            if call != self._calls or sequence >= self._end:
                return
            play, samples = self._batches[sequence - self._first]
            self.sent = max(self.sent, sequence + 1)
            yield request(play=play, sequence=sequence, samples=convert.samples_to_message(samples))
            sequence += 1

    def hang_up(self) -> None:
        """End the requests of the present call."""
        self._calls += 1
        self._tell()

    def acknowledge(self) -> int:
        """Forget the first batch; gives its number."""
        self._batches.popleft()
        self._first += 1
        self._tell()
        return self._first - 1

    async def begins_before(self, sequence: int) -> bool:
        """Whether there is a batch with a number below, once the caller gave it or there are no more."""
        if self._first < sequence:
            await self.something()
        return self._first < sequence and not self.finished

    async def something(self) -> None:
        """Wait until there is a batch, or no more will come."""
        await self._until(lambda: bool(self._batches) or self._over)

    @property
    def _end(self) -> int:
        return self._first + len(self._batches)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            await self._changed.wait()


def keep_server_status(call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
    """Let a call that was just made end with the server's status when a write fails because the server ended it.

    grpc.aio puts INTERNAL in its place (https://github.com/grpc/grpc/issues/36066). It still does when
    the server's status does not arrive within a second.
    """
    if hasattr(call, "_cython_call"):
        call._cython_call = _Patient(call._cython_call)


class _Patient:
    """The call beneath a call, for which a failed write is no news until the status had time to arrive."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def set_internal_error(self, error: str) -> None:
        asyncio.get_running_loop().call_later(_STATUS_SECONDS, self._give_up, error)

    def _give_up(self, error: str) -> None:
        if not self._call.done():
            self._call.set_internal_error(error)
