"""Drift of a model's inputs: the population stability index (PSI).

The index of two distributions p and q over bins is the sum of (p - q) ln(p / q): 0 where they are the same; by custom
above 0.1 they differ somewhat and above 0.25 much. Calls are counted in bins that are the same for every input of every
model, evenly spaced in asinh, so that counts can be added without anyone having seen the data before; they are compared
in about ten groups of bins.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from services.predict.rollouts import sequential
from services.predict.rollouts.sequential import Interval

BINS = 25
"""The middle one holds what is within 0.25 of 0; the others grow to tens of units; the last two are open."""
_BINS_AN_E_FOLD = 2
_LEAST_SHARE = 0.1
_MIXED = 0.1

Histogram = Sequence[float]


def histograms(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, tuple[float, ...]]:
    """One call's inputs by bin: for each tensor the bins of each entry of its last axis in turn, which sum to 1.

    A call counts as one however many players and steps it tells of, for they do not vary independently.

    Args:
        tensors: by name, (n_rows, ..., n_entries). NaN counts as far too large.
    """
    found = {}
    for name, values in tensors.items():
        flat = values.reshape(-1, values.shape[-1])
        scaled = np.rint(_BINS_AN_E_FOLD * np.arcsinh(flat))
        bins = np.fmax(np.fmin(scaled, BINS // 2), -(BINS // 2)).astype(np.intp) + BINS // 2
        places = bins + BINS * np.arange(flat.shape[1])
        counts = np.bincount(places.ravel(), minlength=BINS * flat.shape[1]) / len(flat)
        found[name] = tuple(counts.tolist())
    return found


def stability_index(reference: Histogram, candidate: Histogram, alpha: float) -> Interval:
    """The PSI of two histograms of calls, valid however often it is looked at.

    By the delta method: to first order the index is a mean over the calls of either, and what the noise of so many
    calls adds to it on average is taken off the estimate and off the lower bound. The lower bound is that of shares
    mixed with a tenth of their mean, which only lowers the index, so that bins that one of them hardly has do not
    make it vague.
    """
    counts = np.array([reference, candidate])
    n = counts.sum(axis=1, keepdims=True)
    if (n < 1).any():
        return Interval(math.nan, 0.0, math.inf)
    counts = np.add.reduceat(counts, _starts((counts / n).mean(axis=0)), axis=1)
    shares = (counts + counts.sum(axis=0) / n.sum()) / (n + 1)
    noise = (counts.shape[1] - 1) * float((1 / n).sum())
    looks = sequential.half_width(float(n[1, 0]), alpha)
    index, deviation = _index(shares, n)
    least, least_deviation = _index((1 - _MIXED) * shares + _MIXED * shares.mean(axis=0), n)
    return Interval(
        max(0.0, index - noise), max(0.0, least - noise - looks * least_deviation), index + looks * deviation
    )


def _index(shares: NDArray[np.float64], n: NDArray[np.float64]) -> tuple[float, float]:
    """The index of two rows of shares, and its standard deviation times the root of the second row's n."""
    q, p = shares
    q_deviates, p_deviates = (_variance(a, np.log(a / b) - b / a) for a, b in ((q, p), (p, q)))
    return float(((p - q) * np.log(p / q)).sum()), math.sqrt(p_deviates + q_deviates * n[1, 0] / n[0, 0])


def _starts(shares: NDArray[np.float64]) -> list[int]:
    """First bins of groups that hold a tenth of the calls each: rare bins tell of noise."""
    starts, held = [0], 0.0
    for i, share in enumerate(shares):
        if held >= _LEAST_SHARE:
            starts.append(i)
            held = 0.0
        held += share
    return starts if held >= _LEAST_SHARE else starts[:-1] or starts


def _variance(probability: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    return float((probability * (value - (probability * value).sum()) ** 2).sum())


def worst(reference: Mapping[str, Histogram], candidate: Mapping[str, Histogram], alpha: float) -> tuple[Interval, int]:
    """The PSI of the input that drifted most among those that both have, and the number of the candidate's calls."""
    pairs = [
        pair
        for name in reference.keys() & candidate.keys()
        for pair in zip(_entries(reference[name]), _entries(candidate[name]), strict=True)
    ]
    if not pairs:
        return Interval(math.nan, 0.0, math.inf), 0
    each = [stability_index(*pair, alpha / len(pairs)) for pair in pairs]
    return Interval(*(max(bounds) for bounds in zip(*each, strict=True))), round(sum(pairs[0][1]))


def _entries(histogram: Histogram) -> list[Histogram]:
    return [histogram[i : i + BINS] for i in range(0, len(histogram), BINS)]
