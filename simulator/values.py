"""Array types and the clock that all of the simulator shares."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]

RATE = 10
"""Frames per second."""
BEFORE_SNAP = 10
"""Frames before the snap."""
MAX_FLIGHT = 105
"""Frames after the release at which a play is whistled dead at the latest."""
MAX_FRAMES = BEFORE_SNAP + 60 + MAX_FLIGHT
"""Frames of the longest play."""
