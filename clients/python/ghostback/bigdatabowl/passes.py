"""Finding the pass of a play: when it was thrown and came down, by whom, to whom."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ghostback.play import ELIGIBLE_POSITIONS, Event, Participant, Pass, PassOutcome

OUTCOMES = {"C": PassOutcome.COMPLETE, "I": PassOutcome.INCOMPLETE, "IN": PassOutcome.INTERCEPTED}
"""What passResult says of passes; other values say that there was none."""

Places = Mapping[str, NDArray[np.float64]]
"""Position (2,) of each participant and of `BALL` at a frame, yards; who has none is left out."""
BALL = "ball"
"""Participant id of the ball."""

_FORWARD = ("pass_forward", "pass_shovel")
_TARGET = re.compile(r"\bpass\b.*?\b(?:to|intended for) (?:\d+-)?(?=[A-Z][\w'-]*\.)")
_NOBODY = re.compile(r"thrown away|throws? .*away|spike", re.IGNORECASE)
_SUFFIX = re.compile(r"[ ,]+(?:jr|sr|ii|iii|iv|v)\.?$", re.IGNORECASE)


def find_pass(
    result: str | None,
    events: Sequence[Event],
    offense: Sequence[Participant],
    places_at: Callable[[int], Places],
    target: Callable[[list[Participant], Places], str],
    passer: str | None = None,
) -> Pass | None:
    """The forward pass, None when there was none or its throw or its end is not among the events.

    It ends at `pass_arrived`, or else at the first outcome or tip. The thrower, where nobody is
    named, is the quarterback nearest to the ball at the throw, whoever of the offense is nearest when
    no quarterback plays.

    Args:
        result: passResult; None where it is empty.
        events: in order of frame.
        offense: the players.
        places_at: where everyone is at a frame.
        target: gives the target from the offense but for the thrower, and the places at arrival.
        passer: who threw, where that is known.
    """
    forward = next((event.frame for event in events if event.name in _FORWARD), None)
    if forward is None or not (result is None or result in OUTCOMES):
        return None
    after = [event for event in events if event.frame > forward]
    arrived = next((event.frame for event in after if event.name == "pass_arrived"), None) or next(
        (event.frame for event in after if event.name.startswith(("pass_outcome", "pass_tipped"))), None
    )
    throwers = [p for p in offense if p.position == "QB"] or offense
    if arrived is None or not throwers:
        return None
    thrower = passer or nearest(throwers, places_at(forward)) or throwers[0].participant_id
    receivers = [p for p in offense if p.participant_id != thrower]
    outcome = OUTCOMES[result] if result else None
    return Pass(thrower, target(receivers, places_at(arrived)), outcome, forward, arrived)


def target_of(
    description: str, receivers: Sequence[Participant], names: Mapping[str, tuple[str, str]], places: Places
) -> str:
    """The targeted receiver as the description tells; empty when the ball was meant for nobody.

    The description names an initial, or a few letters, and a last name. Where the initial fits
    nobody (a player may go by a second name), the last name alone decides. Of namesakes it is one
    in an eligible position. When nobody is named, it is the eligible receiver nearest to the ball
    at arrival.

    Args:
        description: such as `T.Brady pass short left to J.White to KC 29 for 3 yards`.
        receivers: the offense but for the thrower.
        names: first and last name, by participant id.
        places: at arrival.
    """

    def eligible(people: Sequence[Participant]) -> list[Participant]:
        return [p for p in people if p.position in ELIGIBLE_POSITIONS]

    named = _TARGET.search(description)
    if named:
        initials, _, last = description[named.end() :].partition(".")
        namesakes = [p for p in receivers if _begins_with(last.lstrip(), names[p.participant_id][1])]
        fitting = [p for p in namesakes if names[p.participant_id][0].lower().startswith(initials.lower())] or namesakes
        fitting = eligible(fitting) or fitting
        if fitting:
            return nearest(fitting, places) or fitting[0].participant_id
    if _NOBODY.search(description):
        return ""
    return nearest(eligible(receivers), places) or ""


def nearest(candidates: Sequence[Participant], places: Places) -> str | None:
    """The candidate nearest to the ball, None where nobody or no ball can be placed."""
    placed = [p.participant_id for p in candidates if p.participant_id in places]
    if not placed or BALL not in places:
        return None
    return min(placed, key=lambda name: float(np.linalg.norm(places[name] - places[BALL])))


def _begins_with(text: str, last_name: str) -> bool:
    """Whether text begins with a last name, as a whole, with or without its suffix."""
    name = _SUFFIX.sub("", last_name)
    return bool(name) and re.match(rf"{re.escape(name)}(?![\w'-])", text, re.IGNORECASE) is not None
