"""Whether the angles of samples mean what they should: 0 along +y, growing clockwise.

The displacement between two frames tells where a player was going. Directions of motion must agree
with it, and so must orientations on average over players who run, as most face where they run.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ghostback.play import ParticipantKind, Play

FASTEST = 13.0
"""Steps faster than this are taken for faults, yards per second."""
SLOWEST = {"direction": 2.0, "orientation": 5.0}
"""Steps slower than this tell nothing of the angle, yards per second."""
FEWEST = 200
"""Steps needed for a judgement."""
LARGEST_OFFSET = 20.0
"""Degrees by which angles may differ from displacements on average."""
SMALLEST_AGREEMENT = 0.5
"""Mean resultant length, 0 to 1, below which angles follow no rule (circular statistics, Mardia & Jupp 2000)."""


@dataclass
class AngleCheck:
    """Compares the angles of plays with the displacements in them.

    Attributes:
        steps: steps compared, by angle.
        turned: sums of unit vectors at angle - heading, by angle.
        mirrored: sums of unit vectors at angle + heading, by angle.
    """

    steps: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SLOWEST, 0))
    turned: dict[str, complex] = field(default_factory=lambda: dict.fromkeys(SLOWEST, 0j))
    mirrored: dict[str, complex] = field(default_factory=lambda: dict.fromkeys(SLOWEST, 0j))

    def add(self, play: Play) -> None:
        """Take the players of a play into account."""
        players = [tag for p in play.participants if p.kind is ParticipantKind.PLAYER for tag in p.tag_ids]
        samples = play.samples.take(np.isin(play.samples.tag_id, np.array(players, np.uint64)))
        samples = samples.take(np.lexsort((samples.frame, samples.tag_id)))
        dx, dy = np.diff(samples.x), np.diff(samples.y)
        neighbours = (np.diff(samples.frame) == 1) & (samples.tag_id[1:] == samples.tag_id[:-1])
        speed = np.hypot(dx, dy) * play.sample_rate
        heading = np.arctan2(dx, dy)
        for name, slowest in SLOWEST.items():
            angle = np.radians(getattr(samples, name)[1:])
            with np.errstate(invalid="ignore"):
                rows = neighbours & (speed >= slowest) & (speed <= FASTEST) & np.isfinite(angle)
            self.steps[name] += int(rows.sum())
            self.turned[name] += _sum(angle[rows] - heading[rows])
            self.mirrored[name] += _sum(angle[rows] + heading[rows])

    def offset(self, name: str) -> float | None:
        """Degrees by which an angle is ahead of the displacements on average; None where that cannot be told."""
        if self.steps[name] < FEWEST or abs(self.turned[name]) / self.steps[name] < SMALLEST_AGREEMENT:
            return None
        return float(np.degrees(np.angle(self.turned[name])))

    def warnings(self) -> list[str]:
        """What is wrong with the angles, a sentence each."""
        return [text for name in SLOWEST if (text := self._warning(name))]

    def _warning(self, name: str) -> str:
        steps = self.steps[name]
        if steps < FEWEST:
            return ""
        offset = self.offset(name)
        subject = f"{name}: over {steps:,} steps"
        if offset is not None and abs(offset) > LARGEST_OFFSET:
            return f"{subject} the angles are {offset:+.0f} degrees from the displacements on average"
        if offset is None and abs(self.mirrored[name]) / steps >= SMALLEST_AGREEMENT:
            zero = np.degrees(np.angle(self.mirrored[name]))
            return f"{subject} the angles grow counter-clockwise, with +y at {zero % 360:.0f} degrees"
        if offset is None and name == "direction":
            return f"{subject} the angles have nothing to do with the displacements"
        return ""


def _sum(angle: NDArray[np.float64]) -> complex:
    return complex(np.exp(1j * angle.astype(np.float64)).sum())
