"""Rollout policies as YAML files."""

from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from google.protobuf.json_format import ParseDict, ParseError

from ghostback import wire
from ghostback.cli.failures import CommandError
from ghostback.predict.v1 import rollout_service_pb2 as pb

_DURATIONS = {"seconds": "dwell", "patience": "patience", "answer_budget": "answer_budget"}


def read(path: Path) -> pb.RolloutPolicy:
    """The policy in a YAML file, as `docs/rollout-policy.schema.json` describes it.

    Raises:
        CommandError: the file cannot be read, or is no policy.
    """
    try:
        document = yaml.safe_load(path.read_text())
        return ParseDict(_fields(document), wire.view(pb.RolloutPolicy)())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ParseError, AttributeError, TypeError, ValueError) as error:
        form = "docs/rollout-policy.schema.json tells its form"
        raise CommandError(f"{path} is no policy of a rollout: {error}; {form}") from None


def _fields(document: dict[str, Any]) -> dict[str, Any]:
    """A policy's fields as the contract has them; whatever else there is stays, to be refused by name."""
    fields = _with_durations(document)
    fields["model"] = f"models/{document['model']}" if "model" in document else ""
    fields["mode"] = _enum("ROLLOUT_MODE", document.get("mode", "unspecified"))
    fields["arms"] = [{"name": name, "version": version} for name, version in document.get("arms", {}).items()]
    fields["steps"] = [
        _with_durations(step)
        | {"weights": [{"arm": arm, "percent": percent} for arm, percent in step.get("weights", {}).items()]}
        for step in document.get("steps", [])
    ]
    if "key" in fields:
        fields["routing_key"] = _enum("ROUTING_KEY", fields.pop("key"))
    return fields


def _with_durations(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        _DURATIONS.get(name, name): f"{float(value):.6f}s" if name in _DURATIONS else value
        for name, value in fields.items()
    }


def _enum(prefix: str, word: str) -> str:
    return f"{prefix}_{word.upper().replace('-', '_')}"
