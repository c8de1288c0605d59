"""Agreement of the score with experts, and profiles fitted to labels."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.score import expert, labels
from benchmarks.score.labels import Labelled
from benchmarks.score.trajectories import Trajectories
from services.score import profiles
from services.score.profiles import DEFAULT, ScoreProfile


@pytest.fixture(scope="module")
def labelled(what_ifs: Trajectories) -> Labelled:
    return labels.match(labels.of_test_expert(what_ifs, 1.5), what_ifs)


def of_profile(what_ifs: Trajectories, profile: ScoreProfile) -> Labelled:
    """The labels of an expert who judges as a profile does."""
    made = labels.match(labels.of_test_expert(what_ifs, 1.5), what_ifs)
    score = made.score(profile)
    worst = np.quantile(score, 0.7)
    judged = [
        replace(label, questionable=bool(ts > worst), grade=float(ts))
        for label, ts in zip(made.labels, score, strict=True)
    ]
    return Labelled(what_ifs, judged, made.row)


def test_one_who_judges_as_the_score_does_agrees_wholly(what_ifs: Trajectories) -> None:
    found = expert.agreement(of_profile(what_ifs, DEFAULT), DEFAULT, 20)
    assert (found.auc, found.tau, found.pairs) == (1.0, pytest.approx(1.0), 1.0)
    np.testing.assert_allclose(found.intervals, 1.0)


def test_the_score_agrees_with_the_truth_beyond_chance_for_those_near_the_target(labelled: Labelled) -> None:
    found = expert.agreement(labelled.within(labels.NEAR), DEFAULT, 100)
    assert 0.5 < found.auc < 1
    assert found.intervals[0, 0] > 0.5
    assert found.intervals[0, 1] > 0
    assert found.intervals[0, 2] > 0.5


def test_pairs_are_of_the_same_defender_and_target(labelled: Labelled) -> None:
    score, questionable = labelled.score(DEFAULT), labelled.questionable
    worse = []
    for row in np.unique(labelled.row):
        own = np.flatnonzero(labelled.row == row)
        good, bad = own[~questionable[own]], own[questionable[own]]
        worse += [np.heaviside(score[b] - score[g], 0.5) for b in bad for g in good]
    assert expert.agreement(labelled, DEFAULT, 5).pairs == pytest.approx(np.mean(worse))


def test_labels_of_one_trajectory_each_have_no_pairs(passes: Trajectories) -> None:
    score = passes.score("actual", DEFAULT).score
    given = [
        labels.Label(play, defender, bool(ts > 0), "", target, "actual", float(ts > 0))
        for play, defender, target, ts in zip(passes.play, passes.defender, passes.target, score, strict=True)
    ]
    found = expert.agreement(labels.match(given, passes), DEFAULT, 20)
    assert np.isnan(found.pairs)
    assert found.auc == 1.0


def test_fitting_finds_the_profile_that_an_expert_judges_by(what_ifs: Trajectories) -> None:
    for lateness, effort in ((0.0, 2.0), (3.0, 0.0)):
        judge = replace(DEFAULT, lateness=lateness, effort=effort)
        fit = expert.fit(of_profile(what_ifs, judge), DEFAULT)
        assert fit
        assert (fit.profile.lateness, fit.profile.effort) == (lateness, effort)
        assert fit.held_out_auc == pytest.approx(1.0)
        assert fit.before_auc < fit.held_out_auc
        assert replace(fit.profile, lateness=1.0, effort=1.0) == DEFAULT


def test_labels_by_chance_do_not_look_fitted_where_they_are_held_out(what_ifs: Trajectories) -> None:
    random = np.random.default_rng(5)
    made = labels.match(labels.of_test_expert(what_ifs, 1.5), what_ifs)
    by_chance = [replace(label, questionable=bool(random.random() < 0.4)) for label in made.labels]
    fit = expert.fit(Labelled(what_ifs, by_chance, made.row), DEFAULT)
    assert fit
    assert fit.held_out_auc == pytest.approx(0.5, abs=0.06)


def test_a_handful_of_labels_is_compared_but_not_fitted(passes: Trajectories) -> None:
    rows = np.flatnonzero(passes.passes == 0)[:3].tolist()
    given = [
        labels.Label(
            passes.play[i], passes.defender[i], i == rows[0], "", passes.target[i], "actual", float(i == rows[0])
        )
        for i in rows
    ]
    labelled = labels.match(given, passes)
    assert 0 <= expert.agreement(labelled, DEFAULT, 5).auc <= 1
    assert expert.fit(labelled, DEFAULT) is None


def test_the_clearest_disagreements_come_first(labelled: Labelled) -> None:
    found = expert.disagreements(labelled, profiles.DEFAULT, 2)
    assert [label.questionable for _, label in found] == [False, False, True, True]
    score, questionable = labelled.score(DEFAULT), labelled.questionable
    assert found[0][0] == score[~questionable].max()
    assert found[2][0] == score[questionable].min()
