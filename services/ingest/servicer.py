"""`ghostback.ingest.v1.IngestService`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from prometheus_client import Counter as Metric

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2 as pb
from ghostback.play import PlayState
from ghostback.tracking.v1 import play_pb2
from services.common import paging, requests
from services.common.errors import InvalidInput, NotFound, Violation
from services.ingest.policies import Reason
from services.ingest.rows import Batch, StoredPlay
from services.ingest.store import Receipt, Store
from services.ingest.watch import Watch
from services.ingest.writer import Feed, Writer

T = TypeVar("T")

_SAMPLES = Metric(
    "ghostback_ingest_samples_total",
    "Samples acknowledged: accepted, duplicate, or the reason they are in quarantine for.",
    ["outcome"],
)
_READERS = 4
_WATCH_SECONDS = 1.0
"""How soon a play is told of that another server on the same database completed or changed."""
_UNACKNOWLEDGED = 64
"""Batches of a stream that wait for their acknowledgement before more are taken."""


class _Bell:
    """Wakes whoever waits; what is `rung` next is taken before looking, so that no ring is missed."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def ring(self) -> None:
        self.rung.set()
        self.rung = asyncio.Event()


class IngestServicer:
    """Takes in tags, gives out plays. One thread writes to the store, several read from it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "store")
        self._readers = ThreadPoolExecutor(_READERS, "read")
        self._watcher = ThreadPoolExecutor(1, "watch")
        self._editing = asyncio.Lock()
        self._writer = Writer(store, self._thread)
        self._over, self._edited = _Bell(), _Bell()

    async def close(self) -> None:
        """Finish what is being stored."""
        await self._writer.close()
        await asyncio.to_thread(self._thread.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._watcher.shutdown)

    async def UpdateGame(self, request: pb.UpdateGameRequest, context: Any) -> Message:
        """Create or replace a game."""
        game = requests.game(request.game)
        await self._write(lambda: self._store.put_game(game))
        return wire.view(pb.UpdateGameResponse)(game=convert.game_to_message(game))

    async def GetGame(self, request: pb.GetGameRequest, context: Any) -> Message:
        """Give one game."""
        game_id = requests.game_id(request.name, "name")
        game = await self._read(lambda: self._store.game(game_id))
        return wire.view(pb.GetGameResponse)(game=convert.game_to_message(game))

    async def ListGames(self, request: pb.ListGamesRequest, context: Any) -> Message:
        """List games, a page at a time."""
        size = paging.page_size(request.page_size)
        after = paging.read_token("ListGames", request.page_token)
        games = await self._read(lambda: self._store.games(after, size + 1))
        token = paging.make_token("ListGames", games[size - 1].game_id) if len(games) > size else ""
        return wire.view(pb.ListGamesResponse)(games=map(convert.game_to_message, games[:size]), next_page_token=token)

    async def UpdatePlay(self, request: pb.UpdatePlayRequest, context: Any) -> Message:
        """Create a play or update its metadata."""
        ids = requests.play_ids(request.play.name, "play.name")
        if request.update_mask.paths:
            _check_mask(request.update_mask, "update_mask", exclude={"name", "revision", "samples"})
        async with self._editing:
            message = await self._masked(ids, request) if request.update_mask.paths else request.play
            message.ClearField("samples")
            play = requests.play(message)
            stored = await self._write(lambda: self._store.put_play(play, request.resend_samples))
        self._edited.ring()
        if stored.play.state is not PlayState.LIVE:
            self._over.ring()
        return wire.view(pb.UpdatePlayResponse)(play=_message(stored))

    async def StreamTags(
        self, requests_: AsyncIterator[pb.StreamTagsRequest], context: Any
    ) -> AsyncIterator[pb.StreamTagsResponse]:
        """Store batches; acknowledge each when it is on disk. The next ones are taken meanwhile.

        The first request of a named stream may ask how far the stream is on disk.
        """
        taken: asyncio.Queue[tuple[int, asyncio.Future[Receipt]] | int | None] = asyncio.Queue(_UNACKNOWLEDGED)

        async def take() -> None:
            stream, feed = "", Feed()
            try:
                async for request in requests_:
                    if request.stream:
                        stream = requests.stream(request.stream, "stream")
                        if not request.play:
                            await taken.put(await self._read(partial(self._store.next_sequence, stream)))
                            continue
                    play = requests.play_ids(request.play, "play")
                    samples = convert.batch_from_message(request.samples)
                    batch = Batch(play, samples, stream, request.sequence)
                    await taken.put((request.sequence, await self._writer.append(batch, feed)))
            finally:
                await taken.put(None)

        taking = asyncio.create_task(take())
        try:
            while (batch := await taken.get()) is not None:
                if isinstance(batch, int):
                    yield wire.view(pb.StreamTagsResponse)(next_sequence=batch)
                    continue
                sequence, stored = batch
                receipt = await stored
                _note(receipt)
                yield wire.view(pb.StreamTagsResponse)(
                    sequence=sequence,
                    accepted_count=receipt.accepted,
                    duplicate_count=receipt.duplicates,
                    quarantined=_counts(receipt.quarantined),
                )
            await taking
        finally:
            taking.cancel()
            while not taken.empty():
                if isinstance(batch := taken.get_nowait(), tuple):
                    batch[1].cancel()

    async def GetPlay(self, request: pb.GetPlayRequest, context: Any) -> Message:
        """Give one play with its samples."""
        ids = requests.play_ids(request.name, "name")
        _check_mask(request.read_mask, "read_mask")
        wanted = set(request.read_mask.paths)
        stored = await self._read(lambda: self._store.play(*ids, request.revision))
        message = _message(stored)
        response = wire.view(pb.GetPlayResponse)()
        if not wanted or "samples" in wanted:
            mended = await self._read(lambda: self._store.trajectories(*ids, stored.revision))
            if len(mended.samples):
                message.samples.CopyFrom(convert.samples_to_message(mended.samples))
            for repair in mended.repairs:
                response.repairs.add(
                    tag_id=repair.tag_id,
                    first_frame=repair.first,
                    last_frame=repair.last,
                    reason=repair.reason.value,
                )
            for tag, reason in mended.rejected.items():
                response.rejected_trajectories.add(tag_id=tag, reason=reason.value)
        for name in [field.name for field, _ in message.ListFields()]:
            if wanted and name not in wanted:
                message.ClearField(name)  # type: ignore[arg-type]
        response.play.CopyFrom(message)
        return response

    async def ListPlays(self, request: pb.ListPlaysRequest, context: Any) -> Message:
        """List the plays of a game, a page at a time."""
        game_id = requests.game_id(request.parent, "parent")
        size, scope = paging.page_size(request.page_size), f"ListPlays {request.parent}"
        after = int(paging.read_token(scope, request.page_token) or 0)
        plays = await self._read(lambda: self._store.plays(game_id, after, size + 1))
        token = paging.make_token(scope, str(plays[size - 1].created)) if len(plays) > size else ""
        return wire.view(pb.ListPlaysResponse)(plays=map(_message, plays[:size]), next_page_token=token)

    async def WatchPlays(self, request: pb.WatchPlaysRequest, context: Any) -> AsyncIterator[pb.WatchPlaysResponse]:
        """Tell of plays; nothing is queued, each is read from the store when the caller is ready.

        Streams read one after the other, so that many that begin together keep no other call waiting.
        """
        game_id = requests.game_id(request.parent, "parent") if request.parent else ""
        scope = f"WatchPlays {request.parent}"
        resumed = paging.read_token(scope, request.resume_token, "resume_token")
        after = int(resumed) if resumed else request.completed_after.ToMicroseconds()
        watch = Watch(self._store, game_id, after, request.live)
        bell = self._edited if request.live else self._over

        def news() -> list[pb.WatchPlaysResponse]:
            return [
                wire.view(pb.WatchPlaysResponse)(
                    play=_message(stored),
                    resume_token=paging.make_token(scope, str(stored.completed)) if stored.completed else "",
                )
                for stored in watch.news()
            ]

        while True:
            rung = bell.rung
            for response in (found := await asyncio.get_running_loop().run_in_executor(self._watcher, news)):
                yield response
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), _WATCH_SECONDS)

    async def GetQualityReport(self, request: pb.GetQualityReportRequest, context: Any) -> Message:
        """Tell what was accepted and quarantined."""
        game_id, play_id = _game_or_play(request.name)
        quality = await self._read(lambda: self._store.quality(game_id, play_id))
        return wire.view(pb.GetQualityReportResponse)(
            name=request.name,
            accepted_count=quality.accepted,
            duplicate_count=quality.duplicates,
            quarantined=_counts(quality.quarantined),
            repaired=_counts(quality.repaired),
            kept=_counts(quality.kept),
            rejected_trajectories=_counts(quality.rejected),
        )

    async def ReplayQuarantine(self, request: pb.ReplayQuarantineRequest, context: Any) -> Message:
        """Judge samples again, by the present rules and rosters."""
        game_id, play_id = _game_or_play(request.name)
        plays = [play_id] if play_id else await self._read(lambda: self._store.play_ids(game_id))
        released, withheld, quarantined = 0, 0, Counter[Reason]()
        for each in plays:
            changed = await self._write(lambda: self._store.judge_again(game_id, each))  # noqa: B023
            released, withheld = released + changed.released, withheld + changed.withheld
            quarantined.update(changed.quarantined)
        if released or withheld:
            self._edited.ring()
            self._over.ring()
        return wire.view(pb.ReplayQuarantineResponse)(
            released_count=released, withheld_count=withheld, quarantined=_counts(quarantined)
        )

    async def ListQuarantinedSamples(self, request: pb.ListQuarantinedSamplesRequest, context: Any) -> Message:
        """List quarantined samples, a page at a time."""
        ids = requests.play_ids(request.parent, "parent")
        size = paging.page_size(request.page_size, default=1_000, limit=convert.MAX_SAMPLES)
        scope = f"ListQuarantinedSamples {request.parent}"
        start = int(paging.read_token(scope, request.page_token) or 0)
        samples, reasons, more = await self._read(lambda: self._store.quarantined(*ids, start, size))
        return wire.view(pb.ListQuarantinedSamplesResponse)(
            samples=convert.samples_to_message(samples),
            reasons=reasons.tolist(),
            next_page_token=paging.make_token(scope, str(start + size)) if more else "",
        )

    async def _masked(self, ids: tuple[str, str], request: pb.UpdatePlayRequest) -> play_pb2.Play:
        """The stored play, or an empty one, with the fields of the mask taken from the request."""
        try:
            message = _message(await self._read(lambda: self._store.play(*ids)))
        except NotFound:
            message = wire.view(play_pb2.Play)(name=request.play.name)
        for name in request.update_mask.paths:
            message.ClearField(name)  # type: ignore[arg-type]
        chosen = wire.view(play_pb2.Play)()
        chosen.CopyFrom(request.play)
        for name in {field.name for field, _ in chosen.ListFields()} - set(request.update_mask.paths):
            chosen.ClearField(name)  # type: ignore[arg-type]
        message.MergeFrom(chosen)
        return message

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _message(stored: StoredPlay) -> play_pb2.Play:
    message = convert.play_to_message(stored.play)
    message.revision = stored.revision
    return message


def _game_or_play(name: str) -> tuple[str, str | None]:
    """The ids in the name of a game or of a play."""
    return requests.play_ids(name, "name") if "/plays/" in name else (requests.game_id(name, "name"), None)


def _note(receipt: Receipt) -> None:
    """Count the samples of a batch."""
    _SAMPLES.labels("accepted").inc(receipt.accepted)
    _SAMPLES.labels("duplicate").inc(receipt.duplicates)
    for reason, count in receipt.quarantined.items():
        _SAMPLES.labels(reason.name.lower()).inc(count)


def _counts(found: Mapping[Reason, int]) -> list[pb.QuarantineCount]:
    """Counts by reason, the most frequent first."""
    return [
        wire.view(pb.QuarantineCount)(reason=reason.value, count=count)  # type: ignore[arg-type]
        for reason, count in Counter(found).most_common()
    ]


def _check_mask(mask: FieldMask, field: str, exclude: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    known = set(play_pb2.Play.DESCRIPTOR.fields_by_name) - exclude
    wrong = [
        Violation(f"{field}.paths[{i}]", f"{path!r} is not one of {', '.join(sorted(known))}")
        for i, path in enumerate(mask.paths)
        if path not in known
    ]
    if wrong:
        raise InvalidInput("FIELD_INVALID", wrong)
