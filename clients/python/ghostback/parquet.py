"""Games as a Parquet data set, partitioned by season, week and game.

Below a folder there are four tables, each as `TABLE/season=S/week=W/game=G/TABLE.parquet`:

- `plays`: a row a play.
- `participants`: a row for each play and participant.
- `samples`: a row a clean sample; yards, seconds and degrees as in `ghostback.play`. `seconds` counts
  from frame 0, and `participant_id` is empty for tags that nobody wears.
- `quarantine`: a row a sample held back, as it was sent, with its reason.

Season, week and game stand in the folder names only; readers that know Hive partitions give them as columns.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ghostback.play import (
    SAMPLE_DTYPES,
    Event,
    Game,
    Participant,
    ParticipantKind,
    Pass,
    PassOutcome,
    Play,
    PlayState,
    Samples,
    Situation,
)

TABLES = ("plays", "participants", "samples", "quarantine")
_PASS: dict[str, type[pl.DataType]] = {
    "thrower_id": pl.String,
    "target_id": pl.String,
    "pass_outcome": pl.String,
    "pass_forward_frame": pl.Int32,
    "pass_arrived_frame": pl.Int32,
}
_PLAY: dict[str, type[pl.DataType] | pl.DataType] = {
    "play_id": pl.String,
    "state": pl.String,
    "offense_team": pl.String,
    "offense_direction": pl.Int8,
    "sample_rate": pl.Float64,
    "start_time": pl.Datetime("us", "UTC"),
    "quarter": pl.Int32,
    "game_clock": pl.Float64,
    "down": pl.Int32,
    "yards_to_go": pl.Float64,
    "line_of_scrimmage": pl.Float64,
    "offense_score": pl.Int32,
    "defense_score": pl.Int32,
    **_PASS,
    "description": pl.String,
    "events": pl.List(pl.Struct({"name": pl.String, "frame": pl.Int32})),
}
_PARTICIPANT: dict[str, type[pl.DataType] | pl.DataType] = {
    "play_id": pl.String,
    "participant_id": pl.String,
    "kind": pl.String,
    "display_name": pl.String,
    "team_id": pl.String,
    "position": pl.String,
    "jersey_number": pl.Int32,
    "tag_ids": pl.List(pl.UInt64),
    "league_player_id": pl.String,
}


def tables(plays: Sequence[Play], quarantine: Sequence[tuple[str, Samples, Sequence[str]]]) -> dict[str, pl.DataFrame]:
    """The four tables of a game's plays.

    Args:
        plays: with their clean samples.
        quarantine: play id, samples and the reason of each.
    """
    samples = [_samples(play) for play in plays]
    held = [
        _columns(held).with_columns(pl.lit(play).alias("play_id"), pl.Series("reason", list(reasons), pl.String))
        for play, held, reasons in quarantine
    ]
    none = _columns(Samples.empty()).with_columns(pl.lit("").alias("play_id"))
    return {
        "plays": pl.DataFrame([_play(play) for play in plays], _PLAY, orient="row"),
        "participants": pl.DataFrame([row for play in plays for row in _participants(play)], _PARTICIPANT),
        "samples": pl.concat(
            [none.with_columns(pl.lit("").alias("participant_id"), pl.lit(0.0).alias("seconds")), *samples],
            how="diagonal",
        ).select("play_id", "participant_id", "seconds", *SAMPLE_DTYPES),
        "quarantine": pl.concat([none.with_columns(pl.lit("").alias("reason")), *held], how="diagonal").select(
            "play_id", "reason", *SAMPLE_DTYPES
        ),
    }


def write(folder: Path, game: Game, tables: dict[str, pl.DataFrame]) -> list[Path]:
    """Write a game's tables; files that are there are replaced, and none is ever seen half written.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the file in question stays as it was.
    """
    written = []
    for name, table in tables.items():
        path = folder / name / f"season={game.season}" / f"week={game.week}" / f"game={game.game_id}"
        path.mkdir(parents=True, exist_ok=True)
        aside = path / f".{name}.parquet.{os.getpid()}"
        try:
            with aside.open("wb") as file:
                table.write_parquet(file)
                file.flush()
                os.fsync(file.fileno())
            written.append(aside.replace(path / f"{name}.parquet"))
        finally:
            aside.unlink(missing_ok=True)
    return written


def partitions(folder: Path) -> list[Path]:
    """Where each game stands below each table's folder, `season=S/week=W/game=G`, in order.

    Raises:
        FileNotFoundError: the folder has no games.
    """
    found = sorted((folder / "plays").glob("season=*/week=*/game=*"))
    if not found:
        raise FileNotFoundError(f"{folder} has no exported games")
    return [path.relative_to(folder / "plays") for path in found]


def read(folder: Path) -> Iterator[tuple[Game, list[Play]]]:
    """Games with their plays and clean samples, in order of season, week and game id; read as they are asked for.

    League and teams of a game are not in the files; they are empty, and its start is that of its first play.

    Raises:
        FileNotFoundError: the folder has no games.
        OSError: a file cannot be read.
    """
    return (read_game(folder, partition) for partition in partitions(folder))


def read_game(folder: Path, partition: Path) -> tuple[Game, list[Play]]:
    """One of `partitions`, as `read` gives it."""
    plays, participants, samples = (
        pl.read_parquet(folder / name / partition / f"{name}.parquet", hive_partitioning=False) for name in TABLES[:3]
    )
    season, week, game_id = (part.partition("=")[2] for part in partition.parts)
    who, where = (
        {play_id: rows for (play_id,), rows in table.partition_by("play_id", as_dict=True).items()}
        for table in (participants, samples)
    )
    read = [
        _play_of(game_id, row, who.get(row["play_id"], participants[:0]), where.get(row["play_id"], samples[:0]))
        for row in plays.iter_rows(named=True)
    ]
    start = min(play.start_time for play in read)
    return Game(game_id, "", int(season), int(week), "", "", start), read


def _play_of(game_id: str, row: Mapping[str, Any], participants: pl.DataFrame, samples: pl.DataFrame) -> Play:
    thrown = None
    if row["pass_forward_frame"] is not None:
        thrower, target, outcome, forward, arrived = (row[name] for name in _PASS)
        thrown = Pass(thrower, target, PassOutcome(outcome) if outcome else None, forward, arrived or 0)
    own = ("play_id", "offense_team", "offense_direction", "sample_rate", "start_time", "description")
    return Play(
        game_id=game_id,
        participants=tuple(
            Participant(**person | {"kind": ParticipantKind(person["kind"]), "tag_ids": tuple(person["tag_ids"])})
            for person in participants.drop("play_id").iter_rows(named=True)
        ),
        events=tuple(Event(**event) for event in row["events"]),
        forward_pass=thrown,
        situation=Situation(**{f.name: row[f.name] for f in fields(Situation)}),
        state=PlayState(row["state"]),
        samples=Samples.from_columns({name: samples[name].to_numpy() for name in SAMPLE_DTYPES}),
        **{name: row[name] for name in own},
    )


def _columns(samples: Samples) -> pl.DataFrame:
    return pl.DataFrame({name: getattr(samples, name) for name in SAMPLE_DTYPES})


def _samples(play: Play) -> pl.DataFrame:
    """In order of frame, then tag."""
    samples = play.samples.sorted_by_frame()
    owners = {tag: p.participant_id for p in play.participants for tag in p.tag_ids}
    tags, index = np.unique(samples.tag_id, return_inverse=True)
    names = np.array([owners.get(tag, "") for tag in tags.tolist()], object)[index]
    return _columns(samples).with_columns(
        pl.lit(play.play_id).alias("play_id"),
        pl.Series("participant_id", names.tolist(), pl.String),
        pl.Series("seconds", samples.frame / play.sample_rate, pl.Float64),
    )


def _play(play: Play) -> dict[str, object]:
    situation, thrown = play.situation, play.forward_pass
    row = {name: getattr(play, name) for name in _PLAY if hasattr(play, name)}
    row |= {name: getattr(situation, name) for name in _PLAY if hasattr(situation, name)}
    row["state"] = play.state.value
    row["events"] = [{"name": event.name, "frame": event.frame} for event in play.events]
    if thrown:
        outcome = thrown.outcome.value if thrown.outcome else None
        values = (thrown.thrower_id, thrown.target_id, outcome, thrown.forward_frame, thrown.arrived_frame or None)
        row |= dict(zip(_PASS, values, strict=True))
    return row


def _participants(play: Play) -> list[dict[str, object]]:
    rows = []
    for participant in play.participants:
        row = {name: getattr(participant, name, None) for name in _PARTICIPANT}
        rows.append(
            row | {"play_id": play.play_id, "kind": participant.kind.value, "tag_ids": list(participant.tag_ids)}
        )
    return rows
