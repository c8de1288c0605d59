"""Every decoder of what callers send, given anything at all: it is read, or refused in the words of the contract.

`python -m tests.soak.fuzz -max_total_time=60`; other flags are libFuzzer's.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["ghostback", "services"]):
    from ghostback import convert, wire
    from ghostback.ingest.v1 import ingest_service_pb2 as ingest
    from ghostback.predict.v1 import predict_service_pb2 as predict
    from ghostback.predict.v1 import rollout_service_pb2 as rollouts
    from ghostback.score.v1 import score_service_pb2 as score
    from ghostback.tracking.v1 import play_pb2, samples_pb2, source_pb2
    from services.common import masks, paging, requests
    from services.features.feature_sets import FEATURE_SETS
    from services.predict import given_tensors, registry, rollout_messages

from google.protobuf.message import DecodeError, Message

from services.common.errors import InvalidInput
from simulator.game import simulate_game
from tests.contract.examples import descriptors, example

REFUSALS = (DecodeError, InvalidInput, convert.InvalidMessage)


Target = tuple[type[Message], Callable[[Any], object]]


def _targets() -> list[Target]:
    inputs = next(iter(registry.find().versions.values())).manifest.inputs
    return [
        (samples_pb2.Samples, convert.batch_from_message),
        (play_pb2.Play, requests.play),
        (play_pb2.Play, requests.play_to_compute_on),
        (play_pb2.Game, requests.game),
        (source_pb2.Path, partial(convert.path_from_message, field="path")),
        (predict.PlayTensors, lambda message: given_tensors.read(message.tensors, inputs, "tensors")),
        (rollouts.RolloutPolicy, rollout_messages.policy_from_message),
        (ingest.GetPlayRequest, _get_play),
        (score.ListScoreProfilesRequest, lambda message: paging.page_of(FEATURE_SETS, message, "fuzz")),
        *((type(example(each)), lambda message: message.SerializeToString()) for each in descriptors()),
    ]


def _get_play(message: ingest.GetPlayRequest) -> None:
    requests.play_ids(message.name, "name")
    masks.check(message.read_mask, play_pb2.Play)


def _seeds(folder: Path) -> None:
    """A sound request for every decoder, and a whole play, to begin with."""
    for i, (kind, _) in enumerate(TARGETS):
        sound = (
            convert.play_to_message(simulate_game(5, 1).plays[0]) if kind is play_pb2.Play else example(kind.DESCRIPTOR)
        )
        (folder / str(i)).write_bytes(bytes([i]) + sound.SerializeToString())


TARGETS = _targets()


def one(data: bytes) -> None:
    """Give the decoder that the first byte names the others; anything raised but a refusal is a defect."""
    if data:
        kind, read = TARGETS[data[0] % len(TARGETS)]
        try:
            read(wire.view(kind).FromString(data[1:]))
        except REFUSALS:
            return


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        _seeds(Path(folder))
        atheris.Setup([*sys.argv, folder], one)
        atheris.Fuzz()
