"""Spoiled plays: some defenders start with a random speed and direction.

The published experiment randomises initial direction and speed of 25% of the trajectories, to show
that the score tells good predictions from bad ones.
"""

import zlib
from dataclasses import replace

import numpy as np

from ghostback.play import Play

TOP_SPEED = 9.0
"""Highest random speed, yards per second."""
WINDOW = 0.8
"""Seconds before the pass that are made to agree with it: the observed steps of every feature set, and those before
them that its velocities need."""


def spoil(play: Play, fraction: float, seed: int) -> Play:
    """The play with random speed, direction and orientation of some defensive backs before the pass.

    Where they are at pass forward stays; where they were before is put so that they come from there
    with the new velocity. The same seed spoils the same defenders of a play in the same way.

    Args:
        play: a play with a pass and samples.
        fraction: chance of each defensive back to be spoiled, 0 to 1.
        seed: of the randomness.
    """
    if play.forward_pass is None:
        return play
    random = np.random.default_rng([seed, zlib.crc32(play.name.encode())])
    release = play.forward_pass.forward_frame
    columns = {name: getattr(play.samples, name).copy() for name in ("x", "y", "speed", "direction", "orientation")}
    seconds = (play.samples.frame - release) / play.sample_rate
    for defender in play.defensive_backs():
        spoiled, speed, angle = random.random() < fraction, random.uniform(0, TOP_SPEED), random.uniform(0, 360)
        own = np.isin(play.samples.tag_id, np.array(defender.tag_ids, np.uint64))
        start = own & (play.samples.frame == release)
        if not spoiled or not start.any():
            continue
        before = own & (seconds >= -WINDOW - 1e-6) & (seconds <= 0)
        velocity = speed * np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])
        for axis, column in enumerate((columns["x"], columns["y"])):
            column[before] = column[start].mean() + velocity[axis] * seconds[before]
        columns["speed"][before] = speed
        columns["direction"][before] = angle
        columns["orientation"][before] = np.where(np.isnan(columns["orientation"][before]), np.nan, angle)
    return replace(play, samples=replace(play.samples, **columns))
