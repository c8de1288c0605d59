"""Who goes to which arm, and stays there."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.predict.rollouts.assignment import SLOTS, arm_of, mirrors_of, slot_of
from services.predict.rollouts.policy import STABLE
from tests.unit.predict.rollouts.rollout import policy

ROLLOUT = "models/ghosting/rollouts/1"
PLAYS = [f"games/{game}/plays/{play}" for game in range(50) for play in range(200)]


def arms(steps: list[dict[str, float]], step: int, names: str = "candidate", **changes: object) -> dict[str, str]:
    made = policy(arms=dict.fromkeys(names.split(), "2.1.0"), steps=[{"weights": w} for w in steps], **changes)
    return {key: arm_of(made, step, slot_of(ROLLOUT, key)) for key in PLAYS}


def test_a_key_always_gets_the_same_arm() -> None:
    assert arms([{"candidate": 5}], 0) == arms([{"candidate": 5}], 0)


def test_the_plays_that_had_the_candidate_at_five_percent_have_it_at_twenty_five() -> None:
    small, large = (arms([{"candidate": 5}, {"candidate": 25}], step) for step in (0, 1))
    cohort = {key for key, arm in small.items() if arm == "candidate"}
    assert cohort < {key for key, arm in large.items() if arm == "candidate"}
    assert 0.04 < len(cohort) / len(PLAYS) < 0.06


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30), st.floats(0, 30)), min_size=2, max_size=4).map(
        lambda rows: list(zip(*(sorted(column) for column in zip(*rows, strict=True)), strict=True))
    )
)
def test_with_any_number_of_arms_whoever_has_an_arm_keeps_it_while_weights_grow(rows: list[tuple[float, ...]]) -> None:
    made = policy(
        mode="ab", arms=dict.fromkeys("abc", "2.1.0"), steps=[{"weights": dict(zip("abc", rows[-1], strict=True))}]
    )
    stages = [made.stages[0].model_copy(update={"weights": dict(zip("abc", row, strict=True))}) for row in rows]
    made = made.model_copy(update={"steps": tuple(stages)})
    for slot in range(0, SLOTS, 97):
        had = STABLE
        for step in range(len(rows)):
            now = arm_of(made, step, slot)
            assert had in (STABLE, now)
            had = now


def test_each_of_many_arms_gets_its_share_and_an_arm_at_zero_gets_nothing() -> None:
    shares = Counter(arms([{"a": 10, "b": 20, "c": 0, "d": 30}], 0, "a b c d", mode="ab").values())
    assert shares.keys() == {STABLE, "a", "b", "d"}
    for arm, percent in {"a": 10, "b": 20, "d": 30, STABLE: 40}.items():
        assert abs(shares[arm] / len(PLAYS) - percent / 100) < 0.015


def test_a_step_at_zero_gives_the_candidate_nothing() -> None:
    assert set(arms([{"candidate": 0}, {"candidate": 50}], 0).values()) == {STABLE}


def test_a_dropped_arm_gets_nothing_and_the_others_keep_theirs() -> None:
    made = policy(mode="ab", arms={"a": "2.1.0", "b": "2.2.0"}, steps=[{"weights": {"a": 30, "b": 30}}])
    for slot in range(SLOTS):
        before = arm_of(made, 0, slot)
        assert arm_of(made, 0, slot, {"a"}) == (STABLE if before == "a" else before)


def test_blue_green_switches_everything_at_once() -> None:
    made = policy(mode="blue-green", steps=())
    assert {arm_of(made, 0, slot) for slot in range(SLOTS)} == {STABLE}
    assert {arm_of(made, 1, slot) for slot in range(SLOTS)} == {"candidate"}


def test_two_rollouts_try_their_candidates_on_different_plays() -> None:
    first, second = ({k for k in PLAYS if slot_of(f"models/ghosting/rollouts/{n}", k) < 500} for n in (1, 2))
    assert len(first & second) < 0.2 * len(first)


def test_a_shadow_of_half_the_plays_sees_half_of_them() -> None:
    made = policy(mode="shadow", arms={"a": "2.1.0", "b": "2.2.0"}, steps=[{"weights": {"a": 50, "b": 100}}])
    assert mirrors_of(made, 0, 4_999) == ["a", "b"]
    assert mirrors_of(made, 0, 5_000) == ["b"]
    assert mirrors_of(made, 0, 5_000, {"b"}) == []
