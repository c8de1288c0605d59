"""When a service that does not answer is left alone."""

from services.common.breaker import FAILURES, OPEN_SECONDS, Breaker
from tests.unit.common.test_shedding import Clock


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.wait() == 0
        breaker.note(answered=False)
    return breaker


def test_calls_go_until_several_in_a_row_were_not_answered() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES - 1):
        breaker.note(answered=False)
    breaker.note(answered=True)
    breaker.note(answered=False)
    assert breaker.wait() == 0


def test_then_none_goes_for_a_while_and_after_it_one() -> None:
    clock = Clock()
    breaker = opened(clock)
    assert breaker.wait() == OPEN_SECONDS
    clock.now += OPEN_SECONDS
    assert breaker.wait() == 0
    assert breaker.wait() == OPEN_SECONDS


def test_all_go_again_once_one_was_answered() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += OPEN_SECONDS
    assert breaker.wait() == 0
    breaker.note(answered=True)
    assert [breaker.wait() for _ in range(3)] == [0, 0, 0]
