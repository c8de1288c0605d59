"""A model version's known answer: inputs, and the outputs they must give."""

import zipfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.predict.manifest import Manifest, ManifestError, TensorDeclaration

Tensors = Mapping[str, NDArray[np.float32]]


@lru_cache(64)
def read(folder: Path, declared: Manifest) -> tuple[Tensors, Tensors]:
    """Inputs and outputs by name, each (n_rows, ...), of the golden example in a plugin's folder.

    It is read once of a manifest, which tells its digest.

    Raises:
        ManifestError: it cannot be read, or its arrays are not those the manifest declares.
    """
    file = declared.golden.file
    try:
        with np.load(folder / file) as stored:
            arrays = {name: np.asarray(stored[name]) for name in stored}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{file} is no npz file of arrays: {error}") from None
    rows = max((len(array) for array in arrays.values() if array.ndim), default=0)
    return (
        _taken(arrays, "input", declared.inputs, rows, file),
        _taken(arrays, "output", declared.outputs, rows, file),
    )


def _taken(
    arrays: Tensors, kind: str, tensors: Iterable[TensorDeclaration], rows: int, file: str
) -> dict[str, NDArray[np.float32]]:
    taken = {}
    for tensor in tensors:
        array = arrays.get(f"{kind}.{tensor.name}")
        expected = (max(rows, 1), *tensor.shape)
        if array is None or array.shape != expected or array.dtype != np.float32:
            has = "is missing" if array is None else f"is {array.dtype} of shape {array.shape}"
            raise ManifestError(f"{file}: {kind}.{tensor.name} {has}, must be float32 of shape {expected}")
        if not np.isfinite(array).all():
            raise ManifestError(f"{file}: {kind}.{tensor.name} is not finite everywhere")
        taken[tensor.name] = array
    return taken
