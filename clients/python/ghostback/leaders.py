"""Leaderboards as tables: one row a leader, to look at, or to keep as Parquet or CSV."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from ghostback.score.v1 import statistics_service_pb2 as pb

SCHEMA = pl.Schema(
    {
        "rank": pl.UInt32(),
        "id": pl.String(),
        "display_name": pl.String(),
        "team_id": pl.String(),
        "position": pl.String(),
        "attempts": pl.UInt32(),
        "total": pl.Float64(),
        "mean": pl.Float64(),
        "mean_low": pl.Float64(),
        "mean_high": pl.Float64(),
        "shrunk_mean": pl.Float64(),
    }
)
"""Columns, as fields of `ghostback.score.v1.Leader`; null where a field is not set."""
SUFFIXES = (".parquet", ".csv")
"""Of files that tables are written to."""

_OPTIONAL = ("mean_low", "mean_high")


def frame(leaders: Iterable[pb.Leader]) -> pl.DataFrame:
    """Leaders as a table."""
    rows = [
        {
            name: getattr(each, name) if name not in _OPTIONAL or each.HasField(name) else None  # type: ignore[arg-type]
            for name in SCHEMA
        }
        for each in leaders
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def write(table: pl.DataFrame, path: Path) -> None:
    """Write a table, by the path's suffix as Parquet or CSV; its folder is made where it is not there.

    Raises:
        ValueError: the suffix is none of `SUFFIXES`.
        OSError: the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is neither {' nor '.join(SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path)
