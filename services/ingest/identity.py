"""Telling samples apart: which were seen before, and which contradict what is stored."""

import numpy as np
from numpy.typing import NDArray

from ghostback.play import SAMPLE_DTYPES, Samples

Hashes = NDArray[np.uint64]

_WORDS = sum(np.dtype(dtype).itemsize // 4 for dtype in SAMPLE_DTYPES.values())
_FACTORS = np.random.default_rng(20_210_408).integers(0, 2**64, _WORDS + 1, dtype=np.uint64) | np.uint64(1)


def key_hashes(samples: Samples) -> Hashes:
    """(n,) a hash of each sample's tag and frame."""
    return _hash(_words(samples.tag_id) + _words(samples.frame))


def row_hashes(samples: Samples) -> Hashes:
    """(n,) a hash of every value of each sample."""
    return _hash([word for name in SAMPLE_DTYPES for word in _words(getattr(samples, name))])


def repeated(hashes: Hashes) -> NDArray[np.bool_]:
    """(n,) whether the same hash stands further up."""
    again = np.ones(len(hashes), bool)
    again[np.unique(hashes, return_index=True)[1]] = False
    return again


def _words(column: NDArray[np.generic]) -> list[NDArray[np.uint32]]:
    """A column as one or two columns of 32-bit words."""
    return list(np.ascontiguousarray(column).view(np.uint32).reshape(-1, column.itemsize // 4).T)


def _hash(words: list[NDArray[np.uint32]]) -> Hashes:
    """Multilinear hash of rows of 32-bit words, its high bits mixed into the low ones."""
    total = np.full(len(words[0]), _FACTORS[-1])
    for word, factor in zip(words, _FACTORS, strict=False):
        total = total + (word.astype(np.uint64) + np.uint64(1)) * factor
        total ^= total >> np.uint64(29)
    return total
