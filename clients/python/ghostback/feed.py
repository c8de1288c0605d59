"""Plays as a feed sends them: the roster, the tags in order of capture, then how it ended."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator

import numpy as np

from ghostback.client import Acknowledgement, Client
from ghostback.play import Play, Samples


def batches(play: Play, seconds: float = 1.0) -> Iterator[Samples]:
    """The play's samples in order of capture, some seconds of the play at a time, every sample once."""
    samples = play.samples.take(np.argsort(play.samples.frame, kind="stable"))
    part = samples.frame // max(1, round(seconds * play.sample_rate))
    for rows in np.split(np.arange(len(samples)), np.flatnonzero(np.diff(part)) + 1):
        yield samples.take(rows)


async def stream(
    client: Client, plays: Iterable[Play], seconds: float = 1.0, speed: float = 0.0
) -> AsyncIterator[Acknowledgement]:
    """Send plays over one stream, some seconds of a play in a batch; gives each batch's acknowledgement.

    A play's roster is there before its tags, and it is completed once all of them are on disk. The stream
    goes on by itself after a broken connection.

    Args:
        client: to whom.
        plays: plays that are over.
        seconds: of a play in a batch, at least a frame.
        speed: 0 sends as fast as it is taken; 1 as fast as it happened, 2 twice as fast, and then events and the pass
            are told when they happen.
    """
    last_batch_of: dict[int, Play] = {}
    clock = asyncio.get_running_loop().time

    async def feed() -> AsyncIterator[tuple[str, Samples]]:
        sequence = 0
        for play in plays:
            known = play.known_at(-1)
            await client.update_play(known)
            parts = list(batches(play, seconds))
            last_batch_of[sequence + len(parts) - 1] = play
            began = clock() - parts[0].frame[-1] / play.sample_rate / speed if speed and parts else 0.0
            for part in parts:
                last = int(part.frame[-1])
                if speed:
                    await asyncio.sleep(began + last / play.sample_rate / speed - clock())
                yield play.name, part
                sequence += 1
                now = play.known_at(last)
                if speed and (now.events, now.forward_pass) != (known.events, known.forward_pass):
                    await client.update_play(now)
                    known = now

    async for acknowledgement in client.stream_tags(feed(), stream=uuid.uuid4().hex):
        if acknowledgement.sequence in last_batch_of:
            await client.update_play(last_batch_of.pop(acknowledgement.sequence))
        yield acknowledgement
