"""Who watches plays is told of what is new, the latest of each."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ghostback.play import PlayState
from services.ingest.policies import POLICIES, Policy
from services.ingest.rows import StoredPlay
from services.ingest.store import Store
from services.ingest.watch import Watch
from simulator.game import SimulatedGame, simulate_game


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(6, 3)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, game: SimulatedGame) -> Iterator[Store]:
    opened = Store(str(request.getfixturevalue(request.param)), Policy(POLICIES["live"]))
    opened.put_game(game.game)
    yield opened
    opened.close()


def told(news: list[StoredPlay]) -> list[tuple[str, str, str]]:
    return [(stored.play.play_id, stored.play.state, stored.play.description) for stored in news]


def test_changes_of_live_plays_are_told_from_now_on_and_of_several_the_latest(
    store: Store, game: SimulatedGame
) -> None:
    first, second, third = (replace(play, state=PlayState.LIVE, description="") for play in game.plays)
    store.put_play(first)
    watch = Watch(store, game.game.game_id, 0, live=True)
    assert watch.news() == []
    store.put_play(second)
    store.put_play(replace(first, description="snap"))
    store.put_play(replace(first, description="pass"))
    store.put_play(replace(third, state=PlayState.COMPLETE))
    assert told(watch.news()) == [
        (first.play_id, "LIVE", "pass"),
        (second.play_id, "LIVE", ""),
        (third.play_id, "COMPLETE", ""),
    ]
    store.put_play(second)
    assert watch.news() == []
    store.put_play(replace(first, state=PlayState.COMPLETE))
    assert told(watch.news()) == [(first.play_id, "COMPLETE", "")]


def test_of_more_changes_than_are_told_at_once_none_is_lost(store: Store, game: SimulatedGame) -> None:
    plays = [replace(game.plays[0], play_id=f"p{i:03}", state=PlayState.LIVE) for i in range(150)]
    watch = Watch(store, "", 0, live=True)
    assert watch.news() == []
    for play in plays:
        store.put_play(play)
    first, second = watch.news(), watch.news()
    assert len(first) < len(plays)
    assert sorted(stored.play.play_id for stored in first + second) == [play.play_id for play in plays]
    assert watch.news() == []


def test_who_did_not_ask_for_live_plays_is_told_of_none(store: Store, game: SimulatedGame) -> None:
    watch = Watch(store, "", 0, live=False)
    store.put_play(replace(game.plays[0], state=PlayState.LIVE))
    assert watch.news() == []
