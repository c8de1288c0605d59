"""Checks of the contract's messages at the edge of a service, beyond what parsing them checks."""

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message

from ghostback import convert
from ghostback.play import Game, Play, parse_game_name, parse_play_name
from ghostback.tracking.v1 import play_pb2
from services.common.errors import InvalidInput, Violation

_ID = re.compile(r"[A-Za-z0-9_-]{1,63}")
_MAX_PARTICIPANTS = 256
_MAX_EVENTS = 256
_MAX_TAGS = 128
_MAX_SAMPLE_RATE = 240.0
_LIVE = (play_pb2.PLAY_STATE_UNSPECIFIED, play_pb2.PLAY_STATE_LIVE)

T = TypeVar("T")


def game_id(name: str, field: str) -> str:
    """The id in `games/{game}`.

    Raises:
        InvalidInput: the name is not of that form.
    """
    return _parsed(parse_game_name, name, field)


def play_ids(name: str, field: str) -> tuple[str, str]:
    """The game's and the play's id in `games/{game}/plays/{play}`.

    Raises:
        InvalidInput: the name is not of that form.
    """
    return _parsed(parse_play_name, name, field)


def stream(name: str, field: str) -> str:
    """The name of a stream.

    Raises:
        InvalidInput: it is not of the characters of an id.
    """
    if not _ID.fullmatch(name):
        raise InvalidInput("NAME_INVALID", [Violation(field, f"{name!r} is not 1 to 63 letters, digits, - and _")])
    return name


def resource_id(name: str, collection: str, field: str) -> str:
    """The id in `{collection}/{id}`.

    Raises:
        InvalidInput: the name is not of that form.
    """
    prefix, _, identifier = name.partition("/")
    if prefix != collection or not identifier or "/" in identifier:
        raise InvalidInput("NAME_INVALID", [Violation(field, f"{name!r} is not of the form {collection}/{{id}}")])
    return identifier


def at_most(message: Message, **limits: int) -> None:
    """Check the number of entries of repeated fields.

    Raises:
        InvalidInput: some have too many.
    """
    _refuse(
        [
            Violation(name, f"has {len(getattr(message, name))} entries, the limit is {limit}")
            for name, limit in limits.items()
            if len(getattr(message, name)) > limit
        ]
    )


def game(message: play_pb2.Game, field: str = "game") -> Game:
    """A game whose fields keep to their documented ranges.

    Raises:
        InvalidInput: some do not; every one is named.
    """
    game_id(message.name, f"{field}.name")
    _refuse(
        [
            *_required(message, field, league=32, home_team=16, away_team=16),
            *_range(message, field, "season", 0, 9999),
            *_range(message, field, "week", 0, 99),
        ]
    )
    return convert.game_from_message(message)


def play(message: play_pb2.Play, field: str = "play") -> Play:
    """A play whose metadata keeps to its documented ranges, with its samples if it has any.

    Raises:
        InvalidInput: some do not; every one is named.
    """
    play_ids(message.name, f"{field}.name")
    _refuse(list(_excess(message, field)))
    _refuse(list(_play_violations(message, field)))
    return convert.play_from_message(message, field)


def play_to_compute_on(message: play_pb2.Play, field: str = "play") -> Play:
    """A play given in a call with everything needed to compute on it.

    Raises:
        InvalidInput: the metadata is out of range, there are no samples, or positions are not finite.
    """
    result = play(message, field)
    if not len(result.samples):
        raise InvalidInput("FIELD_REQUIRED", [Violation(f"{field}.samples", "is missing")])
    if not result.offense_direction:
        raise InvalidInput("FIELD_REQUIRED", [Violation(f"{field}.offense_direction", "is missing")])
    for name in ("x", "y"):
        wrong = np.flatnonzero(~np.isfinite(getattr(result.samples, name)))
        if len(wrong):
            value = getattr(result.samples, name)[wrong[0]]
            violation = Violation(
                f"{field}.samples.{name}[{wrong[0]}]", f"is {value}, must be a finite number of yards"
            )
            raise InvalidInput("NOT_FINITE", [violation])
    return result


def _excess(message: play_pb2.Play, field: str) -> Iterator[Violation]:
    for name, limit in (("participants", _MAX_PARTICIPANTS), ("events", _MAX_EVENTS)):
        if len(getattr(message, name)) > limit:
            yield Violation(f"{field}.{name}", f"has {len(getattr(message, name))} entries, the limit is {limit}")
            return
    n_tags = sum(len(convert.tag_ids(p, f"{field}.participants[{i}]")) for i, p in enumerate(message.participants))
    if n_tags > _MAX_TAGS:
        yield Violation(f"{field}.participants", f"carry {n_tags} tags, the limit is {_MAX_TAGS}")


def _play_violations(message: play_pb2.Play, field: str) -> Iterator[Violation]:
    yield from _required(message, field, offense_team=16)
    if not 0 < message.sample_rate_hz <= _MAX_SAMPLE_RATE:
        yield Violation(
            f"{field}.sample_rate_hz", f"is {message.sample_rate_hz}, must be above 0 and at most {_MAX_SAMPLE_RATE:g}"
        )
    if len(message.description) > 1024:
        yield Violation(f"{field}.description", f"has {len(message.description)} characters, the limit is 1,024")
    yield from _range(message.situation, f"{field}.situation", "game_clock_s", 0, 900)
    yield from _range(message.situation, f"{field}.situation", "down", 0, 4)
    yield from _range(message.situation, f"{field}.situation", "line_of_scrimmage", 0, 120)
    yield from _participant_violations(message, field)
    for i, event in enumerate(message.events):
        yield from _required(event, f"{field}.events[{i}]", name=64)
        yield from _range(event, f"{field}.events[{i}]", "frame", 0, 2**31)
    if message.HasField("forward_pass"):
        pass_ = message.forward_pass
        yield from _required(pass_, f"{field}.forward_pass", thrower_id=63)
        in_air = pass_.arrived_frame == 0 and message.state in _LIVE
        if pass_.arrived_frame <= pass_.forward_frame and not in_air:
            yield Violation(
                f"{field}.forward_pass.arrived_frame",
                f"is {pass_.arrived_frame}, must be later than forward_frame {pass_.forward_frame}",
            )


def _participant_violations(message: play_pb2.Play, field: str) -> Iterator[Violation]:
    participants: set[str] = set()
    tags: dict[int, str] = {}
    for i, participant in enumerate(message.participants):
        path, name = f"{field}.participants[{i}]", participant.participant_id
        if not _ID.fullmatch(name):
            yield Violation(f"{path}.participant_id", f"{name!r} must be 1 to 63 letters, digits, - and _")
        elif name in participants:
            yield Violation(f"{path}.participant_id", f"{name!r} stands twice")
        participants.add(name)
        if participant.kind == play_pb2.PARTICIPANT_KIND_UNSPECIFIED:
            yield Violation(f"{path}.kind", "is missing")
        for tag in convert.tag_ids(participant, path):
            if tag in tags:
                yield Violation(f"{path}.tag_ids", f"tag {tag} belongs to {tags[tag]!r} already")
            tags[tag] = name


def _required(message: Message, field: str, **limits: int) -> Iterator[Violation]:
    for name, limit in limits.items():
        text = getattr(message, name)
        if not text:
            yield Violation(f"{field}.{name}", "is missing")
        elif len(text) > limit:
            yield Violation(f"{field}.{name}", f"has {len(text)} characters, the limit is {limit}")


def _range(message: Message, field: str, name: str, low: float, high: float) -> Iterator[Violation]:
    value = getattr(message, name)
    if not low <= value <= high:
        yield Violation(f"{field}.{name}", f"is {value}, must be {low:g} to {high:g}")


def _refuse(violations: list[Violation]) -> None:
    if violations:
        missing = all(v.description == "is missing" for v in violations)
        raise InvalidInput("FIELD_REQUIRED" if missing else "FIELD_INVALID", violations)


def _parsed(parse: Callable[[str], T], name: str, field: str) -> T:
    try:
        return parse(name)
    except ValueError as error:
        raise InvalidInput("NAME_INVALID", [Violation(field, str(error))]) from None
