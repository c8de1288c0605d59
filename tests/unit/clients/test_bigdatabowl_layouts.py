"""The same games, written in the layout of every year, read as the same plays but for what a layout lacks."""

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import polars as pl
import pytest

from ghostback import bigdatabowl
from ghostback.bigdatabowl import BigDataBowlError
from ghostback.play import SAMPLE_DTYPES, Game, ParticipantKind, Play, PlayState, Samples
from simulator.faults import inject_faults
from simulator.game import simulate_game
from tests.layouts import YEARS, as_parquet, as_year

WITH_TRACKS = [year for year in YEARS if year not in (2020, 2026)]

Games = Sequence[tuple[Game, list[Play]]]


@pytest.fixture(scope="module")
def games() -> Games:
    """Two games with faults, the first with a play that does not count."""
    made = []
    for seed, season in ((3, 2017), (4, 2018)):
        simulated = simulate_game(seed, 8)
        game = replace(simulated.game, season=season, home_team="BAL")
        plays = [_of_team(inject_faults(play, seed), simulated.game.home_team) for play in simulated.plays]
        made.append((game, plays))
    made[0][1][0] = replace(made[0][1][0], state=PlayState.NULLIFIED)
    return made


def _of_team(play: Play, team: str) -> Play:
    """The play with a team of the games of 2020 that has two abbreviations in place of one."""
    return replace(
        play,
        offense_team="BAL" if play.offense_team == team else play.offense_team,
        participants=tuple(replace(p, team_id="BAL") if p.team_id == team else p for p in play.participants),
    )


@pytest.fixture
def folder(games: Games, tmp_path: Path) -> Path:
    bigdatabowl.write(tmp_path / "data", games)
    return tmp_path / "data"


def in_order(samples: Samples) -> Samples:
    return samples.take(np.lexsort((samples.x, samples.frame, samples.tag_id)))


def assert_same_samples(back: Samples, samples: Samples, without: Sequence[str] = ()) -> None:
    back, samples = in_order(back), in_order(samples)
    for name in SAMPLE_DTYPES:
        if name in without:
            assert np.isnan(getattr(back, name)).all()
        else:
            np.testing.assert_allclose(getattr(back, name), getattr(samples, name), atol=1e-4, err_msg=name)


@pytest.mark.parametrize("year", WITH_TRACKS)
@pytest.mark.parametrize("parquet", [False, True], ids=["csv", "parquet"])
def test_a_year_with_whole_tracks_reads_as_2021_does(folder: Path, year: int, parquet: bool) -> None:
    expected = list(bigdatabowl.read(folder))
    as_year(folder, year)
    if parquet:
        as_parquet(folder)
    back = list(bigdatabowl.read(folder))
    assert [game for game, _ in back] == [game for game, _ in expected]
    for (_, plays), (_, plays_of_2021) in zip(back, expected, strict=True):
        for again, play in zip(plays, plays_of_2021, strict=True):
            assert_same_samples(again.samples, play.samples, ("acceleration", "orientation") if year == 2019 else ())
            assert set(again.participants) == set(play.participants)
            bare = {"samples": Samples.empty(), "participants": (), "description": ""}
            assert replace(again, **bare) == replace(play, **bare)


@pytest.mark.parametrize("parquet", [False, True], ids=["csv", "parquet"])
def test_2020_has_the_players_at_the_handoff(folder: Path, parquet: bool) -> None:
    expected = list(bigdatabowl.read(folder))
    as_year(folder, 2020)
    if parquet:
        as_parquet(folder)
    back = list(bigdatabowl.read(folder))
    assert [game.game_id for game, _ in back] == [game.game_id for game, _ in expected]
    for (game, plays), (game_of_2021, plays_of_2021) in zip(back, expected, strict=True):
        assert (game.season, game.week) == (game_of_2021.season, game_of_2021.week)
        assert (game.home_team, game.away_team) == (game_of_2021.home_team, game_of_2021.away_team)
        for again, play in zip(plays, plays_of_2021, strict=True):
            first = (play.samples.frame == play.samples.frame.min()) & (play.samples.tag_id > 2)
            samples = play.samples.take(first)
            assert_same_samples(again.samples, replace(samples, frame=np.ones_like(samples.frame)))
            assert (again.forward_pass, [event.name for event in again.events]) == (None, ["handoff"])
            assert again.situation == play.situation
            assert (again.offense_team, again.offense_direction) == (play.offense_team, play.offense_direction)
            players = {p for p in play.participants if p.tag_ids[0] in samples.tag_id}
            assert {p for p in again.participants if p.display_name} == players


def test_2026_has_the_pass_from_its_two_files(folder: Path) -> None:
    expected = [(game, [play for play in plays if play.forward_pass]) for game, plays in bigdatabowl.read(folder)]
    as_year(folder, 2026)
    back = list(bigdatabowl.read(folder))
    assert [game for game, _ in back] == [game for game, _ in expected]
    compared = 0
    for (_, plays), (_, passes) in zip(back, expected, strict=True):
        for again, play in zip(plays, passes, strict=True):
            assert again.forward_pass is not None
            assert play.forward_pass is not None
            shift = int(play.samples.frame.min()) - 1
            thrown, arrived = play.forward_pass.forward_frame - shift, play.forward_pass.arrived_frame - shift
            assert again.forward_pass == replace(play.forward_pass, forward_frame=thrown, arrived_frame=arrived)
            assert (again.situation, again.state) == (play.situation, play.state)
            assert (again.offense_team, again.offense_direction) == (play.offense_team, play.offense_direction)
            names = {p.participant_id: p for p in play.participants}
            for p in again.participants:
                assert (p.team_id, p.position) == (names[p.participant_id].team_id, names[p.participant_id].position)
            moved = replace(play.samples, frame=play.samples.frame - np.int32(shift))
            players = [p.tag_ids[0] for p in play.participants if p.kind is ParticipantKind.PLAYER]
            before = (moved.frame <= thrown) & np.isin(moved.tag_id, players)
            assert_same_samples(
                again.samples.take(again.samples.frame <= thrown), moved.take(before), without=["distance"]
            )
            later = again.samples.take((again.samples.frame > thrown) & (again.samples.tag_id != 1))
            assert len(later) > 0
            assert later.frame.max() == arrived
            assert np.isnan(later.speed).all()
            ball = again.samples.take(again.samples.tag_id == 1)
            landed = moved.take((moved.tag_id == 1) & (moved.frame == arrived))
            assert (ball.frame.tolist(), ball.x[0], ball.y[0]) == ([arrived], landed.x[0], landed.y[0])
            compared += 1
    assert compared > 2


def test_2026_without_the_output_has_no_pass(folder: Path) -> None:
    as_year(folder, 2026)
    (folder / "train" / "output_2023_w01.csv").unlink()
    plays = [play for _, of_game in bigdatabowl.read(folder) for play in of_game]
    assert plays
    assert {play.forward_pass for play in plays} == {None}


def test_a_folder_may_be_a_url(folder: Path) -> None:
    expected = list(bigdatabowl.read(folder))
    files = fsspec.filesystem("memory")
    files.put(str(folder), "/season", recursive=True)
    try:
        assert list(bigdatabowl.read("memory://season")) == expected
    finally:
        files.rm("/season", recursive=True)
    archive = folder.parent / "data.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in folder.iterdir():
            zipped.write(path, f"nfl-big-data-bowl/{path.name}")
    assert list(bigdatabowl.read(f"zip://::{archive}")) == expected


def test_two_seasons_in_one_folder_are_told_apart(folder: Path) -> None:
    (folder / "older").mkdir()
    (folder / "older" / "games.csv").write_bytes((folder / "games.csv").read_bytes())
    with pytest.raises(BigDataBowlError, match=r"several games: games.csv, older/games.csv; read one folder at a time"):
        bigdatabowl.read(folder)


@pytest.mark.parametrize("source", ["nowhere://data", "zip://::missing.zip", "https:///", "s3://"])
def test_a_url_that_cannot_be_read_is_named(source: str) -> None:
    with pytest.raises(BigDataBowlError, match=source):
        bigdatabowl.read(source)


def test_a_parquet_file_with_a_wrong_value_is_named(folder: Path) -> None:
    as_parquet(folder)
    path = folder / "plays.parquet"
    pl.read_parquet(path).with_columns(pl.lit("first").alias("quarter")).write_parquet(path)
    with pytest.raises(BigDataBowlError, match=r"plays.parquet: row 1, column quarter: 'first' is no value for it"):
        bigdatabowl.read(folder)
