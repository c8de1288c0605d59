"""Plays and samples keep their content between domain and message; malformed messages are named."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ghostback import convert, wire
from ghostback.features.v1 import features_service_pb2
from ghostback.play import (
    SAMPLE_DTYPES,
    Event,
    Participant,
    ParticipantKind,
    Pass,
    PassOutcome,
    Play,
    PlayState,
    Samples,
    Situation,
)
from ghostback.tracking.v1 import play_pb2, samples_pb2, source_pb2


def make_samples(n: int = 3) -> Samples:
    return Samples.from_columns({name: np.arange(1, n + 1) for name in SAMPLE_DTYPES})


PLAY = Play(
    game_id="2024091500",
    play_id="56",
    offense_team="HAR",
    offense_direction=-1,
    sample_rate=25.0,
    start_time=datetime(2024, 9, 15, 17, 0, 1, 500_000, tzinfo=UTC),
    participants=(
        Participant("90001", ParticipantKind.PLAYER, "A. Able", "HAR", "WR", 0, (7, 2**63), "90001"),
        Participant("HAR-x", ParticipantKind.PLAYER, "", "HAR", "", -1, ()),
        Participant("ball", ParticipantKind.BALL, "", "", "", -1, (1, 2)),
    ),
    events=(Event("ball_snap", 3), Event("pass_forward", 40)),
    forward_pass=Pass("90001", "", None, 40, 61),
    situation=Situation(4, 61.0, 3, 8.0, 44.5, 7, 10),
    state=PlayState.NULLIFIED,
    description="(1:01) A. Able",
    samples=make_samples(),
)


def test_a_play_survives_the_message() -> None:
    sent = convert.play_to_message(PLAY).SerializeToString()
    assert convert.play_from_message(wire.view(play_pb2.Play).FromString(sent)) == PLAY


@pytest.mark.parametrize("outcome", [*PassOutcome, None])
def test_every_outcome_survives(outcome: PassOutcome | None) -> None:
    assert PLAY.forward_pass
    play = replace(PLAY, forward_pass=replace(PLAY.forward_pass, outcome=outcome))
    assert convert.play_from_message(convert.play_to_message(play)).forward_pass == play.forward_pass


@given(
    arrays.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32, allow_nan=True)),
)
def test_samples_survive_both_kinds_of_message(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    columns = {"tag_id": np.arange(len(values)), "frame": np.arange(len(values)), "x": values, "y": values}
    samples = Samples.from_columns({**columns, "speed": values})
    sent = convert.samples_to_message(samples).SerializeToString()
    for kind in (samples_pb2.Samples, wire.view(samples_pb2.Samples)):
        assert convert.samples_from_message(kind.FromString(sent)) == samples


def test_a_sender_that_does_not_pack_is_understood() -> None:
    definition = descriptor_pb2.FileDescriptorProto()
    samples_pb2.DESCRIPTOR.CopyToProto(definition)
    for field in definition.message_type[0].field:
        if field.label == field.LABEL_REPEATED:
            field.options.packed = False
    pool = descriptor_pool.DescriptorPool()
    pool.Add(definition)
    unpacking = message_factory.GetMessageClass(pool.FindMessageTypeByName("ghostback.tracking.v1.Samples"))
    samples = make_samples()
    packed = convert.samples_to_message(samples).SerializeToString()
    sent = unpacking.FromString(packed).SerializeToString()
    assert len(sent) > len(packed)
    assert convert.samples_from_message(wire.view(samples_pb2.Samples).FromString(sent)) == samples


@pytest.mark.parametrize("name", list(SAMPLE_DTYPES))
def test_a_short_column_is_named(name: str) -> None:
    message = convert.samples_to_message(make_samples())
    wire.write_column(message, name, np.arange(2))
    with pytest.raises(convert.InvalidMessage, match="has 2 values, sample_count is 3") as caught:
        convert.samples_from_message(message)
    assert (caught.value.reason, caught.value.field) == ("COLUMNS_UNEQUAL", f"samples.{name}")


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(convert.InvalidMessage) as caught:
        convert.samples_from_message(samples_pb2.Samples())
    assert caught.value.reason == "BATCH_EMPTY"


def test_a_batch_over_the_limit_is_refused() -> None:
    with pytest.raises(convert.InvalidMessage) as caught:
        convert.batch_from_message(convert.samples_to_message(make_samples(convert.MAX_SAMPLES + 1)))
    assert caught.value.reason == "BATCH_TOO_LARGE"


@pytest.mark.parametrize("name", ["", "games/1", "games/1/plays/", "games/1/plays/2/x", "games/a b/plays/1"])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(convert.InvalidMessage) as caught:
        convert.play_from_message(play_pb2.Play(name=name))
    assert (caught.value.reason, caught.value.field) == ("NAME_INVALID", "play.name")


def test_a_path_that_is_not_finite_names_the_point() -> None:
    message = convert.path_to_message(np.array([[1.0, 2.0], [3.0, np.nan]]))
    with pytest.raises(convert.InvalidMessage) as caught:
        convert.path_from_message(message, "ghosts[0].path")
    assert (caught.value.reason, caught.value.field) == ("NOT_FINITE", "ghosts[0].path.y[1]")


def test_bytes_that_are_no_whole_number_of_values_are_refused_by_name_in_every_column() -> None:
    path = wire.view(source_pb2.Path).FromString(b"\x0a\x02\x00\x04")
    with pytest.raises(convert.InvalidMessage, match=r"path\.x: is not a whole number of values"):
        convert.path_from_message(path, "path")
    participant = wire.view(play_pb2.Participant)()
    participant.tag_ids.append(b"\x01\x02\x03")  # type: ignore[arg-type]
    with pytest.raises(convert.InvalidMessage, match=r"participants\[0\]\.tag_ids: is not a whole number of values"):
        convert.tag_ids(participant, "participants[0]")


UNPACKED_X = b"\x0d\x00\x00\x80\x3f"
"""Field 1, a float that is not packed: 1."""


def test_a_column_that_is_packed_in_part_is_refused_by_name_in_every_message() -> None:
    sent = source_pb2.Path(x=[1], y=[1, 2]).SerializeToString() + UNPACKED_X
    with pytest.raises(convert.InvalidMessage) as caught:
        convert.path_from_message(wire.view(source_pb2.Path).FromString(sent), "ghosts[0].path")
    assert (caught.value.reason, caught.value.field) == ("COLUMNS_UNEQUAL", "ghosts[0].path.x")
    assert caught.value.description == "is packed in part"
    number = features_service_pb2.Tensor.DESCRIPTOR.fields_by_name["values"].number
    sent = features_service_pb2.Tensor(name="x", shape=[2], values=[1]).SerializeToString()
    sent += bytes([number << 3 | 5]) + UNPACKED_X[1:]
    with pytest.raises(convert.InvalidMessage, match=r"tensors\[2\]\.values: is packed in part"):
        tensor = wire.view(features_service_pb2.Tensor).FromString(sent)
        convert.column_from_message(tensor, "values", "tensors[2]")


def test_a_column_of_too_few_bytes_is_refused_beside_one_that_is_not_packed() -> None:
    path = wire.view(source_pb2.Path).FromString(UNPACKED_X + b"\x12\x02\x00\x04")
    with pytest.raises(convert.InvalidMessage, match=r"path\.y: is not a whole number of values"):
        convert.path_from_message(path, "path")


def test_a_batch_that_says_it_has_no_rows_and_sends_an_empty_column_is_empty() -> None:
    batch = wire.view(samples_pb2.Samples)()
    batch.tag_id.append(b"")  # type: ignore[arg-type]
    with pytest.raises(convert.InvalidMessage, match="a batch needs at least one sample"):
        convert.samples_from_message(batch)
