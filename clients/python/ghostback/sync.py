"""The client for programs without asyncio: the same calls, run on an event loop in a thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from functools import cache, wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ghostback.channels import PLAIN, Security
from ghostback.client import Client
from ghostback.play import Samples
from ghostback.results import Acknowledgement, Addresses

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all synchronous clients of this process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ghostback", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, T]) -> T:
    running = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return running.result()
    except BaseException:
        running.cancel()
        raise


def _iterate(items: AsyncIterator[T]) -> Iterator[T]:
    """Ask for one item after the other."""

    async def next_item() -> tuple[T, ...]:
        try:
            return (await anext(items),)
        except StopAsyncIteration:
            return ()

    try:
        while item := _run(next_item()):
            yield item[0]
    finally:
        _run(_close(items))


async def _close(items: AsyncIterator[Any]) -> None:
    await items.aclose()  # type: ignore[attr-defined]


def _call(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["SyncClient", P], T]:
    @wraps(method)
    def call(client: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _run(method(client.asynchronous, *args, **kwargs))

    return call


def _items(
    method: Callable[Concatenate[Client, P], AsyncIterator[T]],
) -> Callable[Concatenate["SyncClient", P], Iterator[T]]:
    @wraps(method)
    def items(client: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return _iterate(method(client.asynchronous, *args, **kwargs))

    return items


class SyncClient:
    """What `ghostback.client.Client` does, for programs without asyncio; use as a context manager.

    May be used by several threads at once.

    Attributes:
        asynchronous: the client beneath; to be used on its own loop only.

    Raises:
        grpc.aio.AioRpcError: from every call, as the asynchronous client.
    """

    def __init__(
        self, addresses: Addresses, timeout: float = 30.0, security: Security = PLAIN, patience: float = 30.0
    ) -> None:
        """Connect lazily; the arguments are those of `Client`."""

        async def connect() -> Client:
            return Client(addresses, timeout, security, patience)

        self.asynchronous = _run(connect())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run(self.asynchronous.__aexit__(kind, error, trace))

    update_game = _call(Client.update_game)
    update_play = _call(Client.update_play)
    get_play = _call(Client.get_play)
    list_games = _items(Client.list_games)
    list_plays = _items(Client.list_plays)
    watch_plays = _items(Client.watch_plays)
    watch_statistics = _items(Client.watch_statistics)
    quality_report = _call(Client.quality_report)
    list_quarantined = _items(Client.list_quarantined)
    predict_ghosts = _call(Client.predict_ghosts)
    predict_pass_outcomes = _call(Client.predict_pass_outcomes)
    predict_yards_after_catch = _call(Client.predict_yards_after_catch)
    predict_tensors = _call(Client.predict_tensors)
    score_actual = _call(Client.score_actual)
    score_ghosts = _call(Client.score_ghosts)
    rate_decision = _call(Client.rate_decision)
    compute_statistics = _call(Client.compute_statistics)
    list_statistics = _items(Client.list_statistics)
    list_leaders = _items(Client.list_leaders)
    evaluate_model = _items(Client.evaluate_model)

    def stream_tags(self, batches: Iterable[tuple[str, Samples]], stream: str = "") -> Iterator[Acknowledgement]:
        """Stream batches of (play name, samples); see `Client.stream_tags`. They are taken in another thread."""
        source = iter(batches)

        async def each() -> AsyncIterator[tuple[str, Samples]]:
            while batch := await asyncio.to_thread(next, source, None):
                yield batch

        return _iterate(self.asynchronous.stream_tags(each(), stream))
