"""The game that the NFL left public for trying reads as what it was; only counts and averages are shown."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ghostback import bigdatabowl
from ghostback.play import ELIGIBLE_POSITIONS, PassOutcome, Play

REAL = Path(__file__).parents[4] / "shared" / "data" / "nfl-2017090700-first-half"


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the public game is not at {REAL.parent.name}/{REAL.name}")
def test_the_public_game_has_its_passes() -> None:
    ((game, made),) = bigdatabowl.read(REAL)
    passes = [(play, play.forward_pass) for play in made if play.forward_pass]
    targets = [(play, play.participant(p.target_id)) for play, p in passes if p.target_id]
    by_text = sum(t is not None and t.display_name.split()[-1] in play.description for play, t in targets)
    air = np.array([(p.arrived_frame - p.forward_frame) / play.sample_rate for play, p in passes])
    print(  # noqa: T201
        f"{len(made)} plays, {len(passes)} passes, targets: {by_text} named in the text, "
        f"{len(targets) - by_text} nearest to the ball, {len(passes) - len(targets)} nobody; air time "
        f"{air.mean():.2f} s on average, {air.min():.1f} to {air.max():.1f} s"
    )
    assert (game.home_team, game.away_team, game.start_time) == ("NE", "KC", datetime(2017, 9, 8, 0, 30, tzinfo=UTC))
    assert len(passes) in range(35, 38)
    assert Counter(p.outcome for _, p in passes) == {PassOutcome.COMPLETE: 25, PassOutcome.INCOMPLETE: 11}
    assert len(targets) == by_text == len(passes) - 1
    for play, target in targets:
        assert target is not None
        assert target.position in ELIGIBLE_POSITIONS
        assert target.team_id == play.offense_team
    throwers = {p.thrower_id: play for play, p in passes}
    assert {play.participant(name).position for name, play in throwers.items()} == {"QB"}  # type: ignore[union-attr]
    assert 0.5 < air.mean() < 1.5
    assert air.min() >= 0.2
    assert air.max() < 3.5
    assert {play.sample_rate for play in made} == {10.0}
    assert all(play.offense_direction for play in made)
    assert all(abs(snap_x(play) - play.situation.line_of_scrimmage) < 4 for play, _ in passes)
    assert all(len(play.participants) == 23 for play, _ in passes)
    assert {len(play.defensive_backs()) for play, _ in passes} <= set(range(3, 8))


def snap_x(play: Play) -> float:
    """Where the ball is at the snap."""
    snap = next(event.frame for event in play.events if event.name in ("ball_snap", "snap_direct"))
    return float(play.samples.x[(play.samples.frame == snap) & (play.samples.tag_id == 1)][0])
