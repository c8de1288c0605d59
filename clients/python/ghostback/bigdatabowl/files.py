"""The files of a data folder as tables of typed columns, named as in 2021."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import polars as pl

BALL_TAG = 1
"""Tag id of the ball, whose rows carry no player id."""
UNKNOWN_TAG = 2
"""Tag id of rows that are neither the ball's nor carry a player id."""
BALL_TEAMS = ("football", "ball")
"""What the team column says in the ball's rows."""
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

Kinds = Mapping[str, type[pl.DataType]]

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
_PLAYS: Kinds = {
    "gameId": pl.Int64,
    "playId": pl.Int64,
    "possessionTeam": pl.String,
    "playDescription": pl.String,
    "passResult": pl.String,
}
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
}
_TARGETS: Kinds = {"gameId": pl.Int64, "playId": pl.Int64, "targetNflId": pl.UInt64}
_TRACKING: Kinds = {
    "gameId": pl.Int64,
    "playId": pl.Int64,
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
_KEYS = ("gameId", "playId", "frameId")
_NULLS = ["NA", "NaN", "nan", "None", ""]
_RENAMED = {
    "frame.id": "frameId",
    "PositionAbbr": "position",
    "GameClock": "gameClock",
    "PassResult": "passResult",
    "HomeScoreBeforePlay": "preSnapHomeScore",
    "VisitorScoreBeforePlay": "preSnapVisitorScore",
}


class BigDataBowlError(ValueError):
    """A data folder cannot be read or written; the message names the file and what is wrong with it."""


def games(folder: Path) -> pl.DataFrame:
    """games.csv, with `start`: kick-off, UTC without saying so."""
    path = folder / "games.csv"
    table = _table(path, _GAMES, _GAMES_OPTIONAL, keys=_GAMES)
    local = pl.concat_str("gameDate", "gameTimeEastern", separator=" ").str.to_datetime(
        "%m/%d/%Y %H:%M:%S", strict=False
    )
    start = local.dt.replace_time_zone(EASTERN, ambiguous="earliest", non_existent="null")
    table = table.with_columns(start.dt.convert_time_zone("UTC").dt.replace_time_zone(None).alias("start"))
    for row in table.filter(pl.col("start").is_null()).iter_rows(named=True):
        raise BigDataBowlError(
            f"{path}: game {row['gameId']} starts at {row['gameDate']} {row['gameTimeEastern']}, "
            "gameDate must be month/day/year and gameTimeEastern hours:minutes:seconds"
        )
    return table


def players(folder: Path) -> pl.DataFrame:
    """players.csv."""
    return _table(folder / "players.csv", _PLAYERS, _PLAYERS_OPTIONAL, keys=("nflId",))


def plays(folder: Path) -> pl.DataFrame:
    """plays.csv."""
    return _table(folder / "plays.csv", _PLAYS, _PLAYS_OPTIONAL, keys=_KEYS)


def targets(folder: Path) -> pl.DataFrame:
    """targetedReceiver.csv; no rows where the folder has no such file."""
    path = folder / "targetedReceiver.csv"
    return _table(path, _TARGETS, {}, keys=_KEYS) if path.exists() else pl.DataFrame(schema=_TARGETS)


def tracking(folder: Path) -> Iterator[tuple[int, pl.DataFrame]]:
    """Tracking rows, a game at a time by id; besides the columns of the file, `tag` and `is_ball`.

    Held in memory is one file at a time. Missing measures are NaN.

    Raises:
        BigDataBowlError: no tracking file, or one that cannot be read.
    """
    found = sorted(
        path
        for pattern in ("week*.csv", "tracking*.csv", "week*.csv.gz", "tracking*.csv.gz")
        for path in folder.glob(pattern)
    )
    if not found:
        raise BigDataBowlError(f"{folder} has no tracking files: week*.csv or tracking*.csv, plain or .gz")
    game_id: Kinds = {"gameId": pl.Int64}
    holding = sorted((game, path) for path in found for game in _table(path, game_id, {}, game_id)["gameId"].unique())
    load = lru_cache(maxsize=1)(_tracking)
    for game, parts in groupby(holding, key=itemgetter(0)):
        yield game, pl.concat([load(path).filter(pl.col("gameId") == game) for _, path in parts])


def _tracking(path: Path) -> pl.DataFrame:
    table = _table(path, _TRACKING, _TRACKING_OPTIONAL, keys=_KEYS)
    is_ball = pl.col("team").is_in(BALL_TEAMS).fill_null(value=False)
    tag = pl.when(is_ball).then(pl.lit(BALL_TAG, pl.UInt64)).otherwise(pl.col("nflId").fill_null(UNKNOWN_TAG))
    return table.with_columns(
        is_ball.alias("is_ball"), tag.alias("tag"), pl.col(list(MEASURES.values())).fill_null(float("nan"))
    )


def _table(path: Path, required: Kinds, optional: Kinds, keys: Collection[str]) -> pl.DataFrame:
    """The named columns of a file; optional ones it does not have are empty.

    Raises:
        BigDataBowlError: the file or a required column is missing, a value is not of its column's
            kind, or a key has no value.
    """
    if not path.exists():
        raise BigDataBowlError(f"{path} is missing; a data folder has games.csv, players.csv, plays.csv and tracking")
    try:
        header = pl.read_csv(path, n_rows=0, infer_schema=False).columns
        names = {_RENAMED.get(column, column): column for column in header}
        missing = [name for name in required if name not in names]
        if missing:
            raise BigDataBowlError(f"{path} has no column {', '.join(missing)}; it has {', '.join(header)}")
        kinds = {name: kind for name, kind in {**required, **optional}.items() if name in names}
        text = pl.read_csv(path, columns=[names[name] for name in kinds], infer_schema=False, null_values=_NULLS)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BigDataBowlError(f"{path} cannot be read as CSV: {error}") from error
    text = text.select(pl.col(names[name]).alias(name) for name in kinds)
    table = text.select(_parsed(name, kind) for name, kind in kinds.items())
    for name in kinds:
        wrong = table[name].is_null() if name in keys else table[name].is_null() & text[name].is_not_null()
        if wrong.any():
            row = wrong.arg_max() or 0
            raise BigDataBowlError(f"{path}: row {row + 1}, column {name}: {text[name][row]!r} is no value for it")
    return table.with_columns(pl.lit(None, kind).alias(name) for name, kind in optional.items() if name not in names)


def _parsed(name: str, kind: type[pl.DataType]) -> pl.Expr:
    """A column of text as its kind, empty where that fails; whole numbers may be written as `43.0`."""
    column = pl.col(name)
    if kind is pl.Datetime:
        return column.str.strip_suffix("Z").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="ms", strict=False)
    if issubclass(kind, pl.Float32 | pl.Float64 | pl.String):
        return column.cast(kind, strict=False)
    return pl.coalesce(column.cast(kind, strict=False), column.cast(pl.Float64, strict=False).cast(kind, strict=False))
