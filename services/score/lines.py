"""What is known of a play in a line of plain words, such as for a broadcast."""

from collections.abc import Sequence

from ghostback.play import Play
from services.score.decisions import Decision
from services.score.statistics import Arrival, Kind, Statistic


def before_throw(play: Play, seconds: float, decision: Decision) -> str:
    """What the best option is, some seconds after the snap."""
    best = decision.options[0]
    who = _named(play, best.target_id)
    return f"{seconds:.1f} s after the snap: best is {who}, {best.value:+.2f} points, caught {best.completion:.0%}"


def at_throw(play: Play, completion: float | None, interception: float | None, decision: Decision | None) -> str:
    """Whom the ball was thrown to, how that will end, and whether there was a better option; each where it is known."""
    target = play.forward_pass.target_id if play.forward_pass else ""
    told = [f"thrown to {_named(play, target)}" if target else "thrown"]
    if completion is not None and interception is not None:
        told.append(f"caught {completion:.0%}, intercepted {interception:.0%}")
    if decision:
        best = decision.options[0]
        if decision.left and best.target_id != target:
            told.append(f"{-decision.left.value:.2f} points less than to {_named(play, best.target_id)}")
        elif decision.left:
            told.append(f"the best option, {best.value:+.2f} points")
        else:
            told.append(f"best is {_named(play, best.target_id)}, {best.value:+.2f} points")
    return _sentence(told)


def at_arrival(play: Play, arrival: Arrival, score: float) -> str:
    """How likely the catch is by where everyone is, and how it was covered."""
    target = play.forward_pass.target_id if play.forward_pass else ""
    return (
        f"The ball reaches {_named(play, target)}: caught {arrival.completion:.0%},"
        f" intercepted {arrival.interception:.0%}; coverage {score:+.2f}"
    )


def complete(statistics: Sequence[Statistic]) -> str:
    """What became of the pass, and of what was expected; empty where there are no statistics."""
    of = {each.kind: each for each in statistics}
    told = []
    if catch := of.get(Kind.CATCH):
        told.append(f"{'caught' if catch.actual else 'not caught'} by {catch.display_name or catch.participant_id}")
    if thrown := of.get(Kind.COMPLETION):
        told.append(f"{thrown.expected:.0%} expected at the throw")
    if run := of.get(Kind.YARDS_AFTER_CATCH):
        told.append(f"{run.actual:.0f} yards after the catch, {run.value:+.1f} over expected")
    if decision := of.get(Kind.DECISION):
        told.append(f"{-decision.value:.2f} points left by the choice" if decision.value else "the best choice")
    return _sentence(told)


def _sentence(told: Sequence[str]) -> str:
    text = "; ".join(told)
    return text[:1].upper() + text[1:]


def _named(play: Play, participant_id: str) -> str:
    who = play.participant(participant_id)
    return f"{who.display_name or participant_id} ({who.position})" if who else participant_id
