"""What is stored stays, once."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from ghostback.play import PlayState, Samples
from services.common.database import migrate
from services.common.errors import NotFound, ResourceExhausted, Unavailable
from services.ingest.policies import POLICIES, Policy, Reason
from services.ingest.rows import Batch
from services.ingest.schema import MIGRATIONS
from services.ingest.store import Receipt, Store
from simulator.game import SimulatedGame, simulate_game


@pytest.fixture(scope="module")
def game() -> SimulatedGame:
    return simulate_game(5, 3)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    name = request.param
    return str(request.getfixturevalue(name))


@pytest.fixture
def sqlite_store(sqlite: str, game: SimulatedGame) -> Iterator[Store]:
    opened = opened_with(sqlite, game)
    yield opened
    opened.close()


@pytest.fixture
def store(url: str, game: SimulatedGame) -> Iterator[Store]:
    opened = opened_with(url, game)
    yield opened
    opened.close()


def opened_with(url: str, game: SimulatedGame, policy: str = "strict") -> Store:
    opened = Store(url, Policy(POLICIES[policy]))
    opened.put_game(game.game)
    for play in game.plays:
        opened.put_play(play)
    return opened


def append(store: Store, key: tuple[str, str], samples: Samples) -> Receipt:
    (receipt,) = store.append([Batch(key, samples)])
    assert isinstance(receipt, Receipt)
    return receipt


def ids(game: SimulatedGame, i: int = 0) -> tuple[str, str]:
    return game.game.game_id, game.plays[i].play_id


def test_samples_come_back_as_they_were(store: Store, game: SimulatedGame) -> None:
    receipt = append(store, ids(game), game.plays[0].samples)
    assert receipt.accepted == len(game.plays[0].samples)
    assert store.trajectories(*ids(game)).samples == game.plays[0].samples.sorted_by_frame()


def test_a_replay_is_dropped_also_after_a_restart(url: str, game: SimulatedGame) -> None:
    samples = game.plays[0].samples
    half = samples.take(slice(0, len(samples) // 2))
    first = opened_with(url, game)
    append(first, ids(game), half)
    first.close()
    second = opened_with(url, game)
    receipt = append(second, ids(game), samples)
    assert (receipt.duplicates, receipt.accepted) == (len(half), len(samples) - len(half))
    assert second.trajectories(*ids(game)).samples == samples.sorted_by_frame()
    second.close()


def test_a_replayed_faulty_sample_is_quarantined_once(store: Store, game: SimulatedGame) -> None:
    faulty = replace(game.plays[0].samples, x=np.full(len(game.plays[0].samples), np.nan, np.float32))
    assert append(store, ids(game), faulty).quarantined == {Reason.NOT_FINITE: len(faulty)}
    again = append(store, ids(game), faulty)
    assert (again.duplicates, again.quarantined) == (len(faulty), {})
    assert store.quality(*ids(game)).quarantined == {Reason.NOT_FINITE: len(faulty)}


@pytest.mark.parametrize("together", [True, False])
def test_another_value_for_the_same_tag_and_frame_is_quarantined(
    store: Store, game: SimulatedGame, together: bool
) -> None:
    one = game.plays[0].samples.take(slice(0, 1))
    other = replace(one, y=one.y + np.float32(0.01))
    if together:
        receipt = append(store, ids(game), Samples.concatenate([one, other]))
    else:
        append(store, ids(game), one)
        receipt = append(store, ids(game), other)
    assert receipt.quarantined == {Reason.CONFLICTING_DUPLICATE: 1}
    assert store.trajectories(*ids(game)).samples == one


def test_the_quarantine_gives_samples_back_as_they_were_sent(store: Store, game: SimulatedGame) -> None:
    samples = game.plays[0].samples.take(slice(0, 5))
    far = replace(samples, x=samples.x + np.float32(500))
    append(store, ids(game), far)
    listed, reasons, more = store.quarantined(*ids(game), 0, 3)
    assert (listed, reasons.tolist(), more) == (far.take(slice(0, 3)), [Reason.OFF_FIELD] * 3, True)
    rest, _, more = store.quarantined(*ids(game), 3, 3)
    assert (rest, more) == (far.take(slice(3, 5)), False)


def test_a_correction_of_a_play_that_is_over_is_a_new_revision_told_again(store: Store, game: SimulatedGame) -> None:
    game_id, play_id = ids(game)
    before = store.completed(game_id, 0, 10)
    assert [stored.play.play_id for stored in before] == [play.play_id for play in game.plays]
    corrected = store.put_play(replace(game.plays[0], description="corrected"))
    assert corrected.revision == 2
    assert [s.play.play_id for s in store.completed(game_id, before[-1].completed or 0, 10)] == [play_id]


def test_plays_of_all_games_are_told_in_the_order_of_completion_from_a_time_on(
    store: Store, game: SimulatedGame
) -> None:
    before = store.completed(game.game.game_id, 0, 100)
    assert store.completed("", 0, 100) == before
    now = time.time_ns() // 1000
    other = replace(game.game, game_id="other")
    store.put_game(other)
    later = [store.put_play(replace(game.plays[i], game_id="other")) for i in (1, 0)]
    corrected = store.put_play(replace(game.plays[2], description="corrected"))
    assert store.completed("", now, 100) == [*later, corrected]
    assert [stored.completed for stored in before] == sorted({stored.completed for stored in before})


def test_a_server_whose_clock_is_behind_completes_plays_in_their_place(
    postgresql: str, game: SimulatedGame, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = Store(postgresql, Policy(POLICIES["strict"])), time.time_ns()
    store.put_game(game.game)
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600_000_000_000)
    completed = store.put_play(game.plays[0])
    assert store.completed("", now // 1000, 1) == [completed]
    store.close()


def test_the_same_metadata_again_is_no_correction(store: Store, game: SimulatedGame) -> None:
    before = store.play(*ids(game))
    assert store.put_play(game.plays[0]) == before


def test_an_earlier_revision_keeps_its_metadata_and_samples(store: Store, game: SimulatedGame) -> None:
    play, (game_id, play_id) = game.plays[0], ids(game)
    samples, half = play.samples.sorted_by_frame(), len(play.samples) // 2
    append(store, ids(game), samples.take(slice(0, half)))
    store.put_play(replace(play, description="corrected"))
    append(store, ids(game), samples.take(slice(half, None)))
    assert [store.play(game_id, play_id, n).play.description for n in (1, 2, 0)] == [play.description] + 2 * [
        "corrected"
    ]
    assert store.trajectories(game_id, play_id, 1).samples == samples.take(slice(0, half))
    assert store.trajectories(game_id, play_id).samples == samples
    with pytest.raises(NotFound, match=f"plays/{play_id} has no revision 3, the latest is 2"):
        store.play(game_id, play_id, 3)


def test_samples_that_are_sent_again_make_a_revision_of_their_own(store: Store, game: SimulatedGame) -> None:
    play = game.plays[0]
    corrected = replace(play.samples, y=play.samples.y + np.float32(0.25))
    append(store, ids(game), play.samples)
    lost = replace(play.samples.take(slice(0, 3)), x=np.full(3, np.nan, np.float32), frame=np.full(3, 900, np.int32))
    append(store, ids(game), lost)
    assert store.put_play(play, resend=True).revision == 2
    assert len(store.trajectories(*ids(game)).samples) == 0
    assert append(store, ids(game), corrected).accepted == len(corrected)
    assert store.trajectories(*ids(game)).samples == corrected.sorted_by_frame()
    assert store.trajectories(*ids(game), 1).samples == play.samples.sorted_by_frame()
    quality = store.quality(*ids(game))
    assert (quality.accepted, quality.quarantined) == (len(corrected), {})


def test_a_replay_of_the_quarantine_keeps_the_samples_of_the_revision_before(url: str, game: SimulatedGame) -> None:
    samples = game.plays[0].samples
    fast = replace(samples, speed=np.where(np.arange(len(samples)) % 50 == 7, np.float32(40), samples.speed))
    kept = opened_with(url, game, "archive")
    append(kept, ids(game), fast)
    before = kept.trajectories(*ids(game)).samples
    kept.close()
    strict = opened_with(url, game)
    for again in (False, True):
        assert (strict.judge_again(*ids(game)).withheld > 0) is not again
        assert strict.play(*ids(game)).revision == 2
        assert len(strict.trajectories(*ids(game)).samples) < len(before)
        assert strict.trajectories(*ids(game), 1).samples == before
    strict.close()


def test_a_live_play_is_not_told_as_over(store: Store, game: SimulatedGame) -> None:
    live = replace(game.plays[0], play_id="live", state=PlayState.LIVE)
    assert store.put_play(live).completed is None


def test_what_is_not_there_is_told(store: Store, game: SimulatedGame) -> None:
    with pytest.raises(NotFound, match="games/none"):
        store.game("none")
    samples = game.plays[0].samples
    stored, error = store.append([Batch(ids(game), samples), Batch((game.game.game_id, "none"), samples)])
    assert isinstance(stored, Receipt)
    assert isinstance(error, NotFound)
    assert "plays/none" in error.message
    with pytest.raises(NotFound):
        store.plays("none", 0, 10)


def test_a_tag_of_another_play_is_told_from_one_that_nobody_knows(store: Store, game: SimulatedGame) -> None:
    first, second = (
        {tag: p for p in play.participants for tag in p.tag_ids} for play in (game.plays[0], game.plays[1])
    )
    missing = max(first.keys() & second.keys())
    rest = tuple(p for p in game.plays[0].participants if p is not first[missing])
    store.put_play(replace(game.plays[0], participants=rest))
    samples = game.plays[0].samples.take(slice(0, 2))
    strange = replace(samples, tag_id=np.array([missing, 4_000_000_000], np.uint64))
    assert append(store, ids(game), strange).quarantined == {Reason.NOT_IN_ROSTER: 1, Reason.UNKNOWN_TAG: 1}


def test_a_corrected_roster_and_a_replay_release_what_was_in_quarantine(store: Store, game: SimulatedGame) -> None:
    play = game.plays[0]
    left_out = play.participants[0]
    store.put_play(replace(play, participants=play.participants[1:], state=PlayState.LIVE))
    held = append(store, ids(game), play.samples).quarantined
    n_held = int(np.isin(play.samples.tag_id, np.array(left_out.tag_ids, np.uint64)).sum())
    assert held == {Reason.NOT_IN_ROSTER: n_held}
    revision = store.put_play(play).revision
    changed = store.judge_again(*ids(game))
    assert (changed.released, changed.withheld, changed.quarantined) == (n_held, 0, {})
    assert store.trajectories(*ids(game)).samples == play.samples.sorted_by_frame()
    assert store.play(*ids(game)).revision == revision + 1
    again = store.judge_again(*ids(game))
    assert (again.released, store.play(*ids(game)).revision) == (0, revision + 1)
    assert append(store, ids(game), play.samples).duplicates == len(play.samples)


def test_a_replay_under_stricter_rules_loses_no_sample(url: str, game: SimulatedGame) -> None:
    samples = game.plays[0].samples
    spiked = replace(samples, x=np.where(np.arange(len(samples)) % 50 == 7, samples.x + 8, samples.x))
    kept = opened_with(url, game, "archive")
    assert append(kept, ids(game), spiked).accepted == len(spiked)
    kept.close()
    strict = opened_with(url, game)
    changed = strict.judge_again(*ids(game))
    assert changed.withheld == changed.quarantined[Reason.DISPLACEMENT] > 0
    listed, _, _ = strict.quarantined(*ids(game), 0, len(samples))
    union = Samples.concatenate([strict.trajectories(*ids(game)).samples, listed])
    assert union.sorted_by_frame() == spiked.sorted_by_frame()
    strict.close()


def test_the_quality_report_counts_faults_that_are_kept(url: str, game: SimulatedGame) -> None:
    samples = game.plays[0].samples
    hole = samples.take(~((samples.frame > 20) & (samples.frame < 24) & (samples.tag_id == samples.tag_id.max())))
    fast = replace(hole, speed=np.where(np.arange(len(hole)) == 30, np.float32(13), hole.speed))
    archive = opened_with(url, game, "archive")
    append(archive, ids(game), fast)
    assert dict(archive.quality(*ids(game)).kept) == {Reason.GAP: 3, Reason.SPEED: 1}
    archive.close()


def test_a_named_stream_goes_on_at_its_first_batch_that_is_not_on_disk(store: Store, game: SimulatedGame) -> None:
    key, unknown, samples = ids(game), (game.game.game_id, "none"), game.plays[0].samples
    parts = [samples.take(slice(i, i + 10)) for i in range(0, 50, 10)]
    assert store.next_sequence("feed") == 0
    store.append([Batch(key, parts[0], "feed", 0), Batch(key, parts[1], "feed", 1), Batch(key, parts[0], "other", 0)])
    assert (store.next_sequence("feed"), store.next_sequence("other")) == (2, 1)
    store.append([Batch(unknown, parts[2], "feed", 2), Batch(key, parts[3], "feed", 3)])
    store.append([Batch(key, parts[4], "feed", 4)])
    assert store.next_sequence("feed") == 2
    store.append([Batch(key, part, "feed", i) for i, part in enumerate(parts)])
    assert store.next_sequence("feed") == 5


def test_two_servers_on_one_postgresql_know_of_each_others_writes(postgresql: str, game: SimulatedGame) -> None:
    first, second = opened_with(postgresql, game), Store(postgresql, Policy(POLICIES["strict"]))
    samples = game.plays[0].samples
    for i, rows in enumerate(np.array_split(np.arange(len(samples)), 6)):
        part = samples.take(rows)
        assert append((first, second)[i % 2], ids(game), part).accepted == len(part)
        assert append((second, first)[i % 2], ids(game), part).duplicates == len(part)
    assert (
        first.trajectories(*ids(game)).samples == second.trajectories(*ids(game)).samples == samples.sorted_by_frame()
    )
    first.close()
    second.close()


def test_the_migrations_lead_to_the_tables_that_the_code_uses(store: Store) -> None:
    migrate(store._database.engine, MIGRATIONS, "check")


def test_a_second_server_on_the_same_sqlite_file_is_refused(sqlite_store: Store, sqlite: str) -> None:
    with pytest.raises(OSError, match="another server"):
        Store(sqlite, Policy(POLICIES["strict"]))


def test_a_full_disk_keeps_nothing_of_the_batch_and_recovers(sqlite_store: Store, game: SimulatedGame) -> None:
    def allow(pages: int) -> None:
        with sqlite_store._database.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    allow(1)
    with pytest.raises(ResourceExhausted, match="nothing of it was kept"):
        append(sqlite_store, ids(game), game.plays[0].samples)
    allow(1_000_000)
    assert append(sqlite_store, ids(game), game.plays[0].samples).accepted == len(game.plays[0].samples)


def test_a_database_locked_by_somebody_else_is_told_as_unavailable(
    sqlite_store: Store, sqlite: str, game: SimulatedGame
) -> None:
    with sqlite_store._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    other = sqlite3.connect(sqlite.removeprefix("sqlite:///"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        append(sqlite_store, ids(game), game.plays[0].samples)
    other.rollback()
    other.close()
    assert append(sqlite_store, ids(game), game.plays[0].samples).accepted
