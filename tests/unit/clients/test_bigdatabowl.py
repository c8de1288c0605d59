"""Data folders of the Big Data Bowl: what is written reads back, and both layouts are understood."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostback import bigdatabowl
from ghostback.bigdatabowl import BigDataBowlError
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
from simulator.faults import inject_faults
from simulator.game import simulate_game
from tests.layouts import as_year

GAME = Game("2024091500", "SIM", 2024, 2, "HAR", "MER", datetime(2024, 9, 15, 17, 0, 5, tzinfo=UTC))
BALL = Participant("ball", ParticipantKind.BALL, "Football", "", "", -1, (1,))


def player(nfl_id: int, name: str, team: str, position: str, jersey: int = 7) -> Participant:
    return Participant(
        str(nfl_id), ParticipantKind.PLAYER, name, team, position, jersey, (nfl_id,), league_player_id=str(nfl_id)
    )


QB, WR, TE, CB, FS = ROSTER = (
    player(90001, "Ann Able", "HAR", "QB"),
    player(90002, "Bob Baker", "HAR", "WR", -1),
    player(90003, "Cy Coe-Dunn", "HAR", "TE"),
    player(90011, "Eve Early", "MER", "CB"),
    player(90012, "Flo Fox Jr.", "MER", "FS"),
)
EVENTS = (Event("ball_snap", 2), Event("pass_forward", 4), Event("pass_arrived", 8), Event("pass_outcome_caught", 9))


def make_samples(n_frames: int = 10) -> Samples:
    """Everybody at rest, the offense at smaller x; the ball starts with the passer and ends with the tight end."""
    people = (*ROSTER, BALL)
    x = np.tile([30.0, 34.0, 35.0, 41.0, 50.0, 35.5], (n_frames, 1))
    x[3:, -1] = np.linspace(30.25, 36.25, n_frames - 3).round(2)
    return Samples.from_columns(
        {
            "tag_id": np.tile([p.tag_ids[0] for p in people], n_frames),
            "frame": np.repeat(np.arange(1, n_frames + 1), len(people)),
            "x": x.ravel(),
            "y": np.tile([20.0, 5.0, 30.0, 6.0, 27.5, 25.0], n_frames),
            "speed": np.full(x.size, 0.25),
        }
    )


PLAY = Play(
    game_id=GAME.game_id,
    play_id="56",
    offense_team="HAR",
    offense_direction=1,
    sample_rate=10.0,
    start_time=datetime(2024, 9, 15, 17, 0, 1, 500_000, tzinfo=UTC),
    participants=(*ROSTER, BALL),
    events=EVENTS,
    forward_pass=Pass(QB.participant_id, WR.participant_id, PassOutcome.COMPLETE, 4, 8),
    situation=Situation(2, 61.0, 3, 8.0, 35.5, 7, 10),
    state=PlayState.COMPLETE,
    description='A.Able pass short left to B.Baker, "nice one".',
    samples=make_samples(),
)


def read_back(folder: Path, *plays: Play, game: Game = GAME) -> list[Play]:
    bigdatabowl.write(folder, [(game, plays)])
    ((game_back, plays_back),) = bigdatabowl.read(folder)
    assert game_back == game
    return plays_back


def assert_same(back: Play, play: Play) -> None:
    """All is equal, samples to the decimals that are written."""
    assert set(back.participants) == set(play.participants)
    for name in SAMPLE_DTYPES:
        np.testing.assert_allclose(
            getattr(back.samples, name), getattr(play.samples, name), atol=0.00501, rtol=1e-6, err_msg=name
        )
    assert replace(back, participants=(), samples=Samples.empty()) == replace(
        play, participants=(), samples=Samples.empty()
    )


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=12)
NAMES = st.builds("{} {}".format, TEXT, TEXT)
MEASURE = st.floats(-500, 500, width=32) | st.just(np.nan)


@st.composite
def plays(draw: st.DrawFn) -> Play:
    """Any play: rows in any order, missing values, repetitions and tags that nobody wears."""
    roster = [
        replace(p, display_name=draw(NAMES), jersey_number=draw(st.integers(-1, 99)), position=position)
        for p, position in zip(
            ROSTER,
            ("QB", *draw(st.lists(st.sampled_from(["WR", "TE", "CB", "", "G"]), min_size=4, max_size=4))),
            strict=True,
        )
    ]
    frames = draw(st.lists(st.integers(1, 400), min_size=8, max_size=12, unique=True).map(sorted))
    wearers = [p.tag_ids[0] for p in roster] + [1]
    strangers = draw(st.lists(st.sampled_from([90001, 1, 99_999_999, 2**64 - 1, 2**53 + 1]), max_size=4))
    tags = draw(
        st.permutations(
            [(tag, frame) for tag in wearers for frame in frames] + [(tag, frames[-1]) for tag in strangers]
        )
    )
    columns = {name: draw(st.lists(MEASURE, min_size=5, max_size=5)) for name in list(SAMPLE_DTYPES)[2:]}
    samples = Samples.from_columns(
        {"tag_id": np.array([tag for tag, _ in tags], np.uint64), "frame": [frame for _, frame in tags]}
        | {name: np.resize(values, len(tags)) for name, values in columns.items()}
    )
    rate = draw(st.sampled_from([10.0, 25.0]))
    thrown = draw(st.none() | st.sampled_from([*PassOutcome, None]).map(lambda o: (o,)))
    target = draw(st.sampled_from(["", WR.participant_id, TE.participant_id]))
    names = draw(st.lists(st.sampled_from(["man_in_motion", "first_contact", "tackle"]), max_size=2, unique=True))
    events = [Event("ball_snap", frames[1]), *(Event(name, frames[-1]) for name in names)]
    if thrown:
        events += [Event("pass_forward", frames[3]), Event("pass_arrived", frames[5])]
    return replace(
        PLAY,
        offense_direction=draw(st.sampled_from([1, -1])),
        sample_rate=rate,
        start_time=PLAY.start_time + timedelta(milliseconds=draw(st.integers(0, 10**9))),
        participants=(*roster, BALL),
        events=tuple(sorted(events, key=lambda e: (e.frame))),
        forward_pass=Pass(QB.participant_id, target, thrown[0], frames[3], frames[5]) if thrown else None,
        situation=draw(
            st.builds(
                Situation,
                st.integers(1, 5),
                st.integers(0, 900).map(float),
                st.integers(0, 4),
                st.integers(0, 99).map(float),
                st.integers(0, 480).map(lambda quarters: quarters / 4),
                st.integers(0, 60),
                st.integers(0, 60),
            )
        ),
        description=draw(TEXT.filter(lambda text: text not in ("NA", "NaN", "nan", "None"))),
        samples=samples,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(plays())
def test_any_play_reads_back(play: Play) -> None:
    with TemporaryDirectory() as folder:
        (back,) = read_back(Path(folder), play)
    assert_same(back, play)


def test_simulated_plays_with_faults_read_back(tmp_path: Path) -> None:
    simulated = simulate_game(3, 12)
    made = [inject_faults(play, 3) for play in simulated.plays]
    back = read_back(tmp_path, *made, game=simulated.game)
    assert len(back) == len(made)
    compared = 0
    for play, again in zip(made, back, strict=True):
        if {event.frame for event in play.events} <= set(play.samples.frame.tolist()):
            *people, ball = play.participants
            named = (replace(p, league_player_id=p.participant_id) for p in people)
            assert_same(again, replace(play, participants=(*named, ball)))
            compared += 1
    assert compared > len(made) / 2


def test_broken_rows_are_left_to_ingest(tmp_path: Path) -> None:
    samples = Samples.concatenate([PLAY.samples, PLAY.samples.take(slice(0, 2)), PLAY.samples.take(slice(2, 3))])
    samples.x[0] = np.nan
    samples.tag_id[-1] = 12345
    samples.x[-2] = 250.0
    (back,) = read_back(tmp_path, replace(PLAY, samples=samples))
    assert back.samples == samples
    assert set(back.participants) == set(PLAY.participants)


def test_a_row_without_id_and_team_gets_a_tag_nobody_wears(tmp_path: Path) -> None:
    bigdatabowl.write(tmp_path, [(GAME, [PLAY])])
    path = tmp_path / "week2.csv"
    rows = pl.read_csv(path, infer_schema=False)
    rows.with_columns(pl.when(pl.col("nflId") != WR.participant_id).then("nflId").alias("nflId")).write_csv(path)
    ((_, (back,)),) = bigdatabowl.read(tmp_path)
    assert set(back.samples.tag_id.tolist()) == {QB.tag_ids[0], TE.tag_ids[0], CB.tag_ids[0], FS.tag_ids[0], 1, 2}
    assert WR.participant_id not in {p.participant_id for p in back.participants}


def test_a_player_with_two_tags_is_written_by_league_id_and_officials_are_left_out(tmp_path: Path) -> None:
    wearer = replace(WR, participant_id="HAR-80", tag_ids=(5, 6))
    official = Participant("ref", ParticipantKind.OFFICIAL, "R. Ef", "", "", -1, (7,))
    parts = [PLAY.samples.take(PLAY.samples.tag_id == WR.tag_ids[0])] * 3
    worn = [
        replace(part, tag_id=np.full(len(part), tag, np.uint64)) for part, tag in zip(parts, (5, 6, 7), strict=True)
    ]
    others = PLAY.samples.take(PLAY.samples.tag_id != WR.tag_ids[0])
    assert PLAY.forward_pass
    (back,) = read_back(
        tmp_path,
        replace(
            PLAY,
            participants=(QB, wearer, TE, CB, FS, BALL, official),
            samples=Samples.concatenate([*worn, others]),
            forward_pass=replace(PLAY.forward_pass, target_id="HAR-80"),
        ),
    )
    assert set(back.participants) == {*ROSTER, BALL}
    assert (back.samples.tag_id == WR.tag_ids[0]).sum() == 20
    assert back.forward_pass == PLAY.forward_pass


def test_events_at_one_frame_and_at_a_lost_frame_are_kept(tmp_path: Path) -> None:
    samples = PLAY.samples.take(PLAY.samples.frame != 4)
    events = (*EVENTS, Event("first_contact", 9), Event("tackle", 12))
    (back,) = read_back(tmp_path, replace(PLAY, samples=samples, events=events))
    assert [(e.name, e.frame) for e in back.events] == [
        ("ball_snap", 2),
        ("pass_forward", 5),
        ("pass_arrived", 8),
        ("pass_outcome_caught", 9),
        ("first_contact", 9),
        ("tackle", 10),
    ]


def test_a_nullified_play_stays_nullified(tmp_path: Path) -> None:
    (back,) = read_back(tmp_path, replace(PLAY, state=PlayState.NULLIFIED))
    assert (back.state, back.description) == (PlayState.NULLIFIED, f"{PLAY.description} No Play.")


def test_kick_off_is_written_in_eastern_time(tmp_path: Path) -> None:
    bigdatabowl.write(tmp_path, [(replace(GAME, start_time=datetime(2025, 1, 6, 1, 20, tzinfo=UTC)), [PLAY])])
    row = pl.read_csv(tmp_path / "games.csv").row(0, named=True)
    assert (row["gameDate"], row["gameTimeEastern"]) == ("01/05/2025", "20:20:00")


@pytest.mark.parametrize(
    ("line", "direction", "side", "number"),
    [(35.5, 1, "HAR", "25.5"), (35.5, -1, "MER", "25.5"), (84.0, -1, "HAR", "26"), (60.0, 1, None, "50")],
)
def test_yard_lines_are_counted_from_the_nearer_end(
    tmp_path: Path, line: float, direction: int, side: str | None, number: str
) -> None:
    situation = replace(PLAY.situation, line_of_scrimmage=line)
    bigdatabowl.write(tmp_path, [(GAME, [replace(PLAY, situation=situation, offense_direction=direction)])])
    row = pl.read_csv(tmp_path / "plays.csv", infer_schema=False).row(0, named=True)
    assert (row["yardlineSide"], row["yardlineNumber"]) == (side, number)


def test_games_and_plays_come_in_order_of_id_whatever_the_files_are_called(tmp_path: Path) -> None:
    games = [replace(GAME, game_id=f"202409{day}00", week=week) for day, week in ((29, 4), (15, 10), (22, 3), (16, 10))]
    made = [(game, [replace(PLAY, game_id=game.game_id, play_id=play) for play in ("100", "56")]) for game in games]
    bigdatabowl.write(tmp_path, made)
    back = list(bigdatabowl.read(tmp_path))
    assert [game.game_id for game, _ in back] == ["2024091500", "2024091600", "2024092200", "2024092900"]
    assert [[play.play_id for play in of_game] for _, of_game in back] == [["56", "100"]] * 4


def test_games_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    later = replace(GAME, game_id="2024092200", week=3)
    bigdatabowl.write(tmp_path, [(GAME, [PLAY]), (later, [replace(PLAY, game_id=later.game_id)])])
    rewrite(tmp_path / "week3.csv", lambda text: text.replace("20.00", "twenty"))
    reading = bigdatabowl.read(tmp_path)
    assert next(reading)[0] == GAME
    with pytest.raises(BigDataBowlError, match=r"week3.csv: row 1, column y: 'twenty'"):
        next(reading)


def test_a_folder_without_games_can_be_written(tmp_path: Path) -> None:
    bigdatabowl.write(tmp_path / "new", [])
    with pytest.raises(BigDataBowlError, match="no tracking files"):
        next(bigdatabowl.read(tmp_path / "new"))


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize("direction", [1, -1])
def test_the_layout_of_2019_gives_the_same_play(tmp_path: Path, direction: int) -> None:
    samples = PLAY.samples if direction > 0 else replace(PLAY.samples, x=np.float32(120) - PLAY.samples.x)
    situation = replace(PLAY.situation, line_of_scrimmage=35.5 if direction > 0 else 84.5)
    play = replace(PLAY, samples=samples, offense_direction=direction, situation=situation)
    bigdatabowl.write(tmp_path, [(GAME, [play])])
    as_year(tmp_path, 2019)
    ((game, (back,)),) = bigdatabowl.read(tmp_path)
    assert game == GAME
    assert_same(back, play)


def test_without_a_yard_line_the_ball_at_the_snap_is_the_line_of_scrimmage(tmp_path: Path) -> None:
    bigdatabowl.write(tmp_path, [(GAME, [PLAY])])
    columns = ["absoluteYardlineNumber", "yardlineNumber"]
    pl.read_csv(tmp_path / "plays.csv", infer_schema=False).drop(columns).write_csv(tmp_path / "plays.csv")
    ((_, (back,)),) = bigdatabowl.read(tmp_path)
    assert back.situation == PLAY.situation


def test_columns_may_stand_in_any_order_and_whole_numbers_have_a_point(tmp_path: Path) -> None:
    bigdatabowl.write(tmp_path, [(GAME, [PLAY])])
    for path in tmp_path.glob("*.csv"):
        table = pl.read_csv(path, infer_schema=False)
        ids = [c for c in ("nflId", "targetNflId", "gameId", "jerseyNumber") if c in table.columns]
        table.select(pl.col(c) + ".0" if c in ids else c for c in reversed(table.columns)).write_csv(path)
    ((_, (back,)),) = bigdatabowl.read(tmp_path)
    assert_same(back, PLAY)


def test_times_in_whole_seconds_mean_ten_frames_a_second(tmp_path: Path) -> None:
    bigdatabowl.write(tmp_path, [(GAME, [replace(PLAY, sample_rate=25.0)])])
    week = tmp_path / "week2.csv"
    table = pl.read_csv(week, infer_schema=False)
    table.with_columns(pl.col("time").str.slice(0, 19) + ".000Z").write_csv(week)
    ((_, (back,)),) = bigdatabowl.read(tmp_path)
    assert (back.sample_rate, back.start_time) == (10.0, datetime(2024, 9, 15, 17, 0, 0, 900_000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("events", "frames"),
    [
        ("pass_forward:4 pass_tipped:5 pass_arrived:8 pass_outcome_caught:9", (4, 8)),
        ("pass_shovel:3 pass_outcome_touchdown:7", (3, 7)),
        ("pass_forward:4 pass_tipped:5 pass_outcome_incomplete:9", (4, 5)),
        ("pass_arrived:2 pass_forward:4 pass_outcome_caught:6", (4, 6)),
        ("pass_forward:4", None),
        ("pass_arrived:8", None),
        ("pass_forward:4 pass_arrived:4", None),
    ],
)
def test_a_pass_lasts_from_throw_to_arrival(tmp_path: Path, events: str, frames: tuple[int, int] | None) -> None:
    named = [word.split(":") for word in events.split()]
    (back,) = read_back(tmp_path, replace(PLAY, events=tuple(Event(name, int(frame)) for name, frame in named)))
    found = back.forward_pass
    assert (found and (found.forward_frame, found.arrived_frame)) == frames


@pytest.mark.parametrize("result", ["R", "S"])
def test_a_scramble_or_a_sack_is_no_pass(tmp_path: Path, result: str) -> None:
    bigdatabowl.write(tmp_path, [(GAME, [PLAY])])
    rewrite(tmp_path / "plays.csv", lambda text: text.replace(",C,", f",{result},"))
    ((_, (back,)),) = bigdatabowl.read(tmp_path)
    assert back.forward_pass is None


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BigDataBowlError, match="nowhere is not a folder"):
        bigdatabowl.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("games.csv", None, "", "games.csv is missing"),
        ("players.csv", None, "", "players.csv is missing"),
        ("week2.csv", None, "", "has no tracking files"),
        ("games.csv", "gameTimeEastern", "kickOff", "games.csv has no column gameTimeEastern; it has gameId, gameDate"),
        ("games.csv", "09/15/2024", "15.09.2024", "games.csv: game 2024091500 starts at 15.09.2024 13:00:05"),
        ("games.csv", "2024091500", "2024091501", "tracking of game 2024091500, which is not in games.csv"),
        ("players.csv", "90002", "x90002", "players.csv: row 2, column nflId: 'x90002'"),
        ("plays.csv", ",56,", ",,", "plays.csv: row 1, column playId: None"),
        ("plays.csv", "01:01:00", "noon", "game 2024091500 play 56: gameClock 'noon' is not minutes:seconds"),
        ("targetedReceiver.csv", "targetNflId", "target", "targetedReceiver.csv has no column targetNflId"),
        ("week2.csv", "frameId", "frame", "week2.csv has no column frameId"),
        ("week2.csv", "T17:00:01.600Z", " 5 pm", "week2.csv: row 1, column time: '2024-09-15 5 pm'"),
        ("week2.csv", ",30.00,", ",3O.00,", "week2.csv: row 1, column x: '3O.00'"),
        ("week2.csv", "HEADER", "", "week2.csv cannot be read as CSV"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(
    tmp_path: Path, name: str, old: str | None, new: str, message: str
) -> None:
    bigdatabowl.write(tmp_path, [(GAME, [PLAY])])
    path = tmp_path / name
    if old is None:
        path.unlink()
    elif old == "HEADER":
        path.write_bytes(b"")
    else:
        assert old in path.read_text()
        rewrite(path, lambda text: text.replace(old, new, 1))
    with pytest.raises(BigDataBowlError, match="^[^\n]*" + message.replace("(", r"\(")):
        list(bigdatabowl.read(tmp_path))


@pytest.mark.parametrize(
    ("games", "message"),
    [
        ([(replace(GAME, game_id="g1"), [PLAY])], "id 'g1' is not a whole number"),
        ([(GAME, [replace(PLAY, play_id="p-1")])], "id 'p-1' is not a whole number"),
        ([(replace(GAME, away_team="COV"), [PLAY])], "90011 is of team 'MER', 2024091500 has HAR and COV"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(
    tmp_path: Path, games: Sequence[tuple[Game, Sequence[Play]]], message: str
) -> None:
    with pytest.raises(BigDataBowlError, match=message):
        bigdatabowl.write(tmp_path, games)
