"""`ghostback.score.v1.StatisticsService`."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.protobuf.message import Message

from ghostback import wire
from ghostback.score.v1 import statistics_service_pb2 as pb
from services.common import paging, plays, requests
from services.common.errors import InvalidInput, Violation
from services.common.upstream import Upstream
from services.score import decisions, leaderboards, points, statistics, statistics_messages
from services.score.leaderboards import By, Leader, Order, Selection
from services.score.store import KeptPlay, KeptStatistic, Store
from services.score.upstreams import Upstreams
from services.score.watchers import Watchers

STATISTICS_SERVICE = pb.DESCRIPTOR.services_by_name["StatisticsService"]

_KINDS = {value: kind for kind, value in statistics_messages.KINDS.items()}
_GROUPS = {
    pb.LEADER_GROUP_UNSPECIFIED: By.PLAYER,
    pb.LEADER_GROUP_PLAYER: By.PLAYER,
    pb.LEADER_GROUP_TEAM: By.TEAM,
    pb.LEADER_GROUP_POSITION: By.POSITION,
}
_ORDER = re.compile(rf"({'|'.join(Order)})( asc)?")


class StatisticsServicer:
    """Computes statistics, and tells of those that are kept."""

    def __init__(self, ingest: Upstream, upstreams: Upstreams, store: Store, watchers: Watchers) -> None:
        self._ingest = ingest
        self._upstreams = upstreams
        self._store = store
        self._watchers = watchers

    async def RateDecision(self, request: pb.RateDecisionRequest, context: Any) -> Message:
        """Rate the passer's decision, at the release or at frames before it."""
        requests.at_most(request, frames=64)
        play = await plays.resolve(request.source, self._ingest)
        rated, versions = await decisions.rate(play, request.frames, self._upstreams)
        return wire.view(pb.RateDecisionResponse)(
            points_profile=f"pointsProfiles/{points.PROFILE}",
            model_versions=versions,
            decisions=map(statistics_messages.decision, rated),
        )

    async def ComputeStatistics(self, request: pb.ComputeStatisticsRequest, context: Any) -> Message:
        """Compute the statistics of one play, and keep nothing."""
        if request.source.WhichOneof("source") == "name":
            requests.play_ids(request.source.name, "source.name")
            play, revision = await self._upstreams.revised(request.source.name)
        else:
            play, revision = await plays.resolve(request.source, self._ingest), request.source.play.revision
        found = await statistics.of_play(play, self._upstreams)
        return wire.view(pb.ComputeStatisticsResponse)(
            statistics=[statistics_messages.statistic(play.name, revision, each) for each in found]
        )

    async def ListStatistics(self, request: pb.ListStatisticsRequest, context: Any) -> Message:
        """List the statistics that are kept of a game or a play, a page at a time."""
        if "/plays/" in request.parent:
            game_id, play_id = requests.play_ids(request.parent, "parent")
        else:
            game_id, play_id = requests.game_id(request.parent, "parent"), ""
        size, scope = paging.page_size(request.page_size), f"ListStatistics {request.parent} {request.superseded}"
        after = int(paging.read_token(scope, request.page_token) or 0)
        found = await asyncio.to_thread(self._store.of, game_id, play_id, request.superseded, after, size + 1)
        token = paging.make_token(scope, str(found[size - 1].id)) if len(found) > size else ""
        return wire.view(pb.ListStatisticsResponse)(statistics=map(_kept, found[:size]), next_page_token=token)

    async def ListLeaders(self, request: pb.ListLeadersRequest, context: Any) -> Message:
        """Rank players, teams or positions, a page at a time; all pages are of the state at the first."""
        selection = _selection(request)
        order = _ORDER.fullmatch(request.order_by or Order.SHRUNK_MEAN)
        if not order:
            violation = Violation("order_by", f"is {request.order_by!r}, must be {', '.join(Order)}; or with ' asc'")
            raise InvalidInput("FIELD_INVALID", [violation])
        size, least, by, ascending = paging.page_size(request.page_size), request.min_attempts or 1, *order.groups()
        scope = f"ListLeaders {selection} {least} {order.group()}"
        as_of, _, start = paging.read_token(scope, request.page_token).partition(" ")
        sequence = int(as_of) if as_of else await asyncio.to_thread(self._store.latest)
        first = int(start or 0)
        sums = await asyncio.to_thread(self._store.sums, selection, sequence)
        board = await asyncio.to_thread(leaderboards.rank, sums, least, Order(by), bool(ascending))
        more = len(board.leaders) > first + size
        return wire.view(pb.ListLeadersResponse)(
            leaders=map(_leader, board.leaders[first : first + size]),
            next_page_token=paging.make_token(scope, f"{sequence} {first + size}") if more else "",
            mean=board.mean,
            total_size=len(board.leaders),
        )

    async def WatchStatistics(
        self, request: pb.WatchStatisticsRequest, context: Any
    ) -> AsyncIterator[pb.WatchStatisticsResponse]:
        """Tell of every statistic as soon as it can be known."""
        game_id = requests.game_id(request.parent, "parent") if request.parent else ""
        scope = f"WatchStatistics {request.parent}"
        resumed = paging.read_token(scope, request.resume_token, "resume_token")
        async with aclosing(self._watchers.watch(game_id, int(resumed) if resumed else None)) as told:
            async for each in told:
                if isinstance(each, KeptPlay):
                    yield statistics_messages.of_kept_play(each, paging.make_token(scope, str(each.sequence)))
                else:
                    yield statistics_messages.of_live_play(each)


def _selection(request: pb.ListLeadersRequest) -> Selection:
    """Which statistics count.

    Raises:
        InvalidInput: a field is missing or out of range.
    """
    requests.at_most(request, team_ids=256, positions=64)
    if request.kind not in _KINDS:
        problem = f"is {request.kind}, which is no kind" if request.kind else "is missing"
        raise InvalidInput("FIELD_INVALID" if request.kind else "FIELD_REQUIRED", [Violation("kind", problem)])
    if request.group not in _GROUPS:
        raise InvalidInput("FIELD_INVALID", [Violation("group", f"is {request.group}, which is no group")])
    if violations := [
        Violation(name, f"is {getattr(request, name)}, must be 0 to {limit}")
        for name, limit in (("season", 9_999), ("first_week", 99), ("last_week", 99))
        if not 0 <= getattr(request, name) <= limit
    ]:
        raise InvalidInput("FIELD_INVALID", violations)
    if 0 < request.last_week < request.first_week:
        problem = f"is {request.last_week}, before first_week, which is {request.first_week}"
        raise InvalidInput("FIELD_INVALID", [Violation("last_week", problem)])
    return Selection(
        _KINDS[request.kind],
        _GROUPS[request.group],
        request.season,
        request.first_week,
        request.last_week,
        tuple(sorted(request.team_ids)),
        tuple(sorted(request.positions)),
    )


def _kept(known: KeptStatistic) -> pb.Statistic:
    message = statistics_messages.statistic(known.play, known.revision, known.statistic)
    message.create_time.FromDatetime(known.created)
    if known.superseded:
        message.supersede_time.FromDatetime(known.superseded)
    return message


def _leader(leader: Leader) -> pb.Leader:
    low, high = leader.interval or (None, None)
    return wire.view(pb.Leader)(
        rank=leader.rank,
        id=leader.sums.id,
        display_name=leader.sums.display_name,
        team_id=leader.sums.team_id,
        position=leader.sums.position,
        attempts=leader.sums.attempts,
        total=leader.total,
        mean=leader.mean,
        mean_low=low,
        mean_high=high,
        shrunk_mean=leader.shrunk_mean,
    )
