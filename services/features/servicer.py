"""`ghostback.features.v1.FeaturesService`."""

import asyncio
from typing import Any

import numpy as np
from google.protobuf.message import Message

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2 as pb
from ghostback.tracking.v1 import source_pb2
from services.common import names, paging, plays, requests
from services.common.upstream import Upstream
from services.features import feature_sets, tensors
from services.features.targets import Target

FEATURES_SERVICE = pb.DESCRIPTOR.services_by_name["FeaturesService"]


_TENSOR_ROWS = {"defender": pb.TENSOR_ROW_DEFENDER, "target": pb.TENSOR_ROW_TARGET}


class FeaturesServicer:
    """Computes features of plays given in the call or looked up in `ingest`."""

    def __init__(self, ingest: Upstream) -> None:
        self._ingest = ingest

    async def ListFeatureSets(self, request: pb.ListFeatureSetsRequest, context: Any) -> Message:
        """List the feature sets."""
        page, token = paging.page_of(feature_sets.FEATURE_SETS, request, "ListFeatureSets")
        return wire.view(pb.ListFeatureSetsResponse)(feature_sets=map(_feature_set, page), next_page_token=token)

    async def GetFeatureSet(self, request: pb.GetFeatureSetRequest, context: Any) -> Message:
        """Give one feature set."""
        name = requests.resource_id(request.name, "featureSets", "name")
        return wire.view(pb.GetFeatureSetResponse)(feature_set=_feature_set(feature_sets.get(name)))

    async def ComputeFeatures(self, request: pb.ComputeFeaturesRequest, context: Any) -> Message:
        """Compute the tensors of one play."""
        feature_set = feature_sets.get(requests.resource_id(request.feature_set, "featureSets", "feature_set"))
        requests.at_most(request, target_ids=16, defender_ids=32)
        play = await plays.resolve(request.source, self._ingest)
        batch = await asyncio.to_thread(
            tensors.compute, play, feature_set, list(request.target_ids), list(request.defender_ids)
        )
        return _response(batch)


def _response(batch: tensors.FeatureBatch) -> Message:
    response = wire.view(pb.ComputeFeaturesResponse)(
        feature_set=names.feature_set(batch.feature_set),
        setting=names.setting(batch.setting),
        direction=batch.direction,
        targets=[_target(target, batch.observed - 1) for target in batch.targets],
    )
    pairs = zip(batch.defender_ids, batch.target_ids, batch.anchor, batch.tensor_row, batch.slot, strict=True)
    for defender, target, (x, y), tensor_row, slot in pairs:
        response.rows.add(
            defender_id=defender, target_id=target, anchor_x=x, anchor_y=y, tensor_row=tensor_row, slot=slot
        )
    for name, values in batch.tensors.items():
        tensor = response.tensors.add(name=name, shape=values.shape)
        wire.write_column(tensor, "values", values.ravel())
    for name, description in batch.skipped.items():
        response.skipped.add(participant_id=name, description=description)
    return response


def _target(target: Target, release: int) -> source_pb2.Target:
    in_air = np.s_[release : release + target.air_steps + 1]
    return wire.view(source_pb2.Target)(
        participant_id=target.participant_id,
        actual=target.actual,
        air_steps=target.air_steps,
        receiver=convert.path_to_message(target.receiver[in_air]),
        ball=convert.path_to_message(target.ball[in_air]),
    )


def _feature_set(feature_set: feature_sets.FeatureSet) -> pb.FeatureSet:
    return wire.view(pb.FeatureSet)(
        name=names.feature_set(feature_set.id),
        description=feature_set.description,
        setting=names.setting(feature_set.setting),
        step_rate_hz=feature_set.rate,
        observed_steps=feature_set.observed,
        horizon_steps=feature_set.horizon,
        tensors=[
            wire.view(pb.TensorSpec)(name=tensor.name, shape=tensor.shape, entries=tensor.entries)
            for tensor in feature_set.tensors
        ],
        digest=feature_set.digest,
        tensor_row=_TENSOR_ROWS[feature_set.row],
    )
