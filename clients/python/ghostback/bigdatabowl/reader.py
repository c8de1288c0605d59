"""From a data folder to games and plays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ghostback.bigdatabowl import layouts
from ghostback.bigdatabowl.files import BigDataBowlError, Folder
from ghostback.bigdatabowl.layouts import BALL_TAG, MEASURES
from ghostback.bigdatabowl.passes import BALL, Places, find_pass, target_of
from ghostback.play import (
    FIELD_LENGTH,
    Event,
    Game,
    Participant,
    ParticipantKind,
    Play,
    PlayState,
    Samples,
    Situation,
)

_SNAPS = ("ball_snap", "snap_direct", "kickoff")
_DEFAULT_RATE = 10.0
_LONGEST_DESCRIPTION = 1024
_PASSER_ROLE = "Passer"
_TARGET_ROLE = "Targeted Receiver"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Person:
    """A player.

    Attributes:
        first_name: empty when unknown.
        last_name: empty when unknown.
        position: empty when unknown.
    """

    first_name: str
    last_name: str
    position: str


@dataclass(frozen=True, slots=True)
class _Records:
    """What is known of plays besides their tracking, by id.

    Attributes:
        plays: rows of plays.csv by game and play.
        people: players by participant id; None where the tracking rows say who wears a tag.
        targets: targeted receiver by game and play, where it is recorded; None for nobody.
    """

    plays: dict[tuple[int, int], Row]
    people: dict[str, _Person] | None
    targets: dict[tuple[int, int], int | None]


def read(source: str | Path) -> Iterator[tuple[Game, list[Play]]]:
    """Games with their plays, ordered by game id and play id (2026: within a week); read as they are asked for.

    The roster of a play is everybody of players.csv who has a row in it, and the ball. Participant
    id and tag id are the nflId; the ball's tag is 1. A row with another nflId keeps it as tag id
    and belongs to no participant; without an nflId it has tag 2. Plays without tracking rows, and
    tracking rows of plays that plays.csv does not list, are passed over. Years without a
    players.csv name the players in the tracking rows.

    The target is taken from the files where they record it, or else from the description. The
    sample rate is whole frames per second, and 10 where times are whole seconds or missing.

    Args:
        source: a folder, or the fsspec URL of one (such as `s3://bucket/2024` or `zip://::2024.zip`).

    Raises:
        BigDataBowlError: the folder, a file or a column is missing, or a value cannot be
            understood. For tracking files it is raised when the iterator gets to them.
    """
    folder = Folder(source)
    tables = layouts.tables(folder)
    games = {row["gameId"]: row for row in tables.games.iter_rows(named=True)}
    records = _Records(
        plays={(row["gameId"], row["playId"]): row for row in tables.plays.iter_rows(named=True)},
        people=None if tables.players is None else _people(tables.players),
        targets={(game, play): target for game, play, target in tables.targets.iter_rows()},
    )

    def plays() -> Iterator[tuple[Game, list[Play]]]:
        for game_id, rows in tables.tracking:
            if game_id not in games:
                raise BigDataBowlError(f"{folder.source} has tracking of game {game_id}, which is not in games.csv")
            game = _game(games[game_id])
            by_play = sorted(rows.partition_by("playId", as_dict=True).items())
            yield (
                game,
                [
                    _play(game, play_id, of_play, records)
                    for (play_id,), of_play in by_play
                    if (game_id, play_id) in records.plays
                ],
            )

    return plays()


def _people(rows: pl.DataFrame) -> dict[str, _Person]:
    """The players of rows that name them, by participant id."""
    found = {}
    for row in rows.iter_rows(named=True):
        first, _, last = (row["displayName"] or "").partition(" ")
        found[str(row["nflId"])] = _Person(
            first or row.get("FirstName") or "", last or row.get("LastName") or "", row["position"] or ""
        )
    return found


def _game(row: Row) -> Game:
    start: datetime = row["start"]
    return Game(
        game_id=str(row["gameId"]),
        league=row["league"] or "NFL",
        season=row["season"] or start.year - (start.month < 3),
        week=row["week"] or 0,
        home_team=row["homeTeamAbbr"],
        away_team=row["visitorTeamAbbr"],
        start_time=start.replace(tzinfo=UTC),
    )


def _play(game: Game, play_id: int, rows: pl.DataFrame, records: _Records) -> Play:
    key = (int(game.game_id), play_id)
    row = records.plays[key]
    offense_team, description = row["possessionTeam"] or "", row["playDescription"] or ""
    samples = Samples.from_columns(
        {"tag_id": rows["tag"].to_numpy(), "frame": rows["frameId"].to_numpy()}
        | {name: rows[column].to_numpy() for name, column in MEASURES.items()}
    )
    if records.people is None:
        people = _people(rows.filter(~pl.col("is_ball") & pl.col("nflId").is_not_null()).unique("nflId"))
    else:
        people = records.people
    participants = _participants(rows, _teams(game, offense_team), people)
    events = _events(rows)
    places_at = partial(_places, samples, {tag: p.participant_id for p in participants for tag in p.tag_ids})
    snap = next((event.frame for event in events if event.name in _SNAPS), int(samples.frame.min()))
    offense = [p for p in participants if p.kind is ParticipantKind.PLAYER and p.team_id == offense_team]
    defense = [p for p in participants if p.kind is ParticipantKind.PLAYER and p.team_id != offense_team]
    direction = _direction(rows, offense, defense, places_at(snap))
    roles = _roles(rows)

    def target(receivers: list[Participant], places: Places) -> str:
        if roles:
            return roles.get(_TARGET_ROLE, "")
        if key in records.targets:
            return str(records.targets[key] or "")
        names = {name: (person.first_name, person.last_name) for name, person in people.items()}
        return target_of(description, receivers, names, places)

    is_nullified = row["playNullifiedByPenalty"] or "no play" in description.lower()
    rate, start_time = _timing(rows, game.start_time)
    return Play(
        game_id=game.game_id,
        play_id=str(play_id),
        offense_team=offense_team,
        offense_direction=direction,
        sample_rate=rate,
        start_time=start_time,
        participants=participants,
        events=events,
        forward_pass=find_pass(row["passResult"], events, offense, places_at, target, roles.get(_PASSER_ROLE)),
        situation=_situation(row, offense_team == game.home_team, direction, places_at(snap)),
        state=PlayState.NULLIFIED if is_nullified else PlayState.COMPLETE,
        description=description[:_LONGEST_DESCRIPTION],
        samples=samples,
    )


def _teams(game: Game, offense_team: str) -> dict[str, str]:
    """Team abbreviations by what the team column may say."""
    other = game.away_team if offense_team == game.home_team else game.home_team
    sides = {"home": game.home_team, "away": game.away_team, "Offense": offense_team, "Defense": other}
    return sides | {team: team for team in (game.home_team, game.away_team)}


def _roles(rows: pl.DataFrame) -> dict[str, str]:
    """Who has which role, where the rows tell."""
    if "playerRole" not in rows.columns:
        return {}
    told = rows.select("playerRole", "tag").drop_nulls().unique()
    return {role: str(tag) for role, tag in told.iter_rows()}


def _participants(
    rows: pl.DataFrame, teams: Mapping[str, str], people: Mapping[str, _Person]
) -> tuple[Participant, ...]:
    found = []
    wearers = rows.filter(~pl.col("is_ball")).unique("tag", keep="first", maintain_order=True)
    for tag, team, jersey in wearers.select("tag", "team", "jerseyNumber").iter_rows():
        name = str(tag)
        if name in people:
            person = people[name]
            found.append(
                Participant(
                    participant_id=name,
                    kind=ParticipantKind.PLAYER,
                    display_name=" ".join(filter(None, (person.first_name, person.last_name))),
                    team_id=teams.get(team, ""),
                    position=person.position,
                    jersey_number=-1 if jersey is None else jersey,
                    tag_ids=(tag,),
                    league_player_id=name,
                )
            )
    if rows["is_ball"].any():
        found.append(Participant(BALL, ParticipantKind.BALL, "Football", "", "", -1, (BALL_TAG,)))
    return tuple(found)


def _events(rows: pl.DataFrame) -> tuple[Event, ...]:
    found = dict.fromkeys(rows.filter(pl.col("event").is_not_null()).select("frameId", "event").iter_rows())
    return tuple(Event(name, frame) for frame, name in sorted(found, key=lambda event: event[0]))


def _places(samples: Samples, owners: Mapping[int, str], frame: int) -> Places:
    position = np.stack([samples.x, samples.y], -1, dtype=np.float64)
    rows = np.flatnonzero((samples.frame == frame) & np.isfinite(position).all(-1))
    tags = samples.tag_id[rows].tolist()
    return {owners[tag]: position[i] for i, tag in zip(rows, tags, strict=True) if tag in owners}


def _direction(rows: pl.DataFrame, offense: list[Participant], defense: list[Participant], at_snap: Places) -> int:
    """+1 or -1 as the file says; where it does not, by who stands on which side at the snap; 0 if that fails too."""
    said = rows["playDirection"].drop_nulls()
    if len(said):
        return {"right": 1, "left": -1}.get(said[0], 0)
    ours, theirs = (
        [at_snap[p.participant_id][0] for p in side if p.participant_id in at_snap] for side in (offense, defense)
    )
    return int(np.sign(np.mean(theirs) - np.mean(ours))) if ours and theirs else 0


def _timing(rows: pl.DataFrame, kick_off: datetime) -> tuple[float, datetime]:
    """Frames per second, and the time of frame 0 (the kick-off where the rows have no times)."""
    stamped = ~rows["time"].is_null().to_numpy()
    if not stamped.any():
        return _DEFAULT_RATE, kick_off
    frames, first = np.unique(rows["frameId"].to_numpy()[stamped], return_index=True)
    milliseconds = rows["time"].to_physical().to_numpy()[stamped][first].astype(np.int64)
    rate = _DEFAULT_RATE
    if (milliseconds % 1000).any() and len(frames) > 1:
        half = len(frames) // 2
        step = float(np.median((milliseconds[half:] - milliseconds[:-half]) / (frames[half:] - frames[:-half])))
        rate = max(float(round(1000 / step)), 1.0) if step > 0 else _DEFAULT_RATE
    start = int(milliseconds[0]) - round(1000 * int(frames[0]) / rate)
    return rate, datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=start)


def _situation(row: Row, at_home: bool, direction: int, at_snap: Places) -> Situation:
    home, away = row["preSnapHomeScore"] or 0, row["preSnapVisitorScore"] or 0
    return Situation(
        quarter=row["quarter"] or 0,
        game_clock=_clock(row),
        down=row["down"] or 0,
        yards_to_go=row["yardsToGo"] or 0.0,
        line_of_scrimmage=_line_of_scrimmage(row, direction, at_snap),
        offense_score=home if at_home else away,
        defense_score=away if at_home else home,
    )


def _clock(row: Row) -> float:
    """Seconds left in the quarter, from `minutes:seconds`, of which the minutes may be missing."""
    minutes, _, rest = (row["gameClock"] or "0:0").partition(":")
    try:
        return 60.0 * int(minutes or 0) + int(rest.partition(":")[0])
    except ValueError:
        raise BigDataBowlError(
            f"plays.csv: game {row['gameId']} play {row['playId']}: "
            f"gameClock {row['gameClock']!r} is not minutes:seconds"
        ) from None


def _line_of_scrimmage(row: Row, direction: int, at_snap: Places) -> float:
    """As the file says; where it does not, the ball at the snap; 0 if that fails too."""
    if row["absoluteYardlineNumber"] is not None:
        return float(row["absoluteYardlineNumber"])
    if row["yardlineNumber"] is not None and direction:
        yards = row["yardlineNumber"]
        from_own_end = 10.0 + (yards if row["yardlineSide"] == row["possessionTeam"] else 100.0 - yards)
        return float(from_own_end if direction > 0 else FIELD_LENGTH - from_own_end)
    return float(at_snap[BALL][0]) if BALL in at_snap else 0.0
