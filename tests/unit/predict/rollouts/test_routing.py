"""Who answers a call."""

from pathlib import Path

import pytest

from services.common.errors import FailedPrecondition, InvalidInput
from services.predict.manifest import read
from services.predict.registry import ModelVersion, Registry, State
from services.predict.rollouts.policy import RoutingKey
from services.predict.routing import Router
from tests import plugins
from tests.unit.predict.rollouts.rollout import rollout


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    versions = {}
    for version in ("2.0.0", "2.1.0", "3.0.0"):
        folder = plugins.plugin(version).install(tmp_path, f"v{version[0]}_{version[2]}")
        each = ModelVersion(read(folder), folder, "quick-models 0.1", State.READY)
        versions[each.id] = each
    return Registry(versions)


def keys(key: str = "games/1/plays/1", game: str = "games/1") -> dict[RoutingKey, str]:
    return {RoutingKey.PLAY: key, RoutingKey.GAME: game, RoutingKey.REQUEST: f"request for {key}"}


def router(registry: Registry, percent: float = 99, **changes: object) -> Router:
    made = Router(registry)
    made.follow({"ghosting": "2.0.0"}, [rollout(steps=[{"weights": {"candidate": percent}}], **changes)])
    return made


def test_what_was_put_into_service_answers_and_not_the_highest_version(registry: Registry) -> None:
    made = Router(registry)
    assert made.decide("ghosting", keys()).stable.id == "ghosting-3.0.0"
    made.follow({"ghosting": "2.0.0"}, [])
    assert made.decide("ghosting", keys()).stable.id == "ghosting-2.0.0"


def test_where_the_version_in_service_cannot_be_used_no_arm_takes_its_place(registry: Registry) -> None:
    registry.get("ghosting", "2.0.0").fail("broken")
    registry.get("ghosting", "3.0.0").fail("broken too")
    plain = Router(registry)
    plain.follow({"ghosting": "2.0.0"}, [])
    assert plain.decide("ghosting", keys()).stable.id == "ghosting-2.1.0"
    registry.get("ghosting", "3.0.0").state = State.READY
    assert router(registry).decide("ghosting", keys()).stable.id == "ghosting-3.0.0"


@pytest.mark.parametrize("state", [State.VERIFIED, State.LOADING, State.DRAINING, State.FAILED])
def test_a_candidate_that_is_not_ready_gets_no_call(registry: Registry, state: State) -> None:
    assert router(registry).decide("ghosting", keys("a")).arm == "candidate"
    registry.get("ghosting", "2.1.0").state = state
    decision = router(registry).decide("ghosting", keys("a"))
    assert (decision.arm, decision.candidate) == ("stable", None)


def test_all_plays_of_a_game_keep_to_one_arm_where_the_policy_says_so(registry: Registry) -> None:
    made = router(registry, 50, key="game")
    arms = {
        game: {made.decide("ghosting", keys(f"{game}/plays/{play}", game)).arm for play in range(20)}
        for game in (f"games/{i}" for i in range(20))
    }
    assert {len(each) for each in arms.values()} == {1}
    assert set().union(*arms.values()) == {"stable", "candidate"}


def test_each_request_is_assigned_by_itself_where_the_policy_says_so(registry: Registry) -> None:
    made = router(registry, 50, key="request")
    arms = {made.decide("ghosting", {**keys(), RoutingKey.REQUEST: str(i)}).arm for i in range(50)}
    assert arms == {"stable", "candidate"}


def test_the_arm_that_a_caller_chose_answers_and_is_no_evidence(registry: Registry) -> None:
    made = router(registry, 0)
    chosen = made.decide("ghosting", keys(), "candidate")
    assert (chosen.arm, chosen.candidate and chosen.candidate.id, chosen.counted) == (
        "candidate",
        "ghosting-2.1.0",
        False,
    )
    with pytest.raises(InvalidInput, match="'other' is not an arm of ghosting now; there is stable, candidate"):
        made.decide("ghosting", keys(), "other")


def test_shadows_are_asked_besides_stable(registry: Registry) -> None:
    decision = router(registry, 100, mode="shadow").decide("ghosting", keys())
    assert (decision.arm, decision.candidate) == ("stable", None)
    assert [version.id for version in (decision.mirrors or {}).values()] == ["ghosting-2.1.0"]


def test_a_version_that_an_active_rollout_gives_plays_to_is_in_use(registry: Registry) -> None:
    made = router(registry)
    for version, arm in (("2.0.0", "stable"), ("2.1.0", "candidate")):
        with pytest.raises(FailedPrecondition, match=rf"arm '{arm}' of models/ghosting/rollouts/\d+, which is active"):
            made.check_unused(registry.get("ghosting", version))
    made.check_unused(registry.get("ghosting", "3.0.0"))
    made.follow({"ghosting": "2.0.0"}, [rollout().model_copy(update={"dropped": {"candidate": "worse"}})])
    made.check_unused(registry.get("ghosting", "2.1.0"))
    Router(registry).check_unused(registry.get("ghosting", "2.0.0"))
