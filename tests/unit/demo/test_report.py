"""The report of the demo."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from demo import plays, report
from demo.results import Mean, Results
from ghostback.client import Ghost, Prediction, Target
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2
from ghostback.score.v1 import score_service_pb2 as pb
from services.features import feature_sets, tensors
from simulator.game import simulate_game

PASSES = [play for play in simulate_game(91, 16).plays if play.forward_pass]


def prediction_of(play: Play) -> Prediction:
    """Ghosts that run straight to the place of arrival."""
    batch = tensors.compute(
        play, feature_sets.get("ghosting-kinematics@2"), [p.participant_id for p in play.eligible_receivers()]
    )
    targets = {}
    for target in batch.targets:
        air = slice(batch.observed - 1, batch.observed + target.air_steps)
        targets[target.participant_id] = Target(
            target.participant_id, target.actual, target.receiver[air], target.ball[air]
        )
    ghosts = [
        Ghost(d, t, np.linspace(a, targets[t].receiver[-1], len(targets[t].receiver)))
        for d, t, a in zip(batch.defender_ids, batch.target_ids, batch.anchor, strict=True)
    ]
    response = predict_service_pb2.PredictGhostsResponse()
    return Prediction("models/ghosting/versions/1.0.0", tuple(targets.values()), tuple(ghosts), {}, response)


def evaluation(shift: float, n: int) -> pb.EvaluateModelResult:
    result = pb.EvaluateModelResult(model_version="models/ghosting/versions/1.0.0")
    for subject in (1, 2, 3):
        for profile in ("catch-point@2", "receiver@1"):
            result.scores.add(
                subject=subject,  # type: ignore[arg-type]
                score_profile=f"scoreProfiles/{profile}",
                mean_trajectory_score=0.01 * subject + shift,
                trajectory_count=n,
                mean_play_score=0.02 * subject + shift,
                play_count=n // 4,
            )
    return result


@pytest.fixture(scope="module")
def results() -> Results:
    made = Results("A game", plays=16, accepted=12_345, duplicates=3, quarantined=Counter(SPEED=7, OFF_FIELD=2))
    made.passes = [(play, prediction_of(play)) for play in PASSES]
    skipped = pb.SkippedPlay(play="games/1/plays/2", description="games/1/plays/2 has nobody <to score>")
    made.evaluations = [evaluation(0.0, 100), evaluation(0.3, 300)]
    made.evaluations[1].skipped.append(skipped)
    return made


def test_games_are_pooled_by_the_number_of_trajectories(results: Results) -> None:
    assert results.trajectory_score("actual", "catch-point@2") == Mean(pytest.approx(0.01 + 0.225), 400)
    assert results.play_score("model", "catch-point@2").n == 100


def test_the_json_has_every_figure(results: Results, tmp_path: Path) -> None:
    report.write(results, tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert set(told["ts"]) == {"actual", "model", "spoiled25"}
    assert told["ts"]["spoiled25"] == {"mean": pytest.approx(0.03 + 0.225), "n": 400}
    assert told["samples"] == {
        "accepted": 12_345,
        "duplicates": 3,
        "quarantined": 9,
        "quarantined_by_reason": {"SPEED": 7, "OFF_FIELD": 2},
    }
    assert told["passes_without_scores"] == {"games/1/plays/2": "games/1/plays/2 has nobody <to score>"}
    assert told["passes"] == len(PASSES)
    assert told["published_ts"] == {"actual": -0.1036, "model": -0.0825, "spoiled25": 0.0425}


def test_the_page_opens_without_a_server_and_shows_every_figure(results: Results, tmp_path: Path) -> None:
    page = report.write(results, tmp_path).read_text()
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="', page)
    assert "nobody &lt;to score&gt;" in page
    for text in ("+0.2350", "+0.2450", "+0.2550", "-0.1036", "+0.0425", "12,345", "off field", "Thrown to", "What if"):
        assert text in page


def test_a_play_is_drawn_frame_by_frame_with_tracks_solid_and_ghosts_dashed(results: Results) -> None:
    play, prediction, other = plays.instructive(results.passes, 1)[0]
    drawn = plays.figure(play, prediction, other)
    actual = next(target for target in prediction.targets if target.actual)
    steps = max(len(actual.receiver), len(other.receiver)) - 1
    assert len(drawn.frames) == len(drawn.layout.sliders[0].steps) == 10 + steps + 1
    dashes = {trace.name: trace.line.dash for trace in drawn.data if trace.mode == "lines"}
    assert dashes == {"Defensive back, as he moved": None, "His ghost": "dash"}
    assert {trace.xaxis for trace in drawn.data} == {"x", "x2"}


def test_the_plays_shown_are_those_whose_ghosts_differ_most_and_always_the_same(results: Results) -> None:
    chosen = plays.instructive(results.passes, 3)
    assert len({play.name for play, _, _ in chosen}) == len(chosen) == 3
    again = plays.instructive(list(reversed(results.passes)), 3)
    assert [play.name for play, _, _ in again] == [play.name for play, _, _ in chosen]
    assert all(not other.actual for _, _, other in chosen)
