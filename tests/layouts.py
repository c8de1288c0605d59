"""Data folders in every yearly layout of the Big Data Bowl, made from one in the layout of 2021."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl

ON_FILE = pl.col("nflId").is_not_null()
PLAY = ["gameId", "playId"]


def as_year(folder: Path, year: int) -> None:
    """Rewrite a folder that `bigdatabowl.write` wrote as the Big Data Bowl of a year would have it."""
    _LAYOUTS[year](folder)


def as_parquet(folder: Path) -> None:
    """Turn every CSV file into a Parquet file, with columns of numbers, dates and times where they are such."""
    for path in folder.rglob("*.csv"):
        table = pl.read_csv(path, null_values=["NA", "None"], infer_schema_length=None)
        times = [name for name in ("time", "TimeSnap", "TimeHandoff") if name in table.columns]
        dates = [name for name in ("gameDate",) if name in table.columns]
        table.with_columns(
            pl.col(times).str.strip_suffix("Z").str.to_datetime(), pl.col(dates).str.to_date("%m/%d/%Y")
        ).write_parquet(path.with_suffix(".parquet"))
        path.unlink()


def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def _tracking(folder: Path) -> pl.DataFrame:
    """All tracking rows; the files are gone."""
    paths = sorted(folder.glob("week*.csv"))
    rows = pl.concat([_read(path) for path in paths])
    for path in paths:
        path.unlink()
    return rows


def _rename(path: Path, **names: str) -> None:
    _read(path).rename(names, strict=False).write_csv(path, null_value="NA")


def _as_2019(folder: Path) -> None:
    rows = _tracking(folder).drop("a", "o", "position", "playDirection", "route")
    rows = rows.rename({"frameId": "frame.id"}).with_columns(pl.col("team").replace("football", "ball"))
    for (game,), of_game in rows.partition_by("gameId", as_dict=True).items():
        with gzip.open(folder / f"tracking_gameId_{game}.csv.gz", "wb") as file:
            file.write(of_game.write_csv(null_value="NA").encode())
    (folder / "targetedReceiver.csv").unlink()
    people = _read(folder / "players.csv")
    name = pl.col("displayName").str.splitn(" ", 2).struct
    people.select(
        "nflId", name[0].alias("FirstName"), name[1].alias("LastName"), pl.col("position").alias("PositionAbbr")
    ).write_csv(folder / "players.csv")
    plays = folder / "plays.csv"
    _read(plays).drop("absoluteYardlineNumber").write_csv(plays)
    _rename(
        plays,
        gameClock="GameClock",
        passResult="PassResult",
        preSnapHomeScore="HomeScoreBeforePlay",
        preSnapVisitorScore="VisitorScoreBeforePlay",
    )


def _as_2020(folder: Path) -> None:
    """One row for each player of a play, at its first frame; of the season 2017 with its orientations."""
    rows = _tracking(folder).filter(ON_FILE)
    first = pl.col("frameId").cast(pl.Int64) == pl.col("frameId").cast(pl.Int64).min().over(PLAY)
    rows = rows.filter(first).join(_read(folder / "plays.csv"), PLAY).join(_read(folder / "games.csv"), "gameId")
    orientation = pl.col("o").cast(pl.Float64)
    rows.select(
        pl.col("gameId").alias("GameId"),
        (pl.col("gameId") + pl.col("playId").str.zfill(4)).alias("PlayId"),
        pl.col("team").alias("Team"),
        *(pl.col(name).alias(name.upper()) for name in ("x", "y", "s", "a")),
        pl.col("dis").alias("Dis"),
        pl.when(pl.col("season") == "2017").then((orientation - 90) % 360).otherwise(orientation).alias("Orientation"),
        pl.col("dir").alias("Dir"),
        *(pl.col(name).alias(name[0].upper() + name[1:]) for name in ("nflId", "displayName", "jerseyNumber")),
        *(pl.col(name).alias(name[0].upper() + name[1:]) for name in ("season", "quarter", "gameClock", "down")),
        pl.col("yardlineNumber").alias("YardLine"),
        pl.col("possessionTeam").replace("BAL", "BLT").alias("PossessionTeam"),
        pl.col("yardsToGo").alias("Distance"),
        pl.col("yardlineSide").replace("BAL", "BLT").alias("FieldPosition"),
        pl.col("preSnapHomeScore").alias("HomeScoreBeforePlay"),
        pl.col("preSnapVisitorScore").alias("VisitorScoreBeforePlay"),
        pl.col("playDirection").alias("PlayDirection"),
        pl.col("time").alias("TimeHandoff"),
        pl.col("time").alias("TimeSnap"),
        pl.col("position").alias("Position"),
        pl.col("homeTeamAbbr").alias("HomeTeamAbbr"),
        pl.col("visitorTeamAbbr").alias("VisitorTeamAbbr"),
        pl.col("week").alias("Week"),
    ).write_csv(folder / "train.csv")
    for name in ("games", "plays", "players", "targetedReceiver"):
        (folder / f"{name}.csv").unlink()


def _as_2021(folder: Path) -> None:
    """It is that already."""


def _as_2022(folder: Path) -> None:
    rows = _tracking(folder).drop("route").with_columns(pl.col("time").str.strip_suffix("Z"))
    rows.write_csv(folder / "tracking2018.csv")
    (folder / "targetedReceiver.csv").unlink()
    _rename(folder / "players.csv", position="Position")


def _as_2023(folder: Path) -> None:
    _by_abbreviation(folder).write_csv(folder / "week1.csv", null_value="NA")
    (folder / "targetedReceiver.csv").unlink()
    _rename(folder / "players.csv", position="officialPosition")


def _as_2024(folder: Path) -> None:
    rows = _by_abbreviation(folder).rename({"team": "club"})
    rows = rows.with_columns(pl.col("time").str.replace("T", " ").str.replace("Z", "000"))
    rows.write_csv(folder / "tracking_week_1.csv", null_value="NA")
    (folder / "targetedReceiver.csv").unlink()
    _without_words_on_nullified_plays(folder)


def _as_2025(folder: Path) -> None:
    targets = _read(folder / "targetedReceiver.csv")
    rows = _by_abbreviation(folder).rename({"team": "club"})
    rows = rows.with_columns(
        pl.col("time").str.replace("T", " ").str.strip_suffix("Z"), pl.lit("AFTER_SNAP").alias("frameType")
    )
    rows.write_csv(folder / "tracking_week_1.csv", null_value="NA")
    people = pl.read_csv(folder / "tracking_week_1.csv", infer_schema=False, null_values="NA").filter(ON_FILE)
    of_plays = people.select(*PLAY, pl.col("nflId").str.strip_suffix(".0")).unique().join(targets, PLAY)
    was_target = (pl.col("nflId") == pl.col("targetNflId")).fill_null(False).cast(int)
    of_plays.select(*PLAY, "nflId", was_target.alias("wasTargettedReceiver")).write_csv(folder / "player_play.csv")
    (folder / "targetedReceiver.csv").unlink()
    _without_words_on_nullified_plays(folder)


def _by_abbreviation(folder: Path) -> pl.DataFrame:
    """Tracking rows with teams by abbreviation, numbers of players with a point, and players without position."""
    games = _read(folder / "games.csv").select("gameId", "homeTeamAbbr", "visitorTeamAbbr")
    rows = _tracking(folder).join(games, "gameId", maintain_order="left")
    team = pl.when(pl.col("team") == "home").then("homeTeamAbbr")
    team = team.when(pl.col("team") == "away").then("visitorTeamAbbr").otherwise("team")
    rows = rows.with_columns(team.alias("team"), pl.col("nflId") + ".0", pl.col("jerseyNumber") + ".0")
    return rows.drop("homeTeamAbbr", "visitorTeamAbbr", "position", "route")


def _without_words_on_nullified_plays(folder: Path) -> None:
    """A play that does not count is said so in a column, as from 2024 on."""
    path = folder / "plays.csv"
    plays = _read(path)
    nullified = pl.col("playDescription").str.contains("No Play").fill_null(False)
    plays.with_columns(
        pl.when(nullified).then(pl.lit("Y")).otherwise(pl.lit("N")).alias("playNullifiedByPenalty"),
        pl.col("playDescription").str.replace(" No Play.", "", literal=True),
    ).write_csv(path)


def _as_2026(folder: Path) -> None:
    """Passes only; the output has the targeted receiver and the other team, up to arrival."""
    rows = _tracking(folder).join(_read(folder / "plays.csv"), PLAY, maintain_order="left")
    rows = rows.join(_read(folder / "targetedReceiver.csv"), PLAY, maintain_order="left")
    rows = rows.join(_read(folder / "games.csv"), "gameId", maintain_order="left")
    rows = rows.with_columns(pl.col("frameId").cast(pl.Int64))
    frame_of = {
        name: pl.col("frameId").filter(pl.col("event") == f"pass_{name}").min().over(PLAY)
        for name in ("forward", "arrived")
    }
    rows = rows.with_columns(**frame_of, first=pl.col("frameId").min().over(PLAY))
    rows = rows.filter(pl.col("forward").is_not_null() & pl.col("arrived").is_not_null())
    at_home = pl.col("possessionTeam") == pl.col("homeTeamAbbr")
    on_offense = (pl.col("team") == "home") == at_home
    landing = rows.filter((pl.col("team") == "football") & (pl.col("frameId") == pl.col("arrived")))
    landing = landing.select(*PLAY, ball_land_x="x", ball_land_y="y").unique(PLAY)
    role = (
        pl.when(pl.col("nflId") == pl.col("targetNflId"))
        .then(pl.lit("Targeted Receiver"))
        .when(pl.col("position") == "QB")
        .then(pl.lit("Passer"))
        .when(on_offense)
        .then(pl.lit("Other Route Runner"))
        .otherwise(pl.lit("Defensive Coverage"))
    )
    players = rows.filter(ON_FILE & pl.col("team").is_not_null()).join(landing, PLAY).with_columns(role.alias("role"))
    before = players.filter(pl.col("frameId") <= pl.col("forward"))
    inside = pl.col("frameId").is_between(pl.col("forward") + 1, pl.col("arrived"))
    after = players.filter(inside & pl.col("role").is_in(["Targeted Receiver", "Defensive Coverage"]))
    ids = {"game_id": "gameId", "play_id": "playId", "nfl_id": "nflId"}
    (folder / "train").mkdir()
    before.select(
        **ids,
        player_to_predict=pl.lit("True"),
        frame_id=pl.col("frameId") - pl.col("first") + 1,
        play_direction="playDirection",
        absolute_yardline_number="absoluteYardlineNumber",
        player_name="displayName",
        player_position="position",
        player_side=pl.when(on_offense).then(pl.lit("Offense")).otherwise(pl.lit("Defense")),
        player_role="role",
        **{name: pl.col(name) for name in ("x", "y", "s", "a", "dir", "o")},
        num_frames_output=pl.col("arrived") - pl.col("forward"),
        ball_land_x="ball_land_x",
        ball_land_y="ball_land_y",
    ).write_csv(folder / "train" / "input_2023_w01.csv")
    after.select(**ids, frame_id=pl.col("frameId") - pl.col("forward"), x="x", y="y").write_csv(
        folder / "train" / "output_2023_w01.csv"
    )
    supplement = _read(folder / "plays.csv").join(_read(folder / "games.csv"), "gameId")
    supplement.select(pl.all().name.map(_snake)).write_csv(folder / "supplementary_data.csv")
    for name in ("games", "plays", "players", "targetedReceiver"):
        (folder / f"{name}.csv").unlink()


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


_LAYOUTS: dict[int, Callable[[Path], None]] = {
    2019: _as_2019,
    2020: _as_2020,
    2021: _as_2021,
    2022: _as_2022,
    2023: _as_2023,
    2024: _as_2024,
    2025: _as_2025,
    2026: _as_2026,
}
YEARS = tuple(_LAYOUTS)
