"""Between the contract's messages and the domain's plain data.

Messages made here are wire views (`ghostback.wire`); messages read here may be either kind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray

from ghostback import play as domain
from ghostback import wire
from ghostback.features.v1 import features_service_pb2
from ghostback.tracking.v1 import play_pb2, samples_pb2, source_pb2

T = TypeVar("T")

MAX_SAMPLES = 16_384
"""Most rows of a batch."""

_REQUIRED_COLUMNS = ("tag_id", "frame", "x", "y")
_DIRECTIONS = {
    play_pb2.OFFENSE_DIRECTION_PLUS_X: 1,
    play_pb2.OFFENSE_DIRECTION_MINUS_X: -1,
    play_pb2.OFFENSE_DIRECTION_UNSPECIFIED: 0,
}
_OUTCOMES = {
    play_pb2.PASS_OUTCOME_COMPLETE: domain.PassOutcome.COMPLETE,
    play_pb2.PASS_OUTCOME_INCOMPLETE: domain.PassOutcome.INCOMPLETE,
    play_pb2.PASS_OUTCOME_INTERCEPTED: domain.PassOutcome.INTERCEPTED,
}
_STATES = {
    play_pb2.PLAY_STATE_UNSPECIFIED: domain.PlayState.LIVE,
    play_pb2.PLAY_STATE_COMPLETE: domain.PlayState.COMPLETE,
    play_pb2.PLAY_STATE_NULLIFIED: domain.PlayState.NULLIFIED,
    play_pb2.PLAY_STATE_LIVE: domain.PlayState.LIVE,
}
_KINDS = {
    play_pb2.PARTICIPANT_KIND_PLAYER: domain.ParticipantKind.PLAYER,
    play_pb2.PARTICIPANT_KIND_BALL: domain.ParticipantKind.BALL,
    play_pb2.PARTICIPANT_KIND_OFFICIAL: domain.ParticipantKind.OFFICIAL,
}
_TO_OUTCOME = {value: key for key, value in _OUTCOMES.items()}
_TO_STATE = {value: key for key, value in _STATES.items()}
_TO_KIND = {value: key for key, value in _KINDS.items()}
_TO_DIRECTION = {value: key for key, value in _DIRECTIONS.items()}


class InvalidMessage(ValueError):
    """A message does not keep to the contract.

    Attributes:
        reason: name of an `ErrorReason` without its prefix.
        field: path of the field within the message.
        description: what is wrong, with the value.
    """

    def __init__(self, reason: str, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.reason = reason
        self.field = field
        self.description = description


def samples_from_message(message: samples_pb2.Samples, field: str = "samples") -> domain.Samples:
    """Columns of a message; optional columns that are not there become NaN.

    Args:
        message: the message.
        field: its path in the request, for errors.

    Raises:
        InvalidMessage: no rows, columns of unequal length, or one that is packed in part.
    """
    n = message.sample_count
    try:
        packed = wire.with_unpacked(message)
    except wire.ColumnError as error:
        raise _unreadable(error, field) from None
    columns = {name: column_from_message(packed, name, field) for name in domain.SAMPLE_DTYPES}
    if n == 0 and not len(columns["tag_id"]):
        raise InvalidMessage("BATCH_EMPTY", f"{field}.sample_count", "is 0: a batch needs at least one sample")
    for name, column in columns.items():
        if len(column) != n and (len(column) or name in _REQUIRED_COLUMNS):
            raise InvalidMessage("COLUMNS_UNEQUAL", f"{field}.{name}", f"has {len(column)} values, sample_count is {n}")
    return domain.Samples.from_columns({name: column for name, column in columns.items() if len(column)})


def batch_from_message(message: samples_pb2.Samples, field: str = "samples") -> domain.Samples:
    """Columns of a batch.

    Raises:
        InvalidMessage: as for `samples_from_message`, or too many rows.
    """
    n = message.sample_count
    if n > MAX_SAMPLES:
        raise InvalidMessage("BATCH_TOO_LARGE", f"{field}.sample_count", f"is {n}, the limit is {MAX_SAMPLES}")
    return samples_from_message(message, field)


def column_from_message(message: Message, name: str, field: str) -> NDArray[Any]:
    """The values of a column: (n,).

    Raises:
        InvalidMessage: its bytes are not a whole number of values, or a column of the message is packed in part.
    """
    try:
        return wire.read_column(message, name)
    except wire.ColumnError as error:
        raise _unreadable(error, field) from None


def _unreadable(error: wire.ColumnError, field: str) -> InvalidMessage:
    return InvalidMessage("COLUMNS_UNEQUAL", f"{field}.{error.column}", error.problem)


def samples_to_message(samples: domain.Samples) -> samples_pb2.Samples:
    """A message of the columns; optional columns that are all NaN are left out."""
    message = wire.view(samples_pb2.Samples)(sample_count=len(samples))
    for name in domain.SAMPLE_DTYPES:
        column = getattr(samples, name)
        if name in _REQUIRED_COLUMNS or not (np.isnan(column[:1]).all() and np.isnan(column).all()):
            wire.write_column(message, name, column)
    return message


def path_from_message(message: source_pb2.Path, field: str) -> NDArray[np.float64]:
    """Points of a path: (n_points, 2) yards.

    Raises:
        InvalidMessage: columns of unequal length, or values that are not finite.
    """
    x, y = column_from_message(message, "x", field), column_from_message(message, "y", field)
    if len(x) != len(y):
        raise InvalidMessage("COLUMNS_UNEQUAL", f"{field}.y", f"has {len(y)} values, x has {len(x)}")
    points = np.stack([x, y], axis=-1).astype(np.float64)
    if not np.isfinite(points).all():
        row, axis = np.argwhere(~np.isfinite(points))[0]
        raise InvalidMessage("NOT_FINITE", f"{field}.{'xy'[axis]}[{row}]", f"is {points[row, axis]}")
    return points


def path_to_message(points: NDArray[np.floating]) -> source_pb2.Path:
    """A path of points: (n_points, 2) yards."""
    message = wire.view(source_pb2.Path)()
    wire.write_column(message, "x", points[:, 0])
    wire.write_column(message, "y", points[:, 1])
    return message


def covariance_from_message(message: source_pb2.Covariance, field: str) -> NDArray[np.float64]:
    """Covariances of the points of a path: (n_points, 3) xx, xy and yy, square yards.

    Raises:
        InvalidMessage: columns of unequal length, or values that are not finite.
    """
    columns = {name: column_from_message(message, name, field) for name in ("xx", "xy", "yy")}
    for name, column in columns.items():
        if len(column) != len(columns["xx"]):
            has = f"has {len(column)} values, xx has {len(columns['xx'])}"
            raise InvalidMessage("COLUMNS_UNEQUAL", f"{field}.{name}", has)
        if not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column)))
            raise InvalidMessage("NOT_FINITE", f"{field}.{name}[{row}]", f"is {column[row]}")
    return np.stack(list(columns.values()), axis=-1).astype(np.float64)


def covariance_to_message(covariance: NDArray[np.floating]) -> source_pb2.Covariance:
    """Covariances of the points of a path: (n_points, 3) xx, xy and yy, square yards."""
    message = wire.view(source_pb2.Covariance)()
    for name, column in zip(("xx", "xy", "yy"), covariance.T, strict=True):
        wire.write_column(message, name, column)
    return message


def tensors_from_messages(messages: Iterable[features_service_pb2.Tensor]) -> dict[str, NDArray[np.float32]]:
    """Tensors by name.

    Raises:
        ValueError: the values of one do not fill its shape.
    """
    return {message.name: wire.read_column(message, "values").reshape(tuple(message.shape)) for message in messages}


def tensors_to_messages(tensors: Mapping[str, NDArray[np.floating]]) -> Iterator[features_service_pb2.Tensor]:
    """Tensors of any shape, in their order."""
    for name, values in tensors.items():
        message = wire.view(features_service_pb2.Tensor)(name=name, shape=values.shape)
        wire.write_column(message, "values", values.ravel())
        yield message


def game_from_message(message: play_pb2.Game) -> domain.Game:
    """A game.

    Raises:
        InvalidMessage: the name is not of the documented form.
    """
    return domain.Game(
        game_id=_parsed(domain.parse_game_name, message.name, "name"),
        league=message.league,
        season=message.season,
        week=message.week,
        home_team=message.home_team,
        away_team=message.away_team,
        start_time=_datetime(message.start_time),
    )


def game_to_message(game: domain.Game) -> play_pb2.Game:
    """A message of a game."""
    message = wire.view(play_pb2.Game)(
        name=game.name,
        league=game.league,
        season=game.season,
        week=game.week,
        home_team=game.home_team,
        away_team=game.away_team,
    )
    message.start_time.FromDatetime(game.start_time)
    return message


def play_from_message(message: play_pb2.Play, field: str = "play") -> domain.Play:
    """A play, with its samples if the message has any.

    Args:
        message: the message.
        field: its path in the request, for errors.

    Raises:
        InvalidMessage: the name, tags or samples are not of the documented form.
    """
    game_id, play_id = _parsed(domain.parse_play_name, message.name, f"{field}.name")
    has_samples = message.HasField("samples")
    return domain.Play(
        game_id=game_id,
        play_id=play_id,
        offense_team=message.offense_team,
        offense_direction=_DIRECTIONS.get(message.offense_direction, 0),
        sample_rate=message.sample_rate_hz,
        start_time=_datetime(message.start_time),
        participants=tuple(_participant(p, f"{field}.participants[{i}]") for i, p in enumerate(message.participants)),
        events=tuple(domain.Event(event.name, event.frame) for event in message.events),
        forward_pass=_pass(message.forward_pass) if message.HasField("forward_pass") else None,
        situation=domain.Situation(
            quarter=message.situation.quarter,
            game_clock=message.situation.game_clock_s,
            down=message.situation.down,
            yards_to_go=message.situation.yards_to_go,
            line_of_scrimmage=message.situation.line_of_scrimmage,
            offense_score=message.situation.offense_score,
            defense_score=message.situation.defense_score,
        ),
        state=_STATES.get(message.state, domain.PlayState.LIVE),
        description=message.description,
        samples=samples_from_message(message.samples, f"{field}.samples") if has_samples else domain.Samples.empty(),
    )


def play_to_message(play: domain.Play) -> play_pb2.Play:
    """A message of a play, with its samples if it has any."""
    message = wire.view(play_pb2.Play)(
        name=play.name,
        state=_TO_STATE[play.state],
        offense_team=play.offense_team,
        offense_direction=_TO_DIRECTION[play.offense_direction],
        sample_rate_hz=play.sample_rate,
        description=play.description,
    )
    message.start_time.FromDatetime(play.start_time)
    for participant in play.participants:
        added = message.participants.add(
            participant_id=participant.participant_id,
            kind=_TO_KIND[participant.kind],
            display_name=participant.display_name,
            team_id=participant.team_id,
            position=participant.position,
            league_player_id=participant.league_player_id,
        )
        if participant.jersey_number >= 0:
            added.jersey_number = participant.jersey_number
        wire.write_column(added, "tag_ids", np.array(participant.tag_ids, np.uint64))
    for event in play.events:
        message.events.add(name=event.name, frame=event.frame)
    if play.forward_pass:
        message.forward_pass.thrower_id = play.forward_pass.thrower_id
        message.forward_pass.target_id = play.forward_pass.target_id
        if play.forward_pass.outcome:
            message.forward_pass.outcome = _TO_OUTCOME[play.forward_pass.outcome]
        message.forward_pass.forward_frame = play.forward_pass.forward_frame
        message.forward_pass.arrived_frame = play.forward_pass.arrived_frame
    message.situation.quarter = play.situation.quarter
    message.situation.game_clock_s = play.situation.game_clock
    message.situation.down = play.situation.down
    message.situation.yards_to_go = play.situation.yards_to_go
    message.situation.line_of_scrimmage = play.situation.line_of_scrimmage
    message.situation.offense_score = play.situation.offense_score
    message.situation.defense_score = play.situation.defense_score
    if len(play.samples):
        message.samples.CopyFrom(samples_to_message(play.samples))
    return message


def tag_ids(message: play_pb2.Participant, field: str) -> tuple[int, ...]:
    """The tags of a participant.

    Raises:
        InvalidMessage: their bytes are not a whole number of values.
    """
    return tuple(column_from_message(message, "tag_ids", field).tolist())


def _participant(message: play_pb2.Participant, field: str) -> domain.Participant:
    return domain.Participant(
        participant_id=message.participant_id,
        kind=_KINDS.get(message.kind, domain.ParticipantKind.PLAYER),
        display_name=message.display_name,
        team_id=message.team_id,
        position=message.position,
        jersey_number=message.jersey_number if message.HasField("jersey_number") else -1,
        tag_ids=tag_ids(message, field),
        league_player_id=message.league_player_id,
    )


def _pass(message: play_pb2.Pass) -> domain.Pass:
    return domain.Pass(
        thrower_id=message.thrower_id,
        target_id=message.target_id,
        outcome=_OUTCOMES.get(message.outcome),
        forward_frame=message.forward_frame,
        arrived_frame=message.arrived_frame,
    )


def _parsed(parse: Callable[[str], T], name: str, field: str) -> T:
    try:
        return parse(name)
    except ValueError as error:
        raise InvalidMessage("NAME_INVALID", field, str(error)) from None


def _datetime(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
