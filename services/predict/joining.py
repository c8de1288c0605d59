"""Calls that come while others are at the model server go there together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from opentelemetry import trace

from services.predict.golden import Tensors

IN_FLIGHT = 2
"""Requests for one model at a time: the server computes one while the next is on its way."""
TOGETHER = 32
"""Rows that calls may have together: more cost no less a row, and keep the next request from being on its way."""

Send = Callable[[Tensors, float], Awaitable[dict[str, NDArray[np.float32]]]]
"""Sends tensors (n_rows, ...) as one request within some seconds, and gives the outputs (n_rows, ...)."""


@dataclass(frozen=True)
class _Call:
    inputs: Tensors
    rows: int
    until: float
    outputs: asyncio.Future[dict[str, NDArray[np.float32]]] = field(default_factory=asyncio.Future)
    span: trace.Span = field(default_factory=trace.get_current_span)


class Joiner:
    """Joins concurrent calls of one model into requests.

    A call that finds fewer than two requests on their way is sent at once: nobody waits for company.
    Those that come meanwhile leave together when a request returns.
    A request that is given up by all its callers is given up at the server too.
    """

    def __init__(self, send: Send, most_rows: int) -> None:
        """Make a joiner.

        Args:
            send: sends one request.
            most_rows: rows a request may hold; a call with more is split.
        """
        self._send = send
        self._most_rows = most_rows
        self._together = min(most_rows, TOGETHER)
        self._waiting: deque[_Call] = deque()
        self._in_flight = 0
        self._senders: set[asyncio.Task[None]] = set()

    async def infer(self, inputs: Tensors, seconds: float) -> dict[str, NDArray[np.float32]]:
        """Outputs by name (n_rows, ...), in the order of the rows.

        Args:
            inputs: by name (n_rows, ...).
            seconds: the time there is.

        Raises:
            TimeoutError: the time is up.
            Exception: whatever `send` raised for the request that held the call.
        """
        n_rows = len(next(iter(inputs.values())))
        if n_rows <= self._most_rows and self._in_flight < IN_FLIGHT and not self._waiting:
            return await self._alone(inputs, seconds)
        until = asyncio.get_running_loop().time() + seconds
        calls = []
        for start in range(0, n_rows, self._most_rows):
            part = {name: value[start : start + self._most_rows] for name, value in inputs.items()}
            calls.append(_Call(part, min(self._most_rows, n_rows - start), until))
        self._waiting.extend(calls)
        self._start()
        async with asyncio.timeout_at(until):
            parts = await asyncio.gather(*(call.outputs for call in calls))
        return parts[0] if len(parts) == 1 else _joined(parts)

    async def _alone(self, inputs: Tensors, seconds: float) -> dict[str, NDArray[np.float32]]:
        self._in_flight += 1
        try:
            return await self._send(inputs, seconds)
        finally:
            self._in_flight -= 1
            self._start()

    def _start(self) -> None:
        """Have those sent who wait, if there is a place for them."""
        if self._waiting and self._in_flight < IN_FLIGHT:
            self._in_flight += 1
            sender = asyncio.create_task(self._send_waiting())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def _send_waiting(self) -> None:
        try:
            while calls := self._next():
                await self._send_together(calls)
        finally:
            self._in_flight -= 1

    async def _send_together(self, calls: Sequence[_Call]) -> None:
        seconds = max(call.until for call in calls) - asyncio.get_running_loop().time()
        try:
            inputs = calls[0].inputs if len(calls) == 1 else _joined([call.inputs for call in calls])
            span = next((call.span for call in calls if call.span.is_recording()), calls[0].span)
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                sending = asyncio.ensure_future(self._send(inputs, seconds))
            everyone = asyncio.gather(*(call.outputs for call in calls), return_exceptions=True)
            everyone.add_done_callback(lambda _: sending.cancel())
            await asyncio.wait([sending])
            if sending.cancelled():
                return
            outputs = sending.result()
        except Exception as error:
            for call in calls:
                if not call.outputs.done():
                    call.outputs.set_exception(error)
            return
        start = 0
        for call in calls:
            if not call.outputs.done():
                call.outputs.set_result({n: value[start : start + call.rows] for n, value in outputs.items()})
            start += call.rows

    def _next(self) -> list[_Call]:
        """The calls that leave together; those whose caller has given up are left out."""
        calls: list[_Call] = []
        rows = 0
        while self._waiting and (not calls or rows + self._waiting[0].rows <= self._together):
            call = self._waiting.popleft()
            if not call.outputs.done():
                calls.append(call)
                rows += call.rows
        return calls


def _joined(parts: Sequence[Tensors]) -> dict[str, NDArray[np.float32]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
