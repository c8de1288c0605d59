"""Faults as real tags have them, injected into clean plays."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ghostback.play import Play, Samples

UNKNOWN_TAG = 99_999_999
"""First of the tag numbers that belong to nobody."""

_SPIKES = 4.0  # mean number a play of samples thrown yards away
_GARBLED_SPEEDS = 1.5
_DUPLICATES = 2.5
_BURSTS = 0.12  # mean number a play of tags without a position for a while
_GAPS = 0.12  # of tags that fall silent for a while
_LOST_FRAMES = 0.05  # of frames lost for every tag
_STRANGERS = 0.04  # of unknown tags that report for a while
_OFF_FIELD = 0.5  # of samples far off the field


def inject_faults(play: Play, seed: int) -> Play:
    """The play with faults: about one sample in 250 is wrong, missing, doubled or a stranger's.

    Positions jump yards away for a frame, speeds are superhuman, positions are NaN in bursts, tags
    fall silent, a frame is lost, samples come twice, a tag nobody knows reports, a sample lies far
    off the field. The order by frame and tag is kept. A play without samples stays as it is.

    Args:
        play: with clean samples.
        seed: 0 or more; the same play and seed give the same faults.
    """
    samples = play.samples
    n = len(samples)
    if not n:
        return play
    rng = np.random.default_rng([seed, *play.name.encode()])
    x, y, speed = samples.x.copy(), samples.y.copy(), samples.speed.copy()
    frames = np.unique(samples.frame)

    def some(mean: float) -> NDArray[np.int64]:
        return rng.choice(n, min(rng.poisson(mean), n), replace=False)

    def spell(longest: int) -> NDArray[np.bool_]:
        """One tag's samples over a few frames."""
        first = rng.choice(frames)
        tag = rng.choice(samples.tag_id)
        last = first + rng.integers(1, longest)
        return np.asarray((samples.tag_id == tag) & (samples.frame >= first) & (samples.frame <= last))

    for row in some(_SPIKES):
        angle, jump = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(2.0, 15.0)
        x[row] += np.float32(jump * np.cos(angle))
        y[row] += np.float32(jump * np.sin(angle))
    speed[some(_GARBLED_SPEEDS)] = np.float32(rng.uniform(13.0, 60.0))
    for row in some(_OFF_FIELD):
        x[row], y[row] = rng.uniform(125.0, 200.0), rng.uniform(60.0, 120.0)
    for _ in range(rng.poisson(_BURSTS)):
        unread = spell(8)
        x[unread] = y[unread] = speed[unread] = np.nan
    lost = np.zeros(n, bool)
    for _ in range(rng.poisson(_GAPS)):
        lost |= spell(7)
    for _ in range(rng.poisson(_LOST_FRAMES)):
        lost |= samples.frame == rng.choice(frames)

    faulty = replace(samples, x=x, y=y, speed=speed)
    parts = [faulty.take(~lost), faulty.take(some(_DUPLICATES))]
    for number in range(rng.poisson(_STRANGERS)):
        heard = faulty.take(spell(25))
        parts.append(replace(heard, tag_id=np.full(len(heard), UNKNOWN_TAG + number, np.uint64)))
    return replace(play, samples=Samples.concatenate(parts).sorted_by_frame())
