"""The yearly layouts of the Big Data Bowl, each read into the tables of 2021.

| year       | tracking files                       | what is different                                      |
|------------|--------------------------------------|--------------------------------------------------------|
| 2019       | tracking_gameId_*                    | no orientation, acceleration and direction of play     |
| 2020       | train                                | runs, one frame at the handoff; no ball; one file      |
| 2021       | week*                                | targetedReceiver names the targets                     |
| 2022       | tracking20*                          | kicks; a file a season                                 |
| 2023       | week*                                | teams by abbreviation                                  |
| 2024       | tracking_week_*                      | teams in `club`, times with a blank                    |
| 2025       | tracking_week_*                      | player_play names the targets                          |
| 2026       | input_20*_w*, output_20*_w*          | see `_split`                                           |

Spelling of columns is settled in `files`. Angles are 0 along +y and clockwise in every year, but for
the orientations of the season 2017 in the files of 2020, which are 90 degrees behind
(https://www.kaggle.com/peterhurford/something-is-the-matter-with-orientation).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

import polars as pl

from ghostback.bigdatabowl.files import BigDataBowlError, Folder, Kinds

BALL_TAG = 1
"""Tag id of the ball, whose rows carry no player id."""
UNKNOWN_TAG = 2
"""Tag id of rows that are neither the ball's nor carry a player id."""
EASTERN = "America/New_York"
"""Time zone of the kick-off times in games.csv."""
MEASURES = {
    "x": "x",
    "y": "y",
    "speed": "s",
    "acceleration": "a",
    "distance": "dis",
    "orientation": "o",
    "direction": "dir",
}
"""Columns of samples, and how the tracking files name them."""

_BALL_TEAMS = ("football", "ball")
_IDS: Kinds = {"gameId": pl.Int64, "playId": pl.Int64}
_KEYS = ("gameId", "playId", "frameId")
_GAMES: Kinds = {
    "gameId": pl.Int64,
    "gameDate": pl.String,
    "gameTimeEastern": pl.String,
    "homeTeamAbbr": pl.String,
    "visitorTeamAbbr": pl.String,
}
_GAMES_OPTIONAL: Kinds = {"season": pl.Int32, "week": pl.Int32, "league": pl.String}
_PLAYERS: Kinds = {"nflId": pl.UInt64, "position": pl.String}
_PLAYERS_OPTIONAL: Kinds = {"displayName": pl.String, "FirstName": pl.String, "LastName": pl.String}
_PLAYS: Kinds = {**_IDS, "possessionTeam": pl.String}
_PLAYS_OF_PASSES: Kinds = {"playDescription": pl.String, "passResult": pl.String}
_PLAYS_OPTIONAL: Kinds = {
    "quarter": pl.Int32,
    "down": pl.Int32,
    "yardsToGo": pl.Float64,
    "gameClock": pl.String,
    "yardlineSide": pl.String,
    "yardlineNumber": pl.Float64,
    "absoluteYardlineNumber": pl.Float64,
    "preSnapHomeScore": pl.Int32,
    "preSnapVisitorScore": pl.Int32,
    "playNullifiedByPenalty": pl.Boolean,
}
_TRACKING: Kinds = {
    **_IDS,
    "frameId": pl.Int32,
    "nflId": pl.UInt64,
    "x": pl.Float32,
    "y": pl.Float32,
    "time": pl.Datetime,
    "event": pl.String,
    "team": pl.String,
}
_TRACKING_OPTIONAL: Kinds = {
    "jerseyNumber": pl.Int32,
    **dict.fromkeys(("s", "a", "dis", "o", "dir"), pl.Float32),
    "playDirection": pl.String,
}
_WEARER: Kinds = {"displayName": pl.String, "position": pl.String, "playerRole": pl.String}
_HANDOFF_TEAMS = {"BLT": "BAL", "CLV": "CLE", "ARZ": "ARI", "HST": "HOU"}


@dataclass(frozen=True, slots=True)
class Tables:
    """A data folder, with the columns of 2021; missing optional ones are empty.

    Attributes:
        games: rows of games.csv, with `start`: kick-off, UTC without saying so.
        plays: rows of plays.csv.
        players: rows of players.csv; None where the tracking rows say who wears a tag.
        targets: targeted receivers, empty for nobody, of the plays whose target is recorded.
        tracking: rows a game at a time, by game id, with `tag` and `is_ball`; missing measures are
            NaN. Where the year has it, `playerRole` tells passer and targeted receiver.
    """

    games: pl.DataFrame
    plays: pl.DataFrame
    players: pl.DataFrame | None
    targets: pl.DataFrame
    tracking: Iterator[tuple[int, pl.DataFrame]]


def tables(folder: Folder) -> Tables:
    """The tables of a folder, of whatever year. Tracking files are read as they are asked for, one at a time.

    Raises:
        BigDataBowlError: no tracking file, or a file that cannot be read.
    """
    if folder.find("input_*"):
        return _split(folder)
    if folder.find("train"):
        return _handoffs(folder)
    files = folder.find("week*", "tracking*")
    if not files:
        raise BigDataBowlError(
            f"{folder.source} has no tracking files: week*, tracking*, train, or input_* and output_*, "
            "as .csv, .csv.gz or .parquet"
        )
    return Tables(
        games=_with_start(folder, folder.table(_needed(folder, "games"), _GAMES, _GAMES_OPTIONAL, keys=_GAMES)),
        plays=folder.table(_needed(folder, "plays"), {**_PLAYS, **_PLAYS_OF_PASSES}, _PLAYS_OPTIONAL, keys=_KEYS),
        players=folder.table(_needed(folder, "players"), _PLAYERS, _PLAYERS_OPTIONAL, keys=("nflId",)),
        targets=_targets(folder),
        tracking=_by_game(folder, files),
    )


def _needed(folder: Folder, name: str) -> str:
    found = folder.one(name)
    if found is None:
        raise BigDataBowlError(
            f"{folder.source}/{name}.csv is missing; a data folder has games.csv, players.csv, plays.csv and tracking"
        )
    return found


def _with_start(folder: Folder, games: pl.DataFrame) -> pl.DataFrame:
    stamp = pl.concat_str("gameDate", "gameTimeEastern", separator=" ")
    local = pl.coalesce(
        stamp.str.to_datetime(f"{date} %H:%M:%S", strict=False, time_unit="us") for date in ("%m/%d/%Y", "%Y-%m-%d")
    )
    start = local.dt.replace_time_zone(EASTERN, ambiguous="earliest", non_existent="null")
    games = games.with_columns(start.dt.convert_time_zone("UTC").dt.replace_time_zone(None).alias("start"))
    for row in games.filter(pl.col("start").is_null()).iter_rows(named=True):
        raise BigDataBowlError(
            f"{folder.source}: games.csv: game {row['gameId']} starts at {row['gameDate']} {row['gameTimeEastern']}, "
            "gameDate must be month/day/year or year-month-day, gameTimeEastern hours:minutes:seconds"
        )
    return games


def _targets(folder: Folder) -> pl.DataFrame:
    """From the file of 2021 or the one of 2025; no rows where there is neither."""
    kinds: Kinds = {**_IDS, "targetNflId": pl.UInt64}
    path = folder.one("targetedReceiver")
    if path:
        return folder.table(path, kinds, {}, keys=_KEYS)
    path = folder.one("player_play")
    if not path:
        return pl.DataFrame(schema=kinds)
    of_players = folder.table(path, {**_IDS, "nflId": pl.UInt64, "wasTargettedReceiver": pl.Boolean}, {}, keys=_KEYS)
    target = pl.col("nflId").filter("wasTargettedReceiver").first()
    return of_players.group_by("gameId", "playId").agg(target.alias("targetNflId"))


def _by_game(folder: Folder, paths: list[str]) -> Iterator[tuple[int, pl.DataFrame]]:
    game_id: Kinds = {"gameId": pl.Int64}
    holding = sorted(
        (game, path) for path in paths for game in folder.table(path, game_id, {}, game_id)["gameId"].unique()
    )

    @lru_cache(maxsize=1)
    def load(path: str) -> pl.DataFrame:
        return _tagged(folder.table(path, _TRACKING, _TRACKING_OPTIONAL, keys=_KEYS))

    for game, parts in groupby(holding, key=itemgetter(0)):
        yield game, pl.concat([load(path).filter(pl.col("gameId") == game) for _, path in parts])


def _parted(rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    for (game,), of_game in sorted(rows.partition_by("gameId", as_dict=True).items()):
        yield game, of_game


def _tagged(rows: pl.DataFrame) -> pl.DataFrame:
    is_ball = pl.col("team").is_in(_BALL_TEAMS).fill_null(value=False)
    tag = pl.when(is_ball).then(pl.lit(BALL_TAG, pl.UInt64)).otherwise(pl.col("nflId").fill_null(UNKNOWN_TAG))
    return rows.with_columns(
        is_ball.alias("is_ball"), tag.alias("tag"), pl.col(list(MEASURES.values())).fill_null(float("nan"))
    )


def _handoffs(folder: Folder) -> Tables:
    """2020: all in one file, a row for each player at the handoff. A game starts at its first snap."""
    path = _needed(folder, "train")
    row: Kinds = {
        **{name: kind for name, kind in _TRACKING.items() if name not in ("frameId", "event")},
        **{name: _WEARER[name] for name in ("displayName", "position")},
        "possessionTeam": pl.String,
        "homeTeamAbbr": pl.String,
        "visitorTeamAbbr": pl.String,
        "season": pl.Int32,
        "week": pl.Int32,
        "timeSnap": pl.Datetime,
    }
    rows = folder.table(path, row, {**_TRACKING_OPTIONAL, **_PLAYS_OPTIONAL}, keys=_KEYS)
    behind = pl.when(pl.col("season") == 2017).then((pl.col("o") + 90) % 360).otherwise("o")
    rows = rows.with_columns(
        pl.col("playId") - 10_000 * pl.col("gameId"),
        pl.col("possessionTeam", "homeTeamAbbr", "visitorTeamAbbr", "yardlineSide").replace(_HANDOFF_TEAMS),
        behind.alias("o"),
        pl.lit(1, pl.Int32).alias("frameId"),
        pl.lit("handoff").alias("event"),
    )
    of_game = pl.first("homeTeamAbbr", "visitorTeamAbbr", "season", "week"), pl.min("timeSnap").alias("start")
    games = rows.group_by("gameId").agg(*of_game).with_columns(pl.lit(None, pl.String).alias("league"))
    nothing = [pl.lit(None, kind).alias(name) for name, kind in _PLAYS_OF_PASSES.items()]
    plays = rows.unique(["gameId", "playId"]).with_columns(*nothing)
    return Tables(games, plays, None, _targets(folder), _parted(_tagged(rows)))


def _split(folder: Folder) -> Tables:
    """2026: frames up to the throw in one file, those after it, of some players and without speeds, in another.

    The throw is the last frame of the input and the ball arrives at the last frame of the output;
    there are no times. Of the ball only the landing spot is known, which is a sample of it at that frame.
    """
    path = _needed(folder, "supplementary_data")
    games = folder.table(path, _GAMES, _GAMES_OPTIONAL, keys=_GAMES).unique("gameId")
    plays = folder.table(path, {**_PLAYS, **_PLAYS_OF_PASSES}, _PLAYS_OPTIONAL, keys=_KEYS)

    def tracking() -> Iterator[tuple[int, pl.DataFrame]]:
        for before in folder.find("input_*"):
            after = before.rpartition("input_")[0] + "output_" + before.rpartition("input_")[2]
            rows = _joined(folder, before, after if after in folder.find("output_*") else None)
            yield from (
                (game, of_game) for (game,), of_game in sorted(rows.partition_by("gameId", as_dict=True).items())
            )

    return Tables(_with_start(folder, games), plays, None, _targets(folder), tracking())


def _joined(folder: Folder, before: str, after: str | None) -> pl.DataFrame:
    """The rows of an input file and its output file as one."""
    position: Kinds = {name: _TRACKING[name] for name in ("gameId", "playId", "nflId", "frameId", "x", "y")}
    row: Kinds = {**position, **_WEARER, "team": pl.String, "ballLandX": pl.Float32, "ballLandY": pl.Float32}
    thrown = folder.table(before, row, _TRACKING_OPTIONAL, keys=_KEYS)
    flown = pl.DataFrame(schema=position) if after is None else folder.table(after, position, {}, keys=_KEYS)
    play = ["gameId", "playId"]
    plays = thrown.group_by(play).agg(pl.max("frameId").alias("throw"), pl.first("ballLandX", "ballLandY"))
    wearers = thrown.select(*play, "nflId", "team", "playDirection", *_WEARER).unique([*play, "nflId"])
    flown = flown.join(plays, play).with_columns(pl.col("frameId") + pl.col("throw")).join(wearers, [*play, "nflId"])
    landed = flown.group_by(play).agg(pl.max("frameId").alias("arrival"))
    ball = plays.join(landed, play).select(
        *play, pl.col("arrival").alias("frameId"), pl.col("ballLandX").alias("x"), pl.col("ballLandY").alias("y")
    )
    rows = pl.concat([thrown, flown, ball.with_columns(pl.lit("football").alias("team"))], how="diagonal")
    rows = rows.select(pl.exclude("throw", "arrival")).join(plays.select(*play, "throw"), play, how="left")
    rows = rows.join(landed, play, how="left")
    event = (
        pl.when(pl.col("frameId") == pl.col("throw"))
        .then(pl.lit("pass_forward"))
        .when(pl.col("frameId") == pl.col("arrival"))
        .then(pl.lit("pass_arrived"))
    )
    return _tagged(rows.with_columns(event.alias("event"), pl.lit(None, pl.Datetime("ms")).alias("time")))
