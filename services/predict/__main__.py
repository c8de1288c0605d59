"""The predict service: `python -m services.predict --features HOST:PORT --triton HOST:PORT`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import Field, IPvAnyNetwork
from pydantic_settings import CliApp

from ghostback.features.v1 import features_service_pb2
from services.common import server
from services.common.errors import DomainError, Unavailable
from services.common.health import Service
from services.common.settings import ServiceSettings
from services.common.upstream import Upstream
from services.predict.attempts import Attempted
from services.predict.model_servicer import MODEL_SERVICE, ModelServicer
from services.predict.plugins import Plugins
from services.predict.registry import Registry, State
from services.predict.rollout_servicer import ROLLOUT_SERVICE, RolloutServicer
from services.predict.rollouts.answering import Answering
from services.predict.rollouts.controller import Controller
from services.predict.rollouts.store import Store
from services.predict.routing import Router
from services.predict.servicer import PREDICT_SERVICE, PredictServicer
from services.predict.triton import ModelServer

_log = structlog.get_logger()

_PRIVATE: list[IPv4Network | IPv6Network] = [
    *(IPv4Network(net) for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    *(IPv6Network(net) for net in ("::1/128", "fc00::/7")),
]


class PredictSettings(ServiceSettings):
    """Predict ghosts with the installed model plugins, on Triton.

    Example: python -m services.predict --features 127.0.0.1:8442 --triton 127.0.0.1:8001
    --model-repository .run/model-repository
    """

    features: Annotated[str, Field(description="Address of the features service, host:port.")]
    triton: Annotated[str, Field(description="Address of Triton's gRPC endpoint, host:port.")]
    model_repository: Annotated[Path, Field(description="Folder that Triton reads models from.")]
    rescan_seconds: Annotated[float, Field(gt=0, description="How often to look for plugins that come and go.")] = 3.0
    probe_seconds: Annotated[float, Field(gt=0, description="How often to ask each model its known answer.")] = 3.0

    database_url: Annotated[
        str,
        Field(
            description="Database of the rollouts, shared by all replicas: sqlite:///FILE or "
            "postgresql+psycopg://USER@HOST/NAME; sqlite:// forgets them at the end."
        ),
    ] = "sqlite://"
    patience_seconds: Annotated[float, Field(ge=0, description="How long a call waits for a Triton that is away.")] = 10
    arm_callers: Annotated[
        list[IPvAnyNetwork], Field(description="Networks whose callers may choose the arm by x-ghostback-arm.")
    ] = _PRIVATE


@asynccontextmanager
async def start(settings: PredictSettings) -> AsyncIterator[server.Services]:
    """Discover the plugins, load what Triton will take now, and give the services."""
    features_service = features_service_pb2.DESCRIPTOR.services_by_name["FeaturesService"]
    features = Upstream("features", settings.features, features_service, settings)
    model_server = ModelServer(
        settings.triton, settings.model_repository, settings.upstream_timeout_seconds, settings.drain_seconds
    )
    models = Registry()
    store = await asyncio.to_thread(Store, settings.database_url)
    router = Router(models)
    answering = Answering[Attempted](settings.patience_seconds)
    controller = Controller(store, router, models, model_server, answering)
    plugins = Plugins(models, model_server, features)
    await plugins.rescan()
    router.follow(*await controller.do(store.in_service))
    await asyncio.gather(*(_prepare(model_server, router, name) for name in models.names))
    await controller.step()
    following = [
        asyncio.create_task(controller.run()),
        asyncio.create_task(answering.ask_shadows()),
        asyncio.create_task(plugins.watch(settings.rescan_seconds)),
        asyncio.create_task(model_server.keep(settings.probe_seconds)),
    ]
    predicting = PredictServicer(models, model_server, features, router, answering, settings.arm_callers)
    yield [
        Service(PREDICT_SERVICE, predicting, partial(_check, model_server, models, router)),
        Service(MODEL_SERVICE, ModelServicer(models, router, model_server, plugins)),
        Service(ROLLOUT_SERVICE, RolloutServicer(controller, router), partial(controller.do, store.check)),
    ]
    for task in following:
        task.cancel()
    await controller.close()
    await features.close()
    await model_server.close()


async def _prepare(model_server: ModelServer, router: Router, name: str) -> None:
    """Have the version loaded that is in service, and the next one where that fails; others are when asked for."""
    while True:
        try:
            version = router.stable(name)
        except DomainError:
            return
        try:
            await model_server.ensure_ready(version)
            return
        except DomainError as error:
            _log.error("model not ready", model=version.id, problem=error.message)
            if version.state is not State.FAILED:
                return


async def _check(model_server: ModelServer, models: Registry, router: Router) -> None:
    """Check that Triton answers and has a model that is in service; have it load what it lacks.

    Raises:
        Unavailable: Triton does not answer, or no model is ready.
    """
    await model_server.check()
    if not any(_is_ready(router, name) for name in models.names):
        await asyncio.gather(*(_prepare(model_server, router, name) for name in models.names))
        if not any(_is_ready(router, name) for name in models.names):
            raise Unavailable("MODEL_SERVER_UNAVAILABLE", "no model is ready")


def _is_ready(router: Router, name: str) -> bool:
    try:
        return router.stable(name).state is State.READY
    except DomainError:
        return False


if __name__ == "__main__":
    server.run("predict", CliApp.run(PredictSettings), start)
