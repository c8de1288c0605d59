"""A caller may read a part of a message."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from ghostback import wire
from ghostback.predict.v1 import predict_service_pb2 as pb
from services.common import masks
from services.common.errors import InvalidInput

VERSION = wire.view(pb.ModelVersion)(
    name="models/a/versions/1", task="ghosting", resources=wire.view(pb.ModelResources)(instance_count=2, device=1)
)


def test_the_fields_named_are_given_and_no_others() -> None:
    given = masks.masked(VERSION, FieldMask(paths=["task", "resources.device"]))
    assert given == wire.view(pb.ModelVersion)(task="ghosting", resources=wire.view(pb.ModelResources)(device=1))


def test_a_mask_that_names_nothing_gives_all() -> None:
    assert masks.masked(VERSION, FieldMask()) == VERSION


def test_a_field_that_is_not_there_is_told_with_those_that_are() -> None:
    masks.check(FieldMask(paths=["name", "resources.device"]), pb.ModelVersion)
    with pytest.raises(InvalidInput, match=r"'resources\.colour' is no field of ModelVersion: name, task"):
        masks.check(FieldMask(paths=["name", "resources.colour"]), pb.ModelVersion)
