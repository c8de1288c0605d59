"""`ghostback.predict.v1.ModelService`."""

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from ghostback import wire
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import masks, names, paging, requests
from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.predict.manifest import TensorDeclaration
from services.predict.plugins import Plugins
from services.predict.registry import ModelVersion, Registry, State
from services.predict.routing import Router
from services.predict.triton import ModelServer

MODEL_SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"]

_VERSION_NAME = re.compile(r"models/([^/]+)/versions/([^/]+)")
_STATES = {state: pb.ModelVersionState.Value(f"MODEL_VERSION_STATE_{state.name}") for state in State}


class ModelServicer:
    """Tells which model versions there are, has them loaded and unloaded."""

    def __init__(self, registry: Registry, router: Router, model_server: ModelServer, plugins: Plugins) -> None:
        self._registry = registry
        self._router = router
        self._model_server = model_server
        self._plugins = plugins

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> Message:
        """List the models."""
        masks.check(request.read_mask, pb.Model)
        page, token = paging.page_of({name: name for name in self._registry.names}, request, "ListModels")
        return wire.view(pb.ListModelsResponse)(
            models=[masks.masked(self._model(name), request.read_mask) for name in page],
            next_page_token=token,
            broken_plugins=_broken(self._registry),
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> Message:
        """Give one model."""
        masks.check(request.read_mask, pb.Model)
        model = self._model(requests.resource_id(request.name, "models", "name"))
        return wire.view(pb.GetModelResponse)(model=masks.masked(model, request.read_mask))

    async def ListModelVersions(self, request: pb.ListModelVersionsRequest, context: Any) -> Message:
        """List the model versions, of all models or of one."""
        masks.check(request.read_mask, pb.ModelVersion)
        versions = self._registry.versions
        if request.parent:
            of_model = self._registry.of(requests.resource_id(request.parent, "models", "parent"))
            versions = {each.id: each for each in of_model}
        page, token = paging.page_of(versions, request, f"ListModelVersions {request.parent}")
        return wire.view(pb.ListModelVersionsResponse)(
            model_versions=[masks.masked(_message(each), request.read_mask) for each in page], next_page_token=token
        )

    async def GetModelVersion(self, request: pb.GetModelVersionRequest, context: Any) -> Message:
        """Give one model version."""
        masks.check(request.read_mask, pb.ModelVersion)
        message = masks.masked(_message(self._version(request.name)), request.read_mask)
        return wire.view(pb.GetModelVersionResponse)(model_version=message)

    async def LoadModelVersion(self, request: pb.LoadModelVersionRequest, context: Any) -> Message:
        """Load one model version."""
        version = self._version(request.name)
        await self._model_server.ensure_ready(version)
        return wire.view(pb.LoadModelVersionResponse)(model_version=_message(version))

    async def UnloadModelVersion(self, request: pb.UnloadModelVersionRequest, context: Any) -> Message:
        """Unload one model version."""
        version = self._version(request.name)
        self._router.check_unused(version)
        await self._model_server.unload(version)
        return wire.view(pb.UnloadModelVersionResponse)(model_version=_message(version))

    async def ReloadModelVersion(self, request: pb.ReloadModelVersionRequest, context: Any) -> Message:
        """Read one model version's plugin again and load it anew."""
        self._version(request.name)
        await self._plugins.rescan()
        version = self._version(request.name)
        await self._model_server.reload(version)
        return wire.view(pb.ReloadModelVersionResponse)(model_version=_message(version))

    async def RescanModels(self, request: pb.RescanModelsRequest, context: Any) -> Message:
        """Look for plugins that were installed, changed or removed."""
        changes = await self._plugins.rescan()
        return wire.view(pb.RescanModelsResponse)(
            added_model_versions=[each.name for each in changes.added],
            changed_model_versions=[each.name for each in changes.changed],
            removed_model_versions=[each.name for each in changes.removed],
            broken_plugins=_broken(self._registry),
        )

    def _version(self, name: str) -> ModelVersion:
        match = _VERSION_NAME.fullmatch(name)
        if not match:
            form = "models/{model}/versions/{version}"
            raise InvalidInput("NAME_INVALID", [Violation("name", f"{name!r} is not of the form {form}")])
        return self._registry.get(*match.groups())

    def _model(self, name: str) -> pb.Model:
        versions = self._registry.of(name)
        try:
            serving = self._router.stable(name).name
        except FailedPrecondition:
            serving = ""
        return wire.view(pb.Model)(
            name=f"models/{name}",
            task=versions[0].manifest.task,
            model_versions=[each.name for each in versions],
            serving_version=serving,
        )


def _broken(registry: Registry) -> list[pb.BrokenPlugin]:
    broken = wire.view(pb.BrokenPlugin)
    return [broken(plugin=plugin, description=problem) for plugin, problem in registry.broken.items()]


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
        feature_set_digest=manifest.feature_set_digest,
        inputs=_tensors(manifest.inputs),
        outputs=_tensors(manifest.outputs),
        resources=wire.view(pb.ModelResources)(
            instance_count=manifest.resources.instances,
            device=pb.ModelDevice.Value(f"MODEL_DEVICE_{manifest.resources.device.upper()}"),
            tensorrt_precision=manifest.resources.tensorrt or "",
        ),
        batching=wire.view(pb.ModelBatching)(
            max_batch_size=manifest.max_batch_size,
            max_queue_delay_us=manifest.batching.max_queue_delay_us,
            preferred_batch_sizes=manifest.batching.preferred_sizes,
        ),
        provenance=wire.view(pb.ModelProvenance)(
            data=manifest.provenance.data,
            command=manifest.provenance.command,
            trained_with=manifest.provenance.trained_with,
        ),
        minimum_ghostback=manifest.minimum_ghostback or "",
        recovery_count=version.recoveries,
        recovery_description=version.recovery,
    )


def _tensors(declared: Iterable[TensorDeclaration]) -> list[pb.ModelTensor]:
    return [wire.view(pb.ModelTensor)(name=tensor.name, shape=tensor.shape) for tensor in declared]
