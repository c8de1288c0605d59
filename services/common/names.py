"""Resource names and enum values that several services put into their answers."""

from __future__ import annotations

from ghostback.tracking.v1 import source_pb2

_SETTINGS = {"live": source_pb2.SETTING_LIVE, "retrospective": source_pb2.SETTING_RETROSPECTIVE}


def setting(name: str) -> source_pb2.Setting.ValueType:
    """The contract's value of `live` or `retrospective`."""
    return _SETTINGS[name]


def feature_set(feature_set_id: str) -> str:
    """`featureSets/{set}@{version}`."""
    return f"featureSets/{feature_set_id}"
