"""From games and plays to a data folder in the layout of 2021."""

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ghostback.bigdatabowl.files import BigDataBowlError
from ghostback.bigdatabowl.layouts import EASTERN, MEASURES
from ghostback.bigdatabowl.passes import OUTCOMES
from ghostback.play import FIELD_LENGTH, Game, Participant, ParticipantKind, PassOutcome, Play, PlayState

DECIMALS = 2
"""Decimals of positions, speeds and angles, as in the published files."""

_GAMES = "gameId gameDate gameTimeEastern homeTeamAbbr visitorTeamAbbr week season league"
_PLAYERS = "nflId height weight birthDate collegeName position displayName"
_PLAYS = (
    "gameId playId playDescription quarter down yardsToGo possessionTeam playType yardlineSide yardlineNumber "
    "offenseFormation personnelO defendersInTheBox numberOfPassRushers personnelD typeDropback preSnapVisitorScore "
    "preSnapHomeScore gameClock absoluteYardlineNumber penaltyCodes penaltyJerseyNumbers passResult offensePlayResult "
    "playResult epa isDefensivePI"
)
_TARGETS = "gameId playId targetNflId"
_TRACKING = (
    "time x y s a dis o dir event nflId displayName jerseyNumber position frameId team gameId playId "
    "playDirection route"
)
_RESULTS: dict[PassOutcome | None, str] = {None: ""} | {outcome: result for result, outcome in OUTCOMES.items()}


def write(folder: Path, games: Sequence[tuple[Game, Sequence[Play]]]) -> None:
    """Write games.csv, players.csv, plays.csv, targetedReceiver.csv and a file for each week.

    What the reader gives back differs in this: numbers have two decimals, the clock whole seconds,
    times milliseconds, kick-off whole seconds. Players are named by their league's id (or else by
    their participant id), which must be a whole number, and have that as their only tag. An event at
    a frame without samples stands at the next frame that has some. Officials are left out, as the
    format has none. A play that is still live reads back as complete.

    games.csv gains the columns season and league; what is unknown stays empty.

    Raises:
        BigDataBowlError: an id is not a whole number, or a player is of neither of the game's teams.
        OSError: the folder cannot be written.
    """
    plays = [(game, play) for game, of_game in games for play in of_game]
    tables: list[tuple[str, str, Sequence[Mapping[str, object]]]] = [
        ("games.csv", _GAMES, [_game(game) for game, _ in games]),
        ("players.csv", _PLAYERS, _players([play for _, play in plays])),
        ("plays.csv", _PLAYS, [_play(game, play) for game, play in plays]),
        ("targetedReceiver.csv", _TARGETS, [_target(play) for _, play in plays if play.forward_pass]),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in tables:
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns.split(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    for week, of_week in groupby(sorted(plays, key=lambda pair: pair[0].week), key=lambda pair: pair[0].week):
        tracking = pl.concat([_tracking(game, play) for game, play in of_week])
        tracking.select(_TRACKING.split()).write_csv(folder / f"week{week}.csv", float_precision=DECIMALS)


def _game(game: Game) -> dict[str, object]:
    start = pl.Series([game.start_time.astimezone(UTC).replace(tzinfo=None)]).dt.replace_time_zone("UTC")
    date, time = start.dt.convert_time_zone(EASTERN).dt.strftime("%m/%d/%Y %H:%M:%S")[0].split()
    return {
        "gameId": _whole(game.game_id),
        "gameDate": date,
        "gameTimeEastern": time,
        "homeTeamAbbr": game.home_team,
        "visitorTeamAbbr": game.away_team,
        "week": game.week,
        "season": game.season,
        "league": game.league,
    }


def _players(plays: Sequence[Play]) -> list[dict[str, object]]:
    found = {
        _nfl_id(p): {"nflId": _nfl_id(p), "position": p.position, "displayName": p.display_name}
        for play in plays
        for p in play.participants
        if p.kind is ParticipantKind.PLAYER
    }
    return [found[nfl_id] for nfl_id in sorted(found)]


def _play(game: Game, play: Play) -> dict[str, object]:
    situation, at_home = play.situation, play.offense_team == game.home_team
    scores = (situation.offense_score, situation.defense_score)
    if play.forward_pass:
        kind, result = "play_type_pass", _RESULTS[play.forward_pass.outcome]
    elif any(event.name == "qb_sack" for event in play.events):
        kind, result = "play_type_sack", "S"
    else:
        kind, result = "", "R"
    says_so = play.state is not PlayState.NULLIFIED or "no play" in play.description.lower()
    clock = round(situation.game_clock)
    side, yards = _yardline(game, play)
    return {
        "gameId": _whole(play.game_id),
        "playId": _whole(play.play_id),
        "playDescription": play.description if says_so else f"{play.description} No Play.".lstrip(),
        "quarter": situation.quarter,
        "down": situation.down,
        "yardsToGo": _short(situation.yards_to_go),
        "possessionTeam": play.offense_team,
        "playType": kind,
        "yardlineSide": side,
        "yardlineNumber": yards,
        "preSnapVisitorScore": scores[at_home],
        "preSnapHomeScore": scores[not at_home],
        "gameClock": f"{clock // 60:02d}:{clock % 60:02d}:00",
        "absoluteYardlineNumber": _short(situation.line_of_scrimmage),
        "passResult": result,
    }


def _yardline(game: Game, play: Play) -> tuple[str, str]:
    """Whose half the play starts in, and its yard line; empty where the direction is not known."""
    line = play.situation.line_of_scrimmage
    if not play.offense_direction or not 10 <= line <= FIELD_LENGTH - 10:
        return "", ""
    from_own_end = (line if play.offense_direction > 0 else FIELD_LENGTH - line) - 10
    other = game.away_team if play.offense_team == game.home_team else game.home_team
    side = "" if from_own_end == 50 else play.offense_team if from_own_end < 50 else other
    return side, _short(min(from_own_end, 100 - from_own_end))


def _target(play: Play) -> dict[str, object]:
    target = play.forward_pass.target_id if play.forward_pass else ""
    found = play.participant(target)
    nfl_id = _nfl_id(found) if found else _whole(target) if target else ""
    return {"gameId": play.game_id, "playId": play.play_id, "targetNflId": nfl_id}


def _tracking(game: Game, play: Play) -> pl.DataFrame:
    """Rows of a play, in the order of its samples."""
    samples = play.samples
    kinds = {tag: p.kind for p in play.participants for tag in p.tag_ids}
    officials = [tag for tag, kind in kinds.items() if kind is ParticipantKind.OFFICIAL]
    samples = samples.take(~np.isin(samples.tag_id, np.array(officials, np.uint64)))
    tags, index = np.unique(samples.tag_id, return_inverse=True)
    start = round(play.start_time.timestamp() * 1000)
    times = start + np.round(samples.frame * (1000 / play.sample_rate)).astype(np.int64)
    measures = {name: pl.Series(getattr(samples, column)).fill_nan(None) for column, name in MEASURES.items()}
    return _wearers(game, play, tags.tolist())[index].with_columns(
        pl.Series("time", times).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        *(series.alias(name) for name, series in measures.items()),
        pl.Series("event", _events(play, samples.frame), pl.String),
        pl.Series("frameId", samples.frame),
        pl.lit(_whole(play.game_id)).alias("gameId"),
        pl.lit(_whole(play.play_id)).alias("playId"),
        pl.lit({1: "right", -1: "left"}.get(play.offense_direction), pl.String).alias("playDirection"),
        pl.lit(None, pl.String).alias("route"),
    )


def _wearers(game: Game, play: Play, tags: list[int]) -> pl.DataFrame:
    """Who wears each tag, a row a tag; a tag that nobody wears is written as an nflId."""
    owners = {tag: p for p in play.participants for tag in p.tag_ids}
    sides = {game.home_team: "home", game.away_team: "away"}
    rows: list[tuple[int | None, str | None, int | None, str | None, str | None]] = []
    for tag in tags:
        owner = owners.get(tag)
        if owner is None:
            rows.append((tag, None, None, None, None))
        elif owner.kind is ParticipantKind.BALL:
            rows.append((None, "Football", None, None, "football"))
        elif owner.team_id in sides:
            jersey = owner.jersey_number if owner.jersey_number >= 0 else None
            name, position = owner.display_name or None, owner.position or None
            rows.append((_nfl_id(owner), name, jersey, position, sides[owner.team_id]))
        else:
            raise BigDataBowlError(
                f"{play.name}: {owner.participant_id} is of team {owner.team_id!r}, "
                f"{game.game_id} has {game.home_team} and {game.away_team}"
            )
    schema = {
        "nflId": pl.UInt64,
        "displayName": pl.String,
        "jerseyNumber": pl.Int32,
        "position": pl.String,
        "team": pl.String,
    }
    return pl.DataFrame(rows, schema, orient="row")


def _events(play: Play, frames: NDArray[np.int32]) -> list[str]:
    """The event of each row; of several at one frame, rows name one each in turn."""
    present = np.unique(frames)
    at: dict[int, list[str]] = {}
    for event in play.events if len(present) else ():
        later = present[present >= event.frame]
        at.setdefault(int(later[0] if len(later) else present[-1]), []).append(event.name)
    names = np.full(len(frames), "None", object)
    for frame, here in at.items():
        rows = np.flatnonzero(frames == frame)
        names[rows] = np.resize(here, len(rows))
    return [str(name) for name in names]


def _nfl_id(player: Participant) -> int:
    return _whole(player.league_player_id or player.participant_id)


def _whole(identifier: str) -> int:
    try:
        return int(identifier)
    except ValueError:
        raise BigDataBowlError(f"id {identifier!r} is not a whole number, as the format wants it") from None


def _short(number: float) -> str:
    return f"{round(number, DECIMALS):g}"
