"""Tensors that a caller gives: checked against what a model takes."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ghostback import convert
from ghostback.features.v1 import features_service_pb2
from services.common.errors import InvalidInput, Violation
from services.predict.manifest import TensorDeclaration


def read(
    messages: Iterable[features_service_pb2.Tensor], declared: Sequence[TensorDeclaration], field: str
) -> dict[str, NDArray[np.float32]]:
    """The tensors a model takes, by name (n_rows, ...).

    Args:
        messages: what a caller gave.
        declared: what the model takes; other tensors are passed over.
        field: where the messages are in the request.

    Raises:
        InvalidMessage: the values of one are not a whole number of them.
        InvalidInput: one is missing, of a wrong shape, not finite, or of another number of rows than the first.
    """
    given = {message.name: (f"{field}[{i}]", message) for i, message in enumerate(messages)}
    if missing := [tensor.name for tensor in declared if tensor.name not in given]:
        raise InvalidInput("FIELD_REQUIRED", [Violation(field, f"lacks {', '.join(missing)}, which the model takes")])
    taken: dict[str, NDArray[np.float32]] = {}
    rows = None
    for tensor in declared:
        where, message = given[tensor.name]
        shape = tuple(message.shape)
        rows = rows or (shape[0] if shape else 0)
        values = convert.column_from_message(message, "values", where)
        if shape != (rows, *tensor.shape) or len(values) != math.prod(shape) or not rows:
            wanted = f"of shape [{rows or 'rows'}, {', '.join(map(str, tensor.shape))}], with as many values"
            raise InvalidInput(
                "FIELD_INVALID",
                [Violation(f"{where}.shape", f"is {list(shape)} with {len(values)} values; {tensor.name} is {wanted}")],
            )
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InvalidInput("NOT_FINITE", [Violation(f"{where}.values[{first}]", f"is {values[first]}")])
        taken[tensor.name] = values.reshape(shape)
    return taken
