"""Plays are looked up once for calls with the same mark, and no more of them are kept than is said."""

from collections import Counter
from typing import Any

import pytest

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.tracking.v1 import source_pb2
from services.common.errors import FailedPrecondition
from services.features import lookups
from services.features.lookups import LookUps
from simulator.game import simulate_game

PLAY = simulate_game(31, 2).plays[0]
EMPTY = 2


class Ingest:
    """Has one play, by every name but one without samples, and counts how often it was asked for each."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()

    async def call(self, method: str, request: Any) -> Any:
        number = int(request.name.rpartition("/")[2])
        self.asked[number] += 1
        play = convert.play_to_message(PLAY)
        if number == EMPTY:
            play.ClearField("samples")
        return wire.view(ingest_service_pb2.GetPlayResponse)(play=play)


def named(number: int) -> source_pb2.PlaySource:
    return wire.view(source_pb2.PlaySource)(name=f"games/1/plays/{number}")


async def test_one_call_sees_one_play_and_other_calls_see_it_anew() -> None:
    ingest = Ingest()
    plays = LookUps(ingest)  # type: ignore[arg-type]
    first, again, other = [await plays.resolve(named(1), mark) for mark in ("a", "a", "b")]
    assert first is again
    assert first is not other
    unmarked = [await plays.resolve(named(3), "") for _ in range(2)]
    assert unmarked[0] is not unmarked[1]
    assert ingest.asked == {1: 2, 3: 2}


async def test_a_play_that_has_no_samples_yet_is_looked_up_again() -> None:
    ingest = Ingest()
    plays = LookUps(ingest)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(FailedPrecondition):
            await plays.resolve(named(EMPTY), "a")
    assert ingest.asked == {EMPTY: 2}


@pytest.mark.parametrize(("limit", "most"), [("_PLAYS", 3), ("_SAMPLES", 3 * len(PLAY.samples))])
async def test_plays_looked_up_first_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(lookups, limit, most)
    ingest = Ingest()
    plays = LookUps(ingest)  # type: ignore[arg-type]
    for number in (4, 5, 6, 7, 5, 4):
        await plays.resolve(named(number), "a")
    assert ingest.asked == {4: 2, 5: 1, 6: 1, 7: 1}
