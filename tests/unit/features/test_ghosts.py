"""Ghosts given to ComputeFeatures: what rows they make, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common.errors import InvalidInput
from services.common.operations import Operations
from services.common.plays import INGEST_SERVICE
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.features import draws, feature_sets, tensors
from services.features.library import Library
from services.features.servicer import FeaturesServicer
from simulator.game import simulate_game

PLAY = next(play for play in simulate_game(31, 6).plays if play.forward_pass)
TARGETS = [each.participant_id for each in PLAY.eligible_receivers()][:2]
BACKS = [each.participant_id for each in PLAY.defensive_backs()][:3]
STEPS = np.linspace(0, 1, 21)[:, None]
LIVE = feature_sets.get("pass-outcome-live@1")


class NoMetadata:
    """All that is asked of a call's context."""

    def invocation_metadata(self) -> None: ...


def ghost(target: str, defender: str) -> source_pb2.Ghost:
    path = np.concatenate(
        [60 + TARGETS.index(target) + 5 * STEPS, 20 + 4.0 * BACKS.index(defender) + 0 * STEPS], axis=1
    )
    made = wire.view(source_pb2.Ghost)(target_id=target, defender_id=defender, path=convert.path_to_message(path))
    made.covariance.CopyFrom(convert.covariance_to_message(STEPS**2 * np.array([4.0, 1.0, 2.0])))
    return made


def asked(targets: list[str], **fields: Any) -> pb.ComputeFeaturesRequest:
    request = wire.view(pb.ComputeFeaturesRequest)(
        **{"feature_set": f"featureSets/{LIVE.id}", "target_ids": targets, "before_flight": True} | fields
    )
    request.source.play.CopyFrom(convert.play_to_message(PLAY))
    return request


async def measured(request: pb.ComputeFeaturesRequest) -> np.ndarray:
    ingest = Upstream("ingest", "127.0.0.1:1", INGEST_SERVICE, ServiceSettings())
    servicer = FeaturesServicer(ingest, Library(None), Operations(), 1)
    try:
        response: Any = await servicer.ComputeFeatures(request, NoMetadata())
    finally:
        await ingest.close()
    return convert.tensors_from_messages(response.tensors)["measurements"]


def paths(ghosts: list[source_pb2.Ghost]) -> dict[tuple[str, str], np.ndarray]:
    return {(each.target_id, each.defender_id): convert.path_from_message(each.path, "path") for each in ghosts}


async def test_all_targets_have_a_row_for_the_ghosts_and_then_for_each_draw_of_them() -> None:
    ghosts = [ghost(target, back) for target in TARGETS for back in BACKS]
    rows = await measured(asked(TARGETS, ghosts=ghosts, ghost_draws=4))
    covariances = {key: STEPS**2 * np.array([4.0, 1.0, 2.0]) for key in paths(ghosts)}
    each = [paths(ghosts), *draws.drawn(paths(ghosts), covariances, 4)]
    expected = tensors.compute(PLAY, LIVE, TARGETS, ghosts=each, before_flight=True).tensors["measurements"]
    np.testing.assert_allclose(rows, expected, atol=1e-3)
    assert len({tuple(row) for row in rows[:: len(TARGETS)]}) == 5


async def test_one_by_one_the_first_row_has_no_ghost_and_each_other_has_one() -> None:
    ghosts = [ghost(TARGETS[0], back) for back in BACKS]
    rows = await measured(asked(TARGETS[:1], ghosts=ghosts, ghosts_one_by_one=True))
    alone = [{}, *(paths([each]) for each in ghosts)]
    expected = tensors.compute(PLAY, LIVE, TARGETS[:1], ghosts=alone, before_flight=True)
    np.testing.assert_allclose(rows, expected.tensors["measurements"], atol=1e-4)


@pytest.mark.parametrize(
    ("made", "fields"),
    [
        (lambda: asked(TARGETS, ghost_draws=4), ["ghost_draws"]),
        (lambda: asked(TARGETS, ghosts=[ghost(TARGETS[0], BACKS[0])], ghost_draws=65), ["ghost_draws"]),
        (lambda: asked(TARGETS[:1], ghosts_one_by_one=True), ["ghosts"]),
        (lambda: asked(TARGETS, ghosts=[ghost(TARGETS[0], BACKS[0])], ghosts_one_by_one=True), ["ghosts_one_by_one"]),
        (
            lambda: asked(TARGETS[:1], ghosts=[ghost(TARGETS[0], BACKS[0])] * 33, ghosts_one_by_one=True),
            ["ghosts"],
        ),
        (
            lambda: asked(TARGETS[:1], ghosts=[ghost(TARGETS[0], BACKS[0])], ghosts_one_by_one=True, ghost_draws=1),
            ["ghost_draws"],
        ),
        (
            lambda: asked([], ghosts=[ghost(TARGETS[0], BACKS[0])], feature_set="featureSets/ghosting-scene-live@2"),
            ["ghosts"],
        ),
    ],
    ids=["none", "too many draws", "no ghosts", "two targets", "too many", "both", "no rows for passes"],
)
async def test_what_cannot_be_done_with_ghosts_is_refused_by_field(
    made: Callable[[], pb.ComputeFeaturesRequest], fields: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await measured(made())
    assert [each.field for each in refused.value.violations] == fields


async def test_a_covariance_of_other_length_than_its_path_is_refused() -> None:
    one = ghost(TARGETS[0], BACKS[0])
    one.covariance.CopyFrom(convert.covariance_to_message(np.ones((3, 3))))
    with pytest.raises(InvalidInput) as refused:
        await measured(asked(TARGETS, ghosts=[ghost(TARGETS[0], BACKS[1]), one], ghost_draws=1))
    assert [each.field for each in refused.value.violations] == ["ghosts[1].covariance"]
