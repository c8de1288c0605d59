"""What replicas know together, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.common.database import migrate
from services.common.errors import Aborted, FailedPrecondition, NotFound
from services.predict.rollouts import machine
from services.predict.rollouts.machine import State
from services.predict.rollouts.schema import MIGRATIONS
from services.predict.rollouts.store import Event, Judgement, Store
from services.predict.rollouts.tally import Pairs, Tally
from tests.unit.predict.rollouts.rollout import START, policy

ANN = Event("ann", "create", "2.1.0 is more accurate")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    opened.pin({"ghosting": "2.0.0", "other": "1.0"})
    yield opened
    opened.close()


def act(action: str, actor: str = "ann") -> Event:
    return Event(actor, action, "because")


def test_the_version_in_service_is_pinned_once(store: Store) -> None:
    store.pin({"ghosting": "9.0"})
    assert store.in_service() == ({"ghosting": "2.0.0", "other": "1.0"}, [])


def test_a_model_has_one_active_rollout(store: Store) -> None:
    rollout = store.create(policy(), ANN, START)
    assert store.in_service()[1] == [rollout]
    with pytest.raises(FailedPrecondition, match="rollouts/1 is active"):
        store.create(policy(), ANN, START)
    assert store.create(policy(model="other"), ANN, START).number == 1
    store.change(rollout, machine.abort(rollout, START), act("abort"), START)
    assert store.create(policy(), ANN, START).number == 2
    with pytest.raises(NotFound, match="no model 'none'"):
        store.create(policy(model="none"), ANN, START)


def test_of_two_people_at_once_the_second_is_told_the_present_revision(store: Store) -> None:
    seen = store.create(policy(), ANN, START)
    store.change(seen, machine.pause(seen), act("pause"), START)
    with pytest.raises(Aborted, match="it is paused at revision 2 now") as error:
        store.change(seen, machine.abort(seen, START), act("abort", "bob"), START)
    assert error.value.metadata == {"etag": "2"}
    assert store.get("ghosting", 1).state is State.PAUSED


def test_another_replica_sees_a_change_and_goes_on_in_the_middle_of_a_step(store: Store, url: str) -> None:
    rollout = store.create(policy(), ANN, START)
    store.count("one", rollout, {"candidate": Tally(calls=60), "stable": Tally(calls=900)})
    other = Store(url)
    (found,) = other.in_service()[1]
    other.count("two", found, {"candidate": Tally(calls=40)})
    calls = {arm: tally.calls for arm, tally in other.tallies(found).items()}
    assert calls == {"candidate": 100, "stable": 900}
    action, after = machine.follow(found, {}, calls, START + timedelta(seconds=60))
    assert (action, other.change(found, after, act(action), START).step) == ("advance", 1)
    assert store.get("ghosting", 1).step == 1
    other.close()


def test_the_winner_is_in_service_until_its_rollout_is_undone(store: Store) -> None:
    first = store.create(policy(), ANN, START)
    first = store.change(first, machine.promote(first, "", True, {}, START), act("promote"), START)
    assert store.in_service() == ({"ghosting": "2.1.0", "other": "1.0"}, [])
    undone = store.change(first, machine.roll_back(first, START), act("roll_back"), START)
    assert store.in_service()[0]["ghosting"] == "2.0.0"
    assert undone.state is State.ROLLED_BACK


def test_a_success_is_not_undone_under_a_later_rollout(store: Store) -> None:
    first = store.create(policy(), ANN, START)
    first = store.change(first, machine.promote(first, "", True, {}, START), act("promote"), START)
    store.create(policy(arms={"candidate": "2.2.0"}), ANN, START)
    with pytest.raises(FailedPrecondition, match="rollouts/2 came after 1"):
        store.change(first, machine.roll_back(first, START), act("roll_back"), START)
    assert store.get("ghosting", 1) == first


def test_a_play_is_judged_once(store: Store) -> None:
    rollout = store.create(policy(), ANN, START)
    judgements = [Judgement(f"games/g/plays/{i}", "candidate", 2.0 + i, 1.0 + i, -0.1, -0.2) for i in range(3)]
    assert store.judge(rollout, judgements[:2]) == 2
    assert store.judge(rollout, judgements) == 1
    pairs = store.tallies(rollout)["candidate"]
    expected = sum((Pairs.of_play(each.arm_ade, each.stable_ade) for each in judgements), Pairs())
    assert pairs.ade == expected
    assert pairs.ts.n == 3
    assert pairs.ts.candidate == pytest.approx(-0.6)


def test_forecasts_are_judged_by_their_loss_alone(store: Store) -> None:
    rollout = store.create(policy(), ANN, START)
    judgements = [
        Judgement(f"games/g/plays/{i}", "candidate", 0, 0, 0, 0, stable_loss=0.5, arm_loss=0.25 * i) for i in range(3)
    ]
    store.judge(rollout, judgements)
    tally = store.tallies(rollout)["candidate"]
    assert tally.loss == sum((Pairs.of_play(0.25 * i, 0.5) for i in range(3)), Pairs())
    assert tally.ade.n == tally.ts.n == 0


def test_a_replica_that_counts_again_replaces_what_it_counted(store: Store) -> None:
    rollout = store.create(policy(), ANN, START)
    for calls in (1, 5):
        store.count("one", rollout, {"candidate": Tally(calls=calls)})
    assert store.tallies(rollout)["candidate"].calls == 5


def test_the_log_tells_who_did_what_why_and_what_came_of_it(store: Store) -> None:
    rollout = store.create(policy(), ANN, START)
    event = Event("bob", "pause", "game day", '{"calls": 3}')
    paused = store.change(rollout, machine.pause(rollout), event, START + timedelta(seconds=5))
    second, first = store.events("ghosting", 1, 0, 10)
    assert (first.actor, first.action, first.reason, first.before) == ("ann", "create", "2.1.0 is more accurate", "")
    assert (second.actor, second.action, second.reason, second.evidence) == ("bob", "pause", "game day", '{"calls": 3}')
    assert (second.before, second.after) == (rollout.model_dump_json(), paused.model_dump_json())
    assert [event.id for event in store.events("", 0, second.id, 10)] == [first.id]
    assert store.events("other", 0, 0, 10) == []


def test_the_log_can_only_be_added_to(store: Store) -> None:
    store.create(policy(), ANN, START)
    for statement in ("UPDATE rollout_events SET actor = 'eve'", "DELETE FROM rollout_events"):
        with store._database.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="can only be added to"):
                connection.execute(text(statement))
    assert [event.actor for event in store.events("", 0, 0, 10)] == ["ann"]


def test_the_migrations_lead_to_the_tables_that_the_code_uses(store: Store) -> None:
    migrate(store._database.engine, MIGRATIONS, "check")
