"""Who was targeted, read from what a play's description says."""

import numpy as np
import pytest

from ghostback.bigdatabowl.passes import target_of
from ghostback.play import Participant, ParticipantKind


def player(number: int, name: str, position: str) -> Participant:
    return Participant(str(number), ParticipantKind.PLAYER, name, "NE", position, number, (number,))


RECEIVERS = [
    player(1, "James White", "RB"),
    player(2, "Jalen White", "WR"),
    player(3, "Jim White", "T"),
    player(4, "Odell Beckham Jr.", "WR"),
    player(5, "Juju Smith-Schuster", "WR"),
    player(6, "John Smith", "TE"),
    player(7, "Equanimeous St. Brown", "WR"),
    player(8, "Michael Burkhead", "RB"),
    player(9, "Nate Solder", "T"),
]


@pytest.mark.parametrize(
    ("description", "target"),
    [
        ("(14:55) T.Brady pass short left to Ja.White to KC 29 for 3 yards (R.Parker).", "2"),
        ("T.Brady pass short left to Ji.White for 3 yards.", "3"),
        ("T.Brady pass short left to J.White for 3 yards, lateral to N.Solder.", "2"),
        ("T.Brady pass incomplete deep right to O.Beckham.", "4"),
        ("T.Brady pass incomplete deep right to O.Beckham Jr. (E.Berry) [D.Wise].", "4"),
        ("T.Brady pass short middle to J.Smith-Schuster for 4 yards.", "5"),
        ("T.Brady pass short middle to J.Smith for 4 yards.", "6"),
        ("T.Brady pass deep middle to E.St. Brown for 40 yards, TOUCHDOWN.", "7"),
        ("T.Brady pass short right to R.Burkhead pushed ob at NE 35.", "8"),
        ("T.Brady pass deep middle intended for O.Beckham INTERCEPTED by E.Berry at KC 5.", "4"),
        ("12-T.Brady pass to 75-N.Solder for 1 yard.", "9"),
        ("T.Brady pass incomplete short right. thrown away from outside the pocket", ""),
        ("T.Brady spiked the ball to stop the clock.", ""),
        ("T.Brady pass incomplete short right to KC 29.", "5"),
        ("T.Brady pass incomplete to X.Unheard.", "5"),
    ],
)
def test_the_target_stands_in_the_description_or_is_nearest_to_the_ball(description: str, target: str) -> None:
    first_last = {
        p.participant_id: (p.display_name.split(" ", 1)[0], p.display_name.split(" ", 1)[1]) for p in RECEIVERS
    }
    distances = {"1": 9.0, "2": 5.0, "3": 4.0, "4": 6.0, "5": 2.0, "6": 3.0, "7": 8.0, "8": 7.0, "9": 1.0, "ball": 0.0}
    places = {name: np.array([10.0 + far, 10.0]) for name, far in distances.items()}
    assert target_of(description, RECEIVERS, first_last, places) == target


def test_who_has_no_ball_to_be_near_is_not_taken_for_the_target() -> None:
    assert target_of("pass incomplete", RECEIVERS[:1], {"1": ("James", "White")}, {"1": np.zeros(2)}) == ""
