"""The vocabulary of player tracking: samples, participants, plays and games.

Everything here is plain data: it knows no transport, no file format and no storage. Units are
yards, seconds, yards per second and degrees; angles are 0 along +y and grow clockwise (the public
Big Data Bowl convention).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

FIELD_LENGTH = 120.0
"""Length of the field with both end zones, yards."""
FIELD_WIDTH = 53.3
"""Width of the field, yards."""
DEFENSIVE_BACK_POSITIONS = frozenset({"CB", "FS", "SS", "DB", "S"})
"""Positions whose players get a ghost."""
ELIGIBLE_POSITIONS = frozenset({"WR", "TE", "RB", "FB", "HB"})
"""Positions of the offense that a pass may be thrown to."""

FloatColumn = NDArray[np.float32]


class ParticipantKind(StrEnum):
    """What carries a tag."""

    PLAYER = "PLAYER"
    BALL = "BALL"
    OFFICIAL = "OFFICIAL"


class PassOutcome(StrEnum):
    """How a pass ended."""

    COMPLETE = "COMPLETE"
    INCOMPLETE = "INCOMPLETE"
    INTERCEPTED = "INTERCEPTED"


class PlayState(StrEnum):
    """How far a play has come."""

    LIVE = "LIVE"
    COMPLETE = "COMPLETE"
    NULLIFIED = "NULLIFIED"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Columns of samples, one row for one tag at one frame; all columns have the same length n.

    Two are equal when all columns are, NaN equal to NaN.

    Attributes:
        tag_id: (n,) which tag, unique within a game.
        frame: (n,) frame number within the play, counted at the play's sample rate.
        x: (n,) yards along the field, 0 at the left goal's end line.
        y: (n,) yards across the field, 0 at the near sideline.
        speed: (n,) yards per second as the tag system reports it; NaN where not reported.
        acceleration: (n,) yards per second squared, magnitude; NaN where not reported.
        distance: (n,) yards since the tag's previous sample; NaN where not reported.
        orientation: (n,) degrees the chest faces, [0, 360); NaN where not reported.
        direction: (n,) degrees of motion, [0, 360); NaN where not reported.
    """

    tag_id: NDArray[np.uint64]
    frame: NDArray[np.int32]
    x: FloatColumn
    y: FloatColumn
    speed: FloatColumn
    acceleration: FloatColumn
    distance: FloatColumn
    orientation: FloatColumn
    direction: FloatColumn

    def __len__(self) -> int:
        return len(self.tag_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Samples) and all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True) for name in SAMPLE_DTYPES
        )

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """The chosen rows, in the order given."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def sorted_by_frame(self) -> Self:
        """The same rows ordered by frame, then tag: the order of a live feed."""
        return self.take(np.lexsort((self.tag_id, self.frame)))

    @classmethod
    def concatenate(cls, parts: "list[Samples]") -> Self:
        """The rows of all parts, one after another."""
        if not parts:
            return cls.empty()
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    @classmethod
    def from_columns(cls, columns: Mapping[str, object]) -> Self:
        """Build from anything array-like by column name; a missing optional column becomes NaN.

        Raises:
            ValueError: columns differ in length, or a required one is missing.
        """
        arrays = {
            name: np.asarray(columns[name], dtype=dtype) for name, dtype in SAMPLE_DTYPES.items() if name in columns
        }
        missing = {"tag_id", "frame", "x", "y"} - arrays.keys()
        if missing:
            raise ValueError(f"missing columns: {', '.join(sorted(missing))}")
        n = len(arrays["tag_id"])
        for name, array in arrays.items():
            if array.shape != (n,):
                raise ValueError(f"column {name} has shape {array.shape}, tag_id has ({n},)")
        absent = np.full(n if len(arrays) < len(SAMPLE_DTYPES) else 0, np.nan, np.float32)
        return cls(**{name: arrays.get(name, absent) for name in SAMPLE_DTYPES})

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(**{name: np.empty(0, dtype) for name, dtype in SAMPLE_DTYPES.items()})


SAMPLE_DTYPES: dict[str, type[np.generic]] = {
    "tag_id": np.uint64,
    "frame": np.int32,
    "x": np.float32,
    "y": np.float32,
    "speed": np.float32,
    "acceleration": np.float32,
    "distance": np.float32,
    "orientation": np.float32,
    "direction": np.float32,
}
"""Column names in order, with their types."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Someone or something that carries tags: a player, the ball, an official.

    Attributes:
        participant_id: unique within the game; what targets and ghosts are named by. Letters,
            digits, `-` and `_`.
        kind: player, ball or official.
        display_name: for people.
        team_id: team abbreviation; empty for the ball and officials.
        position: as the league abbreviates it, such as `CB`; empty when unknown.
        jersey_number: -1 when unknown.
        tag_ids: every tag the participant carries.
        league_player_id: the league's own id; empty for players without one.
    """

    participant_id: str
    kind: ParticipantKind
    display_name: str
    team_id: str
    position: str
    jersey_number: int
    tag_ids: tuple[int, ...]
    league_player_id: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a frame, named as the Big Data Bowl names it (`ball_snap`)."""

    name: str
    frame: int


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward pass.

    Attributes:
        thrower_id: participant who threw.
        target_id: targeted receiver; empty when nobody was targeted or it is unknown.
        outcome: how it ended; None while it is not known.
        forward_frame: frame at which the ball left the hand.
        arrived_frame: frame at which the ball arrived, after `forward_frame`; 0 while a live play's ball is in the air.
    """

    thrower_id: str
    target_id: str
    outcome: PassOutcome | None
    forward_frame: int
    arrived_frame: int


@dataclass(frozen=True, slots=True)
class Situation:
    """Where the game stood before the play.

    Attributes:
        quarter: 1 to 4, 5 and more for overtime.
        game_clock: seconds left in the quarter.
        down: 1 to 4; 0 when there is none, as on kick-offs.
        yards_to_go: yards to a first down.
        line_of_scrimmage: x of the ball before the snap, yards.
        offense_score: points of the team with the ball.
        defense_score: points of the other team.
    """

    quarter: int = 0
    game_clock: float = 0.0
    down: int = 0
    yards_to_go: float = 0.0
    line_of_scrimmage: float = 0.0
    offense_score: int = 0
    defense_score: int = 0


@dataclass(frozen=True, slots=True)
class Play:
    """One play: who was there, what happened, and every sample.

    Attributes:
        game_id: letters, digits, `-` and `_`.
        play_id: unique within the game; same characters.
        offense_team: team with the ball at the snap.
        offense_direction: +1 when the offense moves toward +x, -1 toward -x, 0 when not known.
        sample_rate: frames per second.
        start_time: when frame 0 was (or would have been) captured; UTC.
        participants: players, ball, officials.
        events: in order of frame.
        forward_pass: the pass, None when the play had none.
        situation: the state of the game before the play.
        state: live, complete or nullified (a no-play after a penalty).
        description: one line in plain words.
        samples: what the tags reported.
    """

    game_id: str
    play_id: str
    offense_team: str
    offense_direction: int
    sample_rate: float
    start_time: datetime
    participants: tuple[Participant, ...]
    events: tuple[Event, ...]
    forward_pass: Pass | None
    situation: Situation
    state: PlayState
    description: str
    samples: Samples = field(default_factory=Samples.empty)

    @property
    def name(self) -> str:
        """Resource name, `games/{game}/plays/{play}`."""
        return play_name(self.game_id, self.play_id)

    @property
    def ball(self) -> Participant | None:
        """The (first) ball, None when the play has no ball tag."""
        return next((p for p in self.participants if p.kind is ParticipantKind.BALL), None)

    def defensive_backs(self) -> tuple[Participant, ...]:
        """Defenders who play a defensive back's position."""
        return tuple(
            p
            for p in self.participants
            if p.kind is ParticipantKind.PLAYER
            and p.team_id != self.offense_team
            and p.position in DEFENSIVE_BACK_POSITIONS
        )

    def eligible_receivers(self) -> tuple[Participant, ...]:
        """Players of the offense a pass could go to: eligible positions and the target, never the thrower."""
        thrower, target = (self.forward_pass.thrower_id, self.forward_pass.target_id) if self.forward_pass else ("", "")
        return tuple(
            p
            for p in self.participants
            if p.kind is ParticipantKind.PLAYER
            and p.team_id == self.offense_team
            and p.participant_id != thrower
            and (p.position in ELIGIBLE_POSITIONS or p.participant_id == target)
        )

    def known_at(self, frame: int) -> Self:
        """The play as it is known while it is live, at a frame: nothing of what comes later."""
        thrown = self.forward_pass
        if thrown and thrown.forward_frame <= frame:
            arrived = thrown.arrived_frame if thrown.arrived_frame <= frame else 0
            thrown = replace(thrown, outcome=None, arrived_frame=arrived)
        else:
            thrown = None
        return replace(
            self,
            state=PlayState.LIVE,
            description="",
            events=tuple(event for event in self.events if event.frame <= frame),
            forward_pass=thrown,
            samples=self.samples.take(self.samples.frame <= frame),
        )

    def participant(self, participant_id: str) -> Participant | None:
        """The participant of that id, None when there is none."""
        return next((p for p in self.participants if p.participant_id == participant_id), None)


@dataclass(frozen=True, slots=True)
class Game:
    """One game.

    Attributes:
        game_id: letters, digits, `-` and `_`.
        league: such as `NFL`, or `SIM` for simulated games.
        season: year the season began.
        week: week of the season, counted from 1; 0 when unknown.
        home_team: team abbreviation.
        away_team: team abbreviation.
        start_time: kick-off, UTC.
    """

    game_id: str
    league: str
    season: int
    week: int
    home_team: str
    away_team: str
    start_time: datetime

    @property
    def name(self) -> str:
        """Resource name, `games/{game}`."""
        return game_name(self.game_id)


_ID = r"[A-Za-z0-9_-]{1,63}"
_GAME_NAME = re.compile(rf"games/({_ID})")
_PLAY_NAME = re.compile(rf"games/({_ID})/plays/({_ID})")


def game_name(game_id: str) -> str:
    """`games/{game_id}`."""
    return f"games/{game_id}"


def play_name(game_id: str, play_id: str) -> str:
    """`games/{game_id}/plays/{play_id}`."""
    return f"games/{game_id}/plays/{play_id}"


def parse_game_name(name: str) -> str:
    """The game id of a name.

    Raises:
        ValueError: the name is not of the form `games/{game}`.
    """
    match = _GAME_NAME.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} is not of the form games/{{game}}")
    return match[1]


def parse_play_name(name: str) -> tuple[str, str]:
    """The game id and play id of a name.

    Raises:
        ValueError: the name is not of the form `games/{game}/plays/{play}`.
    """
    match = _PLAY_NAME.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} is not of the form games/{{game}}/plays/{{play}}")
    return match[1], match[2]
