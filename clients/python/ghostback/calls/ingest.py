"""Calls of the ingest service: games, plays and tags."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime

from ghostback import convert, streams, wire
from ghostback.calls.connection import Connection
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Game, Play, Samples
from ghostback.results import Acknowledgement, CompletedPlay, QualityReport, counts, reason_name


class IngestCalls(Connection):
    """Games, plays and tags."""

    async def update_game(self, game: Game) -> None:
        """Create a game or replace what is known of it."""
        request = wire.view(ingest_service_pb2.UpdateGameRequest)(game=convert.game_to_message(game))
        await self.ingest.UpdateGame(request, timeout=self._timeout)

    async def update_play(self, play: Play, fields: Sequence[str] = (), resend_samples: bool = False) -> None:
        """Create a play or update its metadata: the named fields, or all of them.

        Args:
            play: the play; its samples are ignored.
            fields: names of the fields to change; all of them when empty.
            resend_samples: whether corrected tags of it will be streamed again; it gets a new revision
                without samples, and those before keep theirs.
        """
        request = wire.view(ingest_service_pb2.UpdatePlayRequest)(play=convert.play_to_message(play))
        request.play.ClearField("samples")
        request.update_mask.paths.extend(fields)
        request.resend_samples = resend_samples
        await self.ingest.UpdatePlay(request, timeout=self._timeout)

    def stream_tags(
        self, batches: AsyncIterable[tuple[str, Samples]], stream: str = ""
    ) -> AsyncIterator[Acknowledgement]:
        """Stream batches of (play name, samples); gives an acknowledgement once each is on disk.

        Batches are taken from the caller as the server stores them: 128 at most wait for their acknowledgement.

        Args:
            batches: what to send.
            stream: a name, to go on by itself after a broken connection: no batch is lost, and none that is on
                disk is sent again. After a restart of the caller, call again with the same name and the same
                batches from the first on; those on disk are left out then. Without a name the call ends with
                the connection.

        Raises:
            Exception: what the batches raise, once those before are acknowledged.
        """
        return streams.send_tags(self.ingest.StreamTags, batches, stream, self._patience)

    def watch_plays(
        self, game: str = "", resume_token: str = "", completed_after: datetime | None = None
    ) -> AsyncIterator[CompletedPlay]:
        """Plays that are over, first those that are there, then each as it is completed or corrected; never ends.

        It goes on by itself after a broken connection; each play is read from the server when the caller asks for it.

        Args:
            game: `games/{game}`; all games when empty.
            resume_token: that of the last play seen, to go on after it.
            completed_after: leaves out plays that were completed, and last corrected, up to then; UTC.
        """
        return streams.watch_plays(self.ingest.WatchPlays, game, resume_token, completed_after, self._patience)

    async def get_play(self, name: str, revision: int = 0) -> Play:
        """A play with its clean samples; of a revision, 0 meaning the latest."""
        request = wire.view(ingest_service_pb2.GetPlayRequest)(name=name, revision=revision)
        return convert.play_from_message((await self.ingest.GetPlay(request, timeout=self._timeout)).play)

    async def list_games(self) -> AsyncIterator[Game]:
        """All games, ordered by name."""
        async for page in self._pages(self.ingest.ListGames, wire.view(ingest_service_pb2.ListGamesRequest)()):
            for message in page.games:
                yield convert.game_from_message(message)

    async def list_plays(self, game: str) -> AsyncIterator[Play]:
        """The plays of a game, without samples."""
        request = wire.view(ingest_service_pb2.ListPlaysRequest)(parent=game)
        async for page in self._pages(self.ingest.ListPlays, request):
            for message in page.plays:
                yield convert.play_from_message(message)

    async def quality_report(self, name: str) -> QualityReport:
        """What became of the samples of a game or a play."""
        request = wire.view(ingest_service_pb2.GetQualityReportRequest)(name=name)
        response = await self.ingest.GetQualityReport(request, timeout=self._timeout)
        return QualityReport(response.accepted_count, response.duplicate_count, counts(response.quarantined))

    async def list_quarantined(self, play: str) -> AsyncIterator[tuple[Samples, list[str]]]:
        """The samples of a play that are in quarantine, as sent, with their reasons; some thousands at a time."""
        request = wire.view(ingest_service_pb2.ListQuarantinedSamplesRequest)(parent=play, page_size=10_000)
        async for page in self._pages(self.ingest.ListQuarantinedSamples, request):
            if page.reasons:
                yield convert.samples_from_message(page.samples), list(map(reason_name, page.reasons))
