"""`ghostback.predict.v1.ModelService`."""

import re
from typing import Any

from google.protobuf.message import Message

from ghostback import wire
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import names, paging
from services.common.errors import InvalidInput, Violation
from services.predict.registry import ModelVersion, Registry, State

MODEL_SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"]

_VERSION_NAME = re.compile(r"models/([^/]+)/versions/([^/]+)")
_STATES = {
    State.VERIFIED: pb.MODEL_VERSION_STATE_VERIFIED,
    State.READY: pb.MODEL_VERSION_STATE_READY,
    State.FAILED: pb.MODEL_VERSION_STATE_FAILED,
}


class ModelServicer:
    """Tells which model versions there are."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListModelVersions(self, request: pb.ListModelVersionsRequest, context: Any) -> Message:
        """List the model versions."""
        page, token = paging.page_of(self._registry.versions, request, "ListModelVersions")
        return wire.view(pb.ListModelVersionsResponse)(model_versions=map(_message, page), next_page_token=token)

    async def GetModelVersion(self, request: pb.GetModelVersionRequest, context: Any) -> Message:
        """Give one model version."""
        match = _VERSION_NAME.fullmatch(request.name)
        if not match:
            form = "models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("name", f"{request.name!r} is not of the form {form}")])
        return wire.view(pb.GetModelVersionResponse)(model_version=_message(self._registry.get(*match.groups())))


def _message(version: ModelVersion) -> pb.ModelVersion:
    manifest = version.manifest
    return wire.view(pb.ModelVersion)(
        name=version.name,
        task=manifest.task,
        description=manifest.description,
        setting=names.setting(manifest.setting),
        feature_set=names.feature_set(manifest.feature_set),
        artifact_sha256=manifest.artifact.sha256,
        distribution=version.distribution,
        state=_STATES[version.state],
        state_description=version.problem,
    )
