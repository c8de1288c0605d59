"""Statistics that are kept of plays, and leaderboards of them, from the running suite."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import grpc.aio
import polars as pl
import pytest

from ghostback import feed, leaders, wire
from ghostback.play import Game, Play
from ghostback.score.v1 import statistics_service_pb2 as pb
from tests.failures import failure
from tests.integration.conftest import Chain
from tests.integration.test_command import run

KINDS = {"completion", "catch", "yards-after-catch", "decision", "separation", "coverage"}
SEASON = 2031


@pytest.fixture(scope="module")
async def passes(chain: Chain) -> Sequence[Play]:
    """Three passes in a game of a season of their own, once all they tell is kept."""
    game = replace(chain.simulated.game, game_id="leaders", season=SEASON, week=3)
    sent = [replace(play, game_id=game.game_id) for play in chain.passes[1:4]]
    await send(chain, game, sent)
    await until(chain, game.name, lambda kept: {each.play for each in kept} == {play.name for play in sent})
    return sent


async def send(chain: Chain, game: Game, plays: Sequence[Play]) -> None:
    await chain.client.update_game(game)
    async for _ in feed.stream(chain.client, plays):
        pass


async def until(chain: Chain, parent: str, reached: Callable[[list[pb.Statistic]], bool]) -> list[pb.Statistic]:
    async with asyncio.timeout(60):
        while True:
            kept = [each async for each in chain.client.list_statistics(parent)]
            if reached(kept):
                return kept
            await asyncio.sleep(0.1)


async def board(chain: Chain, kind: str, group: str = "player", page_size: int = 1_000) -> list[pb.Leader]:
    pages = chain.client.list_leaders(kind, group, season=SEASON, page_size=page_size)
    return [leader async for page in pages for leader in page.leaders]


async def test_what_is_kept_of_a_play_is_what_it_computes_to(chain: Chain, passes: Sequence[Play]) -> None:
    for play in passes:
        kept = [each async for each in chain.client.list_statistics(play.name)]
        computed = await chain.client.compute_statistics(play.name)
        assert [(each.kind, each.participant_id) for each in kept] == [
            (each.kind, each.participant_id) for each in computed
        ]
        assert [each.value for each in kept] == pytest.approx([each.value for each in computed], abs=2e-4)
        assert all(each.revision == 1 and each.HasField("create_time") for each in kept)


async def test_leaders_add_up_what_is_kept(chain: Chain, passes: Sequence[Play]) -> None:
    kept = [each async for each in chain.client.list_statistics("games/leaders")]
    for kind in KINDS:
        value = pb.StatisticKind.Value(f"STATISTIC_KIND_{kind.upper().replace('-', '_')}")
        values = defaultdict(list)
        for each in kept:
            if each.kind == value:
                values[each.participant_id].append(each.value)
        found = await board(chain, kind)
        assert {each.id: each.attempts for each in found} == {name: len(of) for name, of in values.items()}
        assert {each.id: each.total for each in found} == pytest.approx({name: sum(of) for name, of in values.items()})
        assert [each.shrunk_mean for each in found] == sorted((each.shrunk_mean for each in found), reverse=True)
    assert [each.id for each in await board(chain, "coverage", "position")]


async def test_all_pages_are_of_the_state_at_the_first(chain: Chain, passes: Sequence[Play]) -> None:
    whole = await board(chain, "coverage")
    pages = chain.client.list_leaders("coverage", season=SEASON, page_size=2)
    found = list((await anext(pages)).leaders)
    game = replace(chain.simulated.game, game_id="meanwhile", season=SEASON, week=4)
    more = replace(chain.passes[4], game_id=game.game_id)
    await send(chain, game, [more])
    await until(chain, game.name, lambda kept: len(kept) > 0)
    found += [leader async for page in pages for leader in page.leaders]
    assert found == whole
    assert sum(each.attempts for each in await board(chain, "coverage")) > sum(each.attempts for each in whole)


async def test_a_corrected_play_counts_anew_and_its_old_statistics_stay_visible(chain: Chain) -> None:
    game = replace(chain.simulated.game, game_id="corrected", season=SEASON + 1)
    play = replace(chain.passes[1], game_id=game.game_id)
    await send(chain, game, [play])
    before = await until(chain, play.name, lambda kept: len(kept) > 0)
    decision = pb.STATISTIC_KIND_DECISION
    assert decision in {each.kind for each in before}
    await chain.client.update_play(replace(play, situation=replace(play.situation, down=0)))
    after = await until(chain, play.name, lambda kept: {each.revision for each in kept} == {2})
    assert decision not in {each.kind for each in after}
    everything = [each async for each in chain.client.list_statistics(play.name, superseded=True)]
    assert [each.HasField("supersede_time") for each in everything] == [True] * len(before) + [False] * len(after)
    pages = [page async for page in chain.client.list_leaders("decision", season=SEASON + 1)]
    assert [page.total_size for page in pages] == [0]


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({}, "kind", "FIELD_REQUIRED"),
        ({"kind": 99}, "kind", "FIELD_INVALID"),
        ({"kind": 1, "group": 9}, "group", "FIELD_INVALID"),
        ({"kind": 1, "order_by": "luck"}, "order_by", "FIELD_INVALID"),
        ({"kind": 1, "season": -1}, "season", "FIELD_INVALID"),
        ({"kind": 1, "first_week": 5, "last_week": 4}, "last_week", "FIELD_INVALID"),
        ({"kind": 1, "page_size": 1_001}, "page_size", "FIELD_INVALID"),
        ({"kind": 1, "page_token": "mine"}, "page_token", "PAGE_TOKEN_INVALID"),
    ],
)
async def test_a_leaderboard_that_cannot_be_is_refused_by_field(
    chain: Chain, fields: dict[str, object], field: str, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await chain.client.statistics.ListLeaders(wire.view(pb.ListLeadersRequest)(**fields))
    assert failure(error.value).reason == reason
    assert list(failure(error.value).fields) == [field]


@pytest.mark.parametrize("parent", ["", "leaders", "games/leaders/plays/", "plays/1"])
async def test_statistics_of_what_is_no_game_and_no_play_are_refused(chain: Chain, parent: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await anext(chain.client.list_statistics(parent))
    assert failure(error.value).reason == "NAME_INVALID"
    assert list(failure(error.value).fields) == ["parent"]


async def test_statistics_are_listed_in_pages_each_once(chain: Chain, passes: Sequence[Play]) -> None:
    request = wire.view(pb.ListStatisticsRequest)(parent="games/leaders", page_size=4)
    found = []
    while not found or request.page_token:
        page = await chain.client.statistics.ListStatistics(request)
        found += page.statistics
        request.page_token = page.next_page_token
    assert found == [each async for each in chain.client.list_statistics("games/leaders")]


async def test_a_page_token_is_good_for_its_own_leaderboard_only(chain: Chain, passes: Sequence[Play]) -> None:
    request = wire.view(pb.ListLeadersRequest)(kind=pb.STATISTIC_KIND_COVERAGE, page_size=1)
    token = (await chain.client.statistics.ListLeaders(request)).next_page_token
    other = wire.view(pb.ListLeadersRequest)(kind=pb.STATISTIC_KIND_SEPARATION, page_size=1, page_token=token)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await chain.client.statistics.ListLeaders(other)
    assert failure(error.value).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("suffix", leaders.SUFFIXES)
async def test_the_command_writes_the_leaderboard_as_a_table(
    chain: Chain, passes: Sequence[Play], tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"leaders{suffix}"
    arguments = ("leaders", "coverage", f"--season={SEASON}", "--last-week=3", f"--out={out}")
    told = json.loads(run(chain, tmp_path, *arguments, "--json"))
    written = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(out, schema=leaders.SCHEMA)
    pages = chain.client.list_leaders("coverage", season=SEASON, weeks=(0, 3))
    expected = leaders.frame([each async for page in pages for each in page.leaders])
    assert len(expected) == told["total_size"] == len(told["leaders"]) > 0
    assert written.equals(expected)
    assert expected["display_name"][0] in run(chain, tmp_path, *arguments)
