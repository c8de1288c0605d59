"""Judging the samples of several plays at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostback.play import Samples
from services.ingest.ledger import Ledger, judge
from services.ingest.policies import POLICIES, Policy
from services.ingest.rules import Roster

STRICT = Policy(POLICIES["strict"])
PLAYER, OTHER, BALL, STRANGER = 7, 8, 1, 99


def ledger() -> Ledger:
    return Ledger(Roster({PLAYER: True, OTHER: True, BALL: False}), 10.0, STRICT.limits.frames)


def samples_of(rows: list[tuple[int, int, float]]) -> Samples:
    tag, frame, x = zip(*rows, strict=True)
    return Samples.from_columns({"tag_id": tag, "frame": frame, "x": x, "y": np.full(len(rows), 20.0)})


def test_the_same_samples_in_another_play_are_no_duplicates() -> None:
    samples = samples_of([(BALL, 1, 50.0), (PLAYER, 1, 50.0), (STRANGER, 1, 50.0), (PLAYER, 1, 50.0)])
    for judgement in judge([(ledger(), samples), (ledger(), samples)], STRICT):
        assert judgement.duplicate.tolist() == [False, False, False, True]


rows = st.tuples(
    st.sampled_from([PLAYER, OTHER, BALL, STRANGER]),
    st.integers(-1, 12) | st.integers(0, 9_000),
    st.sampled_from([50.0, 50.5, 51.0, 80.0, 300.0, np.nan]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(rows, min_size=1, max_size=20), min_size=1, max_size=4), st.data())
def test_plays_judged_together_are_judged_as_each_alone(
    plays: list[list[tuple[int, int, float]]], data: st.DataObject
) -> None:
    batches = [samples_of(play) for play in plays]
    together, alone = [ledger() for _ in batches], [ledger() for _ in batches]
    for _ in range(2):
        for judgement, (own, batch) in zip(
            judge(list(zip(together, batches, strict=True)), STRICT), zip(alone, batches, strict=True), strict=True
        ):
            (expected,) = judge([(own, batch)], STRICT)
            assert judgement.duplicate.tolist() == expected.duplicate.tolist()
            assert judgement.reasons.tolist() == expected.reasons.tolist()
        batches = [data.draw(st.permutations(play).map(samples_of)) for play in plays]
