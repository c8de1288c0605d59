"""Parquet files are whole or not there, and have the same columns whatever is in them."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ghostback import parquet
from ghostback.play import Samples
from simulator.game import simulate_game


def test_tables_without_rows_have_the_columns_of_tables_with_rows() -> None:
    plays = simulate_game(41, 4).plays
    quarantine = [(plays[0].play_id, plays[0].samples.take(slice(0, 3)), ["SPEED", "ANGLE", "SPEED"])]
    full, empty = parquet.tables(plays, quarantine), parquet.tables([], [])
    assert tuple(full) == parquet.TABLES
    for name in parquet.TABLES:
        assert full[name].schema == empty[name].schema
        assert len(empty[name]) == 0 < len(full[name])
    assert full["quarantine"]["reason"].to_list() == ["SPEED", "ANGLE", "SPEED"]


def test_samples_say_who_wore_the_tag_and_when() -> None:
    (play,) = simulate_game(42, 1).plays
    strange = Samples.concatenate([play.samples, play.samples.take(slice(0, 1))])
    strange.tag_id[-1] = 999
    table = parquet.tables([replace(play, samples=strange)], [])["samples"]
    owners = {tag: p.participant_id for p in play.participants for tag in p.tag_ids} | {999: ""}
    assert [owners[tag] for tag in table["tag_id"]] == table["participant_id"].to_list()
    assert (table["seconds"] * play.sample_rate - table["frame"]).abs().max() < 1e-9


def test_plays_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = {}
    for seed, week in ((45, 2), (44, 1)):
        simulated = simulate_game(seed, 5)
        game = replace(simulated.game, week=week)
        thrown = next(play for play in simulated.plays if play.forward_pass)
        assert thrown.forward_pass
        plays = [
            *simulated.plays,
            replace(simulated.plays[0], play_id="none", participants=(), samples=Samples.empty()),
            replace(thrown, play_id="in-the-air", forward_pass=replace(thrown.forward_pass, arrived_frame=0)),
        ]
        parquet.write(tmp_path, game, parquet.tables(plays, []))
        written[week] = game, plays
    assert any(play.forward_pass is None for _, plays in written.values() for play in plays)
    for (game, plays), week in zip(parquet.read(tmp_path), (1, 2), strict=True):
        known, expected = written[week]
        assert (game.game_id, game.season, game.week) == (known.game_id, known.season, week)
        assert plays == [replace(play, samples=play.samples.sorted_by_frame()) for play in expected]
    with pytest.raises(FileNotFoundError, match="has no exported games"):
        parquet.read(tmp_path / "nothing")


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = simulate_game(43, 2)
    tables = parquet.tables(simulated.plays, [])
    written = parquet.write(tmp_path, simulated.game, tables)
    before = {path: path.read_bytes() for path in written}

    def full(table: pl.DataFrame, file: object) -> None:
        file.write(b"PAR1 half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        parquet.write(tmp_path, simulated.game, tables)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
