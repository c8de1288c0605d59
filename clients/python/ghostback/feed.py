"""Plays as a feed sends them: the roster, the tags in order of capture, then how it ended."""

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

import numpy as np

from ghostback.client import Acknowledgement, Client
from ghostback.play import Play, PlayState, Samples


def batches(play: Play, seconds: float = 1.0) -> Iterator[Samples]:
    """The play's samples in order of capture, some seconds of the play at a time, every sample once."""
    samples = play.samples.take(np.argsort(play.samples.frame, kind="stable"))
    part = samples.frame // max(1, round(seconds * play.sample_rate))
    for rows in np.split(np.arange(len(samples)), np.flatnonzero(np.diff(part)) + 1):
        yield samples.take(rows)


async def stream(client: Client, plays: Iterable[Play], seconds: float = 1.0) -> AsyncIterator[Acknowledgement]:
    """Send plays over one stream, some seconds of a play in a batch; gives each batch's acknowledgement.

    A play's roster is there before its tags, and it is completed once all of them are on disk. The stream
    goes on by itself after a broken connection.
    """
    last_batch_of: dict[int, Play] = {}

    async def feed() -> AsyncIterator[tuple[str, Samples]]:
        sequence = 0
        for play in plays:
            await client.update_play(replace(play, state=PlayState.LIVE, events=(), forward_pass=None))
            parts = list(batches(play, seconds))
            last_batch_of[sequence + len(parts) - 1] = play
            for part in parts:
                yield play.name, part
                sequence += 1

    async for acknowledgement in client.stream_tags(feed(), stream=uuid.uuid4().hex):
        if acknowledgement.sequence in last_batch_of:
            await client.update_play(last_batch_of.pop(acknowledgement.sequence))
        yield acknowledgement
