"""Statistics that are kept, on SQLite and on PostgreSQL."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ghostback.play import Game, Play
from services.common.database import migrate
from services.score.leaderboards import By, Selection, Sums
from services.score.schema import MIGRATIONS
from services.score.statistics import Kind, Statistic
from services.score.store import Store
from simulator.game import simulate_game

SIMULATED = simulate_game(4, 3)
GAME, PLAYS = SIMULATED.game, SIMULATED.plays
ANN = Statistic(Kind.COMPLETION, "1", "Ann", "IVY", "QB", 0.25, 1.0, 0.75, ("models/pass-outcome/versions/1.0.0",))
BOB = Statistic(Kind.CATCH, "2", "Bob", "IVY", "WR", 0.5, 1.0, 0.5, ())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def keep(
    store: Store, play: Play, revision: int, statistics: Sequence[Statistic], token: str = "", game: Game = GAME
) -> None:
    store.keep(play, game, revision, statistics, token)


def known(store: Store, superseded: bool = False) -> list[tuple[int, Statistic]]:
    return [(each.revision, each.statistic) for each in store.of(GAME.game_id, "", superseded, 0, 100)]


def test_what_was_kept_is_there_after_a_new_start_with_where_to_go_on(store: Store, url: str) -> None:
    assert store.resume_token() == ""
    keep(store, PLAYS[0], 1, [ANN, BOB], "first")
    keep(store, PLAYS[1], 1, [], "second")
    again = Store(url)
    assert again.resume_token() == "second"
    assert known(again) == [(1, ANN), (1, BOB)]
    again.close()


def test_it_is_known_after_a_new_start_how_far_a_rollout_was_judged(store: Store, url: str) -> None:
    began, anew = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    for token in ("first", "second"):
        store.keep_judged("models/ghosting/rollouts/1", began, token)
    again = Store(url)
    assert again.judged("models/ghosting/rollouts/1", began) == "second"
    assert again.judged("models/ghosting/rollouts/1", anew) == ""
    assert again.judged("models/ghosting/rollouts/2", began) == ""
    again.close()


def test_a_correction_takes_the_place_of_what_was_kept_and_leaves_it_visible(store: Store) -> None:
    keep(store, PLAYS[0], 1, [ANN, BOB])
    better = replace(ANN, value=0.125)
    keep(store, PLAYS[0], 3, [better])
    assert known(store) == [(3, better)]
    first, second, third = store.of(GAME.game_id, PLAYS[0].play_id, True, 0, 100)
    assert [first.statistic, second.statistic, third.statistic] == [ANN, BOB, better]
    assert first.superseded == second.superseded == third.created
    assert third.superseded is None
    assert first.created <= third.created


def test_a_correction_may_leave_nothing(store: Store) -> None:
    keep(store, PLAYS[0], 1, [ANN])
    keep(store, PLAYS[0], 2, [])
    assert known(store) == []
    assert known(store, superseded=True) == [(1, ANN)]


def test_a_revision_is_kept_once_and_an_earlier_one_comes_too_late(store: Store) -> None:
    keep(store, PLAYS[0], 2, [ANN], "first")
    keep(store, PLAYS[0], 2, [ANN, BOB], "second")
    keep(store, PLAYS[0], 1, [BOB], "third")
    assert known(store, superseded=True) == [(2, ANN)]
    assert store.resume_token() == "third"


def test_a_play_is_kept_whole_or_not_at_all(store: Store) -> None:
    keep(store, PLAYS[0], 1, [ANN], "first")
    with pytest.raises(ValueError, match="NaN"):
        keep(store, PLAYS[0], 2, [BOB, replace(ANN, value=float("nan"))], "second")
    assert known(store) == [(1, ANN)]
    assert store.resume_token() == "first"
    assert [each.revision for each in store.kept_after(0, "", 10)] == [1]


def test_replicas_that_keep_the_same_plays_at_once_count_each_once(store: Store, url: str) -> None:
    other = Store(url)

    def work(replica: Store) -> None:
        for revision in (1, 2):
            for play in PLAYS:
                keep(replica, play, revision, [ANN])

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(work, replica) for replica in (store, other)]:
            done.result()
    other.close()
    assert [each.attempts for each in store.sums(Selection(Kind.COMPLETION), store.latest())] == [len(PLAYS)]
    assert len(known(store, superseded=True)) == 2 * len(PLAYS)


def test_statistics_are_listed_page_by_page(store: Store) -> None:
    for play in PLAYS:
        keep(store, play, 1, [ANN, BOB])
    first = store.of(GAME.game_id, "", False, 0, 4)
    rest = store.of(GAME.game_id, "", False, first[-1].id, 4)
    assert [each.play for each in (*first, *rest)] == [play.name for play in PLAYS for _ in range(2)]
    assert store.of("other", "", False, 0, 4) == []


def test_plays_are_told_in_the_order_of_keeping_with_what_was_kept_then(store: Store) -> None:
    assert store.latest() == 0
    keep(store, PLAYS[1], 1, [BOB])
    keep(store, PLAYS[0], 1, [])
    keep(store, replace(PLAYS[0], game_id="other"), 1, [ANN])
    keep(store, PLAYS[1], 2, [ANN, BOB])
    kept = store.kept_after(0, "", 10)
    assert [(each.play, each.revision, each.corrected, each.statistics) for each in kept] == [
        (PLAYS[1].name, 1, False, (BOB,)),
        (PLAYS[0].name, 1, False, ()),
        (f"games/other/plays/{PLAYS[0].play_id}", 1, False, (ANN,)),
        (PLAYS[1].name, 2, True, (ANN, BOB)),
    ]
    assert store.kept_after(kept[1].sequence, "", 1) == [kept[2]]
    assert store.kept_after(kept[0].sequence, GAME.game_id, 10) == [kept[1], kept[3]]
    assert store.latest() == kept[3].sequence


def test_sums_are_of_those_who_are_asked_for(store: Store) -> None:
    other_week = replace(GAME, week=GAME.week + 1)
    keep(store, PLAYS[0], 1, [ANN, BOB, replace(ANN, participant_id="3", display_name="Cy", team_id="HAR")])
    keep(store, PLAYS[1], 1, [replace(ANN, value=-0.5, team_id="OAK")], game=other_week)

    def sums(*more: object, **which: object) -> list[tuple[str, str, int, int]]:
        found = store.sums(Selection(Kind.COMPLETION, *more, **which), store.latest())  # type: ignore[arg-type]
        return sorted((each.id, each.team_id, each.attempts, each.total) for each in found)

    assert sums() == [("1", "OAK", 2, -2500), ("3", "HAR", 1, 2500)]
    assert sums(By.TEAM) == [("HAR", "HAR", 1, 2500), ("IVY", "IVY", 1, 2500), ("OAK", "OAK", 1, -5000)]
    assert sums(By.POSITION) == [("QB", "", 3, 0)]
    assert sums(first_week=GAME.week + 1) == [("1", "OAK", 1, -5000)]
    assert sums(last_week=GAME.week) == [("1", "IVY", 1, 2500), ("3", "HAR", 1, 2500)]
    assert sums(season=GAME.season + 1) == []
    assert sums(team_ids=("HAR",)) == [("3", "HAR", 1, 2500)]
    assert sums(positions=("WR",)) == []
    assert store.sums(Selection(Kind.CATCH), store.latest()) == [
        Sums("2", "Bob", "IVY", "WR", 1, 5_000, 25_000_000),
    ]


def test_a_player_is_known_by_the_leagues_id_in_every_game(store: Store) -> None:
    passer, receiver = PLAYS[0].participants[0], PLAYS[0].participants[6]
    known_by = {passer.participant_id: "00-0001", receiver.participant_id: ""}
    people = tuple(
        replace(each, league_player_id=known_by.get(each.participant_id, "")) for each in PLAYS[0].participants
    )
    named = [replace(ANN, participant_id=name) for name in known_by]
    keep(store, replace(PLAYS[0], participants=people), 1, named)
    keep(store, PLAYS[1], 1, [replace(ANN, participant_id="00-0001")])
    found = store.sums(Selection(Kind.COMPLETION), store.latest())
    assert {each.id: each.attempts for each in found} == {"00-0001": 2, receiver.participant_id: 1}


def test_sums_of_a_moment_stay_what_they_were(store: Store) -> None:
    keep(store, PLAYS[0], 1, [ANN])
    then = store.latest()
    before = store.sums(Selection(Kind.COMPLETION), then)
    keep(store, PLAYS[0], 2, [replace(ANN, value=0.5)])
    keep(store, PLAYS[1], 1, [ANN])
    assert store.sums(Selection(Kind.COMPLETION), then) == before
    assert store.sums(Selection(Kind.COMPLETION), store.latest()) != before


def test_without_a_database_it_is_kept_in_memory_for_any_number_of_threads() -> None:
    store = Store("sqlite://")
    with ThreadPoolExecutor(4) as threads:
        keeping = [threads.submit(keep, store, play, revision, [ANN]) for revision in (1, 2) for play in PLAYS]
        reading = [threads.submit(known, store) for _ in range(8)]
        for done in (*keeping, *reading):
            done.result()
    store.check()
    assert known(store) == [(2, ANN)] * len(PLAYS)
    store.close()


def test_the_migrations_lead_to_the_tables_that_the_code_uses(store: Store) -> None:
    migrate(store._database.engine, MIGRATIONS, "check")
