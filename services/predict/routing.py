"""Which model version answers a call: the place where traffic is divided between versions."""

from services.predict.registry import ModelVersion, Registry


def choose(registry: Registry, model: str) -> ModelVersion:
    """The highest usable version of a model.

    Raises:
        NotFound: there is no such model.
        FailedPrecondition: every version of it failed.
    """
    return registry.usable(model)[-1]
