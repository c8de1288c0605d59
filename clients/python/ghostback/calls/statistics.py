"""Calls of the score service: statistics, decisions and leaderboards."""

from collections.abc import AsyncIterator, Sequence

from ghostback import streams, wire
from ghostback.calls.connection import Connection, source
from ghostback.play import Play
from ghostback.score.v1 import statistics_service_pb2


class StatisticsCalls(Connection):
    """Statistics, decisions and leaderboards."""

    async def rate_decision(
        self, play: str | Play, frames: Sequence[int] = ()
    ) -> statistics_service_pb2.RateDecisionResponse:
        """What a pass to each receiver was worth at the release, or at some frames before it."""
        request = wire.view(statistics_service_pb2.RateDecisionRequest)(source=source(play), frames=frames)
        response: statistics_service_pb2.RateDecisionResponse = await self.statistics.RateDecision(
            request, timeout=self._timeout
        )
        return response

    async def compute_statistics(self, play: str | Play) -> list[statistics_service_pb2.Statistic]:
        """The statistics of a play; nothing is kept."""
        request = wire.view(statistics_service_pb2.ComputeStatisticsRequest)(source=source(play))
        return list((await self.statistics.ComputeStatistics(request, timeout=self._timeout)).statistics)

    def watch_statistics(
        self, game: str = "", resume_token: str = ""
    ) -> AsyncIterator[statistics_service_pb2.WatchStatisticsResponse]:
        """Statistics as soon as each can be known, from now on; never ends.

        Of a live play it tells before the throw, at the throw and at arrival; the throw is told twice, first how
        likely the catch is and then what each option is worth too. It goes on by itself after a broken connection:
        of plays that are over none is left out then, and what is live is told from then on.

        Args:
            game: `games/{game}`; all games when empty.
            resume_token: the last one seen, to go on after it.
        """
        return streams.watch_statistics(self.statistics.WatchStatistics, game, resume_token, self._patience)

    async def list_statistics(
        self, parent: str, superseded: bool = False
    ) -> AsyncIterator[statistics_service_pb2.Statistic]:
        """The statistics that are kept of a game or a play, in the order in which they were computed.

        Args:
            parent: `games/{game}` or `games/{game}/plays/{play}`.
            superseded: whether to list also those that others are in the place of.
        """
        request = wire.view(statistics_service_pb2.ListStatisticsRequest)(
            parent=parent, superseded=superseded, page_size=1_000
        )
        async for page in self._pages(self.statistics.ListStatistics, request):
            for statistic in page.statistics:
                yield statistic

    async def list_leaders(
        self,
        kind: str,
        group: str = "player",
        *,
        season: int = 0,
        weeks: tuple[int, int] = (0, 0),
        team_ids: Sequence[str] = (),
        positions: Sequence[str] = (),
        min_attempts: int = 1,
        order_by: str = "",
        page_size: int = 1_000,
    ) -> AsyncIterator[statistics_service_pb2.ListLeadersResponse]:
        """Players, teams or positions ranked by a statistic, page by page; all pages are of the state at the first.

        `ghostback.leaders` makes tables of them.

        Args:
            kind: what to rank by: `completion`, `catch`, `yards-after-catch`, `decision`, `separation`, `coverage`.
            group: what to rank: `player`, `team` or `position`.
            season: only this one; 0 means all.
            weeks: the first and the last that count; 0 means that there is no such limit.
            team_ids: teams whose players count; all when empty.
            positions: positions that count; all when empty.
            min_attempts: the fewest to be listed.
            order_by: `shrunk_mean` (the default), `mean`, `total` or `attempts`, with ` asc` for the least first.
            page_size: leaders on a page.

        Raises:
            ValueError: there is no such kind or group.
        """
        first_week, last_week = weeks
        request = wire.view(statistics_service_pb2.ListLeadersRequest)(
            kind=statistics_service_pb2.StatisticKind.Value(f"STATISTIC_KIND_{kind.upper().replace('-', '_')}"),
            group=statistics_service_pb2.LeaderGroup.Value(f"LEADER_GROUP_{group.upper()}"),
            season=season,
            first_week=first_week,
            last_week=last_week,
            team_ids=team_ids,
            positions=positions,
            min_attempts=min_attempts,
            order_by=order_by,
            page_size=page_size,
        )
        async for page in self._pages(self.statistics.ListLeaders, request):
            yield page
