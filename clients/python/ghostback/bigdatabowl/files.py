"""The data files under a folder or a URL, as tables of typed columns named as in 2021."""

import re
import tempfile
from collections.abc import Collection, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import fsspec
import polars as pl

Kinds = Mapping[str, type[pl.DataType]]
"""Columns and their types."""

_SUFFIXES = (".parquet", ".csv", ".csv.gz")
_NULLS = ["NA", "NaN", "nan", "None", "NULL", ""]
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.f"
_ALIASES = {
    "displayName": ("playername",),
    "o": ("orientation",),
    "position": ("positionabbr", "officialposition", "playerposition"),
    "preSnapHomeScore": ("homescorebeforeplay",),
    "preSnapVisitorScore": ("visitorscorebeforeplay",),
    "team": ("club", "playerside"),
    "time": ("timehandoff",),
    "yardlineNumber": ("yardline",),
    "yardlineSide": ("fieldposition",),
    "yardsToGo": ("distance",),
}
"""What the columns of 2021 are called in other years, plain (see `_plain`)."""


class BigDataBowlError(ValueError):
    """A data folder cannot be read or written; the message names the file and what is wrong with it."""


class Folder:
    """The data files under a folder or an fsspec URL, at any depth: CSV (plain or .gz) and Parquet.

    Files that are not on this machine are copied into a temporary folder when they are first read,
    which goes with this object.
    """

    def __init__(self, source: str | Path) -> None:
        """Find the files.

        Raises:
            BigDataBowlError: there is no such folder, or it cannot be listed.
        """
        self.source = str(source)
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.source)
            found = self._files.find(self._root) if self._files.isdir(self._root) else None
        except (OSError, ValueError, ImportError) as error:
            raise BigDataBowlError(f"{self.source} cannot be read: {error}") from error
        if found is None:
            raise BigDataBowlError(f"{self.source} is not a folder")
        self._is_local = "file" in (self._files.protocol, *self._files.protocol)
        self._copies = tempfile.TemporaryDirectory(prefix="ghostback-")
        self._paths = {
            path.removeprefix(self._root).lstrip("/"): path
            for path in sorted(found)
            if path.endswith(_SUFFIXES) and not PurePosixPath(path).name.startswith(".")
        }

    def find(self, *patterns: str) -> list[str]:
        """Paths, from the folder, of the files whose names without suffix fit one of the patterns."""
        return [
            path
            for path in self._paths
            if any(fnmatch(PurePosixPath(path).name.partition(".")[0], pattern) for pattern in patterns)
        ]

    def one(self, name: str) -> str | None:
        """Path of the file of that name without suffix, None when there is none.

        Raises:
            BigDataBowlError: there are several.
        """
        found = self.find(name)
        if len(found) > 1:
            raise BigDataBowlError(f"{self.source} has several {name}: {', '.join(found)}; read one folder at a time")
        return found[0] if found else None

    def table(self, path: str, required: Kinds, optional: Kinds, keys: Collection[str]) -> pl.DataFrame:
        """The named columns of a file, in whatever year's spelling; optional ones it does not have are empty.

        Raises:
            BigDataBowlError: the file or a required column is missing, a value is not of its column's
                kind, or a key has no value.
        """
        title = f"{self.source.rstrip('/')}/{path}"
        try:
            text = _as_text(self._local(path))
            header = text.collect_schema().names()
            names = _named({**required, **optional}, header)
            missing = [name for name in required if name not in names]
            if missing:
                raise BigDataBowlError(f"{title} has no column {', '.join(missing)}; it has {', '.join(header)}")
            kinds = {name: kind for name, kind in {**required, **optional}.items() if name in names}
            text = text.select(pl.col(names[name]).alias(name) for name in kinds)
            is_wrong = pl.any_horizontal(_is_wrong(name, kind, name in keys) for name, kind in kinds.items())
            table = text.select(*(_parsed(name, kind) for name, kind in kinds.items()), is_wrong.alias(":wrong"))
            read = table.collect(engine="streaming")
            if read[":wrong"].any():
                row = read[":wrong"].arg_max() or 0
                raise BigDataBowlError(f"{title}: {_fault(text.slice(row, 1).collect(), row, kinds, keys)}")
        except (OSError, pl.exceptions.PolarsError) as error:
            kind = "Parquet" if path.endswith(".parquet") else "CSV"
            raise BigDataBowlError(f"{title} cannot be read as {kind}: {error}") from error
        empty = [pl.lit(None, kind).alias(name) for name, kind in optional.items() if name not in names]
        return read.drop(":wrong").with_columns(empty)

    def _local(self, path: str) -> Path:
        """Where the file is on this machine."""
        if self._is_local:
            return Path(self._paths[path])
        copy = Path(self._copies.name, path)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            self._files.get_file(self._paths[path], str(copy))
        return copy


def _plain(name: str) -> str:
    """A column's name in small letters, without points and underscores: `frame.id` and `frame_id` are `frameId`."""
    return re.sub(r"[._]", "", name).lower()


def _named(wanted: Collection[str], header: Collection[str]) -> dict[str, str]:
    """The columns that a file has of those wanted, and how it spells them."""
    spelled = {_plain(column): column for column in reversed(list(header))}
    found = {}
    for name in wanted:
        fitting = [spelled[plain] for plain in (_plain(name), *_ALIASES.get(name, ())) if plain in spelled]
        if fitting:
            found[name] = name if name in header else fitting[0]
    return found


def _as_text(path: Path) -> pl.LazyFrame:
    """All columns as text, empty where the file has one of the words for nothing."""
    if path.suffix != ".parquet":
        return pl.scan_csv(path, infer_schema=False, null_values=_NULLS)
    text = pl.scan_parquet(path).select(pl.all().cast(pl.String))
    return text.select(pl.when(~pl.all().is_in(_NULLS)).then(pl.all()))


def _parsed(name: str, kind: type[pl.DataType]) -> pl.Expr:
    """A column of text as its kind, empty where that fails; whole numbers may be written as `43.0`."""
    column = pl.col(name)
    if kind is pl.Datetime:
        stamp = column.str.replace(r"(Z|\+00:00| UTC)$", "").str.replace(" ", "T")
        return stamp.str.to_datetime(_TIME_FORMAT, time_unit="ms", strict=False)
    if issubclass(kind, pl.Float32 | pl.Float64 | pl.String):
        return column.cast(kind, strict=False)
    if kind is pl.Boolean:
        return column.str.to_lowercase().replace_strict({"true": True, "1": True, "y": True}, default=False)
    return pl.coalesce(column.cast(kind, strict=False), column.cast(pl.Float64, strict=False).cast(kind, strict=False))


def _is_wrong(name: str, kind: type[pl.DataType], is_key: bool) -> pl.Expr:
    return _parsed(name, kind).is_null() if is_key else _parsed(name, kind).is_null() & pl.col(name).is_not_null()


def _fault(text: pl.DataFrame, row: int, kinds: Kinds, keys: Collection[str]) -> str:
    """What is wrong with a row (given alone), in words."""
    wrong = text.select(_is_wrong(name, kind, name in keys).alias(name) for name, kind in kinds.items()).row(0)
    name = next(name for name, is_wrong in zip(kinds, wrong, strict=True) if is_wrong)
    return f"row {row + 1}, column {name}: {text[name][0]!r} is no value for it"
