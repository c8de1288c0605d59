"""From a data folder to games and plays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ghostback.bigdatabowl import files
from ghostback.bigdatabowl.files import BALL_TAG, MEASURES, BigDataBowlError
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

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The small tables by id.

    Attributes:
        games: rows of games.csv.
        plays: rows of plays.csv by game and play.
        positions: of players by participant id.
        names: first and last name by participant id.
        targets: targeted receiver by game and play, where targetedReceiver.csv has the play; None for nobody.
    """

    games: dict[int, Row]
    plays: dict[tuple[int, int], Row]
    positions: dict[str, str]
    names: dict[str, tuple[str, str]]
    targets: dict[tuple[int, int], int | None]


def read(folder: Path) -> Iterator[tuple[Game, list[Play]]]:
    """Games with their plays, ordered by game id and play id; games are read as they are asked for.

    The roster of a play is everybody of players.csv who has a row in it, and the ball. Participant
    id and tag id are the nflId; the ball's tag is 1. A row with another nflId keeps it as tag id
    and belongs to no participant; without an nflId it has tag 2. Plays without tracking rows, and
    tracking rows of plays that plays.csv does not list, are passed over.

    The target is taken from targetedReceiver.csv, or from the description where that file does not
    list the play. The sample rate is whole frames per second, and 10 where times are whole seconds.

    Raises:
        BigDataBowlError: the folder, a file or a column is missing, or a value cannot be
            understood. For tracking files it is raised when the iterator gets to them.
    """
    if not folder.is_dir():
        raise BigDataBowlError(f"{folder} is not a folder")
    games, players, plays, targets = (
        list(table(folder).iter_rows(named=True)) for table in (files.games, files.players, files.plays, files.targets)
    )
    tables = _Tables(
        games={row["gameId"]: row for row in games},
        plays={(row["gameId"], row["playId"]): row for row in plays},
        positions={str(row["nflId"]): row["position"] or "" for row in players},
        names={str(row["nflId"]): _name(row) for row in players},
        targets={(row["gameId"], row["playId"]): row["targetNflId"] for row in targets},
    )
    return _games(folder, tables)


def _games(folder: Path, tables: _Tables) -> Iterator[tuple[Game, list[Play]]]:
    for game_id, rows in files.tracking(folder):
        if game_id not in tables.games:
            raise BigDataBowlError(f"{folder} has tracking of game {game_id}, which is not in games.csv")
        game = _game(tables.games[game_id])
        by_play = sorted(rows.partition_by("playId", as_dict=True).items())
        yield (
            game,
            [
                _play(game, play_id, of_play, tables)
                for (play_id,), of_play in by_play
                if (game_id, play_id) in tables.plays
            ],
        )


def _name(row: Row) -> tuple[str, str]:
    """First and last name of a player."""
    if row["displayName"]:
        first, _, last = row["displayName"].partition(" ")
        return first, last
    return row["FirstName"] or "", row["LastName"] or ""


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


def _play(game: Game, play_id: int, rows: pl.DataFrame, tables: _Tables) -> Play:
    key = (int(game.game_id), play_id)
    row = tables.plays[key]
    offense_team, description = row["possessionTeam"] or "", row["playDescription"] or ""
    samples = Samples.from_columns(
        {"tag_id": rows["tag"].to_numpy(), "frame": rows["frameId"].to_numpy()}
        | {name: rows[column].to_numpy() for name, column in MEASURES.items()}
    )
    participants = _participants(rows, {"home": game.home_team, "away": game.away_team}, tables)
    events = _events(rows)
    places_at = partial(_places, samples, {tag: p.participant_id for p in participants for tag in p.tag_ids})
    snap = next((event.frame for event in events if event.name in _SNAPS), int(samples.frame.min()))
    offense = [p for p in participants if p.kind is ParticipantKind.PLAYER and p.team_id == offense_team]
    defense = [p for p in participants if p.kind is ParticipantKind.PLAYER and p.team_id != offense_team]
    direction = _direction(rows, offense, defense, places_at(snap))

    def target(receivers: list[Participant], places: Places) -> str:
        if key in tables.targets:
            return str(tables.targets[key] or "")
        return target_of(description, receivers, tables.names, places)

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
        forward_pass=find_pass(row["passResult"], events, offense, places_at, target),
        situation=_situation(row, offense_team == game.home_team, direction, places_at(snap)),
        state=PlayState.NULLIFIED if "no play" in description.lower() else PlayState.COMPLETE,
        description=description[:_LONGEST_DESCRIPTION],
        samples=samples,
    )


def _participants(rows: pl.DataFrame, teams: Mapping[str, str], tables: _Tables) -> tuple[Participant, ...]:
    found = []
    people = rows.filter(~pl.col("is_ball")).unique("tag", keep="first", maintain_order=True)
    for tag, team, jersey in people.select("tag", "team", "jerseyNumber").iter_rows():
        name = str(tag)
        if name in tables.names:
            found.append(
                Participant(
                    participant_id=name,
                    kind=ParticipantKind.PLAYER,
                    display_name=" ".join(filter(None, tables.names[name])),
                    team_id=teams.get(team, ""),
                    position=tables.positions[name],
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
