"""A screened feature set: what was kept, how to normalise it, where it comes from; as a document, and computed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ghostback.play import Play
from services.features.feature_sets import OBSERVED, RATE, FeatureSet, TensorSpec
from services.features.screening import catalogue
from services.features.screening.candidates import values
from services.features.screening.screen import Screening
from services.features.screening.table import STEPS
from services.features.screening.throw import throws
from services.features.tensors import FeatureBatch

TENSOR = "features"


class DocumentError(ValueError):
    """A document that cannot be served, and why."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a screening was made from.

    Attributes:
        games: names of the games.
        n_rows: rows: defensive backs of passes in the air for ten steps or more.
        seed: of folds, models and shuffling.
        command: what makes it again.
        n_candidates: candidates looked at.
        full_rmse: error of all candidates on games not seen, yards.
        kept_rmse: error of those kept, yards.
    """

    games: tuple[str, ...]
    n_rows: int
    seed: int
    command: str
    n_candidates: int
    full_rmse: float
    kept_rmse: float


@dataclass(frozen=True, slots=True)
class ScreenedSet(FeatureSet):
    """A feature set of single numbers that a screening kept.

    Attributes:
        mean: of each entry over the rows screened, in its unit.
        scale: standard deviation of each, in its unit.
        provenance: what it was made from.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    provenance: Provenance


def of_screening(screening: Screening, name: str, version: int, setting: str, seed: int, command: str) -> ScreenedSet:
    """The feature set of what a screening kept."""
    kept = screening.kept
    return ScreenedSet(
        name=name,
        version=version,
        description=f"{len(kept)} of {len(screening.judged)} candidates, as they predict a defensive back's "
        f"displacement in {STEPS / RATE:g} s nearly as well as all",
        setting=setting,
        rate=RATE,
        observed=OBSERVED,
        horizon=STEPS,
        row="defender",
        tensors=(TensorSpec(TENSOR, (len(kept),), tuple(judged.candidate.entry for judged in kept)),),
        mean=tuple(judged.mean for judged in kept),
        scale=tuple(judged.scale for judged in kept),
        provenance=Provenance(
            games=screening.games,
            n_rows=screening.n_rows,
            seed=seed,
            command=command,
            n_candidates=len(screening.judged),
            full_rmse=screening.full_rmse,
            kept_rmse=screening.kept_rmse,
        ),
    )


def to_document(screened: ScreenedSet) -> str:
    """JSON: the definition, and its digest."""
    return json.dumps(asdict(screened) | {"digest": screened.digest}, indent=2) + "\n"


def from_document(text: str) -> ScreenedSet:
    """The feature set of a document.

    Raises:
        DocumentError: it is not whole, was changed, or names features that this version cannot compute.
    """
    try:
        fields = json.loads(text)
        told = fields.pop("digest")
        screened = TypeAdapter(ScreenedSet).validate_python(fields)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise DocumentError(f"is no document of a screened feature set: {_first_line(error)}") from None
    if screened.digest != told:
        raise DocumentError(
            f"was changed: its content has digest {screened.digest[:12]}..., it says {str(told)[:12]}..."
        )
    entries = [entry for tensor in screened.tensors for entry in tensor.entries]
    known = {candidate.entry for candidate in catalogue.of_setting(screened.setting)}
    unknown = [entry for entry in entries if entry not in known]
    if unknown:
        raise DocumentError(f"names features that are not known in {screened.setting} setting: {', '.join(unknown)}")
    return screened


def compute(
    play: Play, screened: ScreenedSet, target_ids: Sequence[str] = (), defender_ids: Sequence[str] = ()
) -> FeatureBatch:
    """The features of some targets and defenders of a play, by the code that screened them.

    Raises:
        InvalidInput: a target is not eligible, or a defender unknown.
        FailedPrecondition: the play has no pass, or lacks samples where they are needed.
    """
    (spec,) = screened.tensors
    candidates = [catalogue.CATALOGUE[entry.rsplit(" ", 1)[0]] for entry in spec.entries]
    batch, made = throws(play, screened.setting, target_ids, defender_ids)
    features = np.concatenate([values(throw, candidates) for throw in made])
    return replace(batch, feature_set=screened.id, tensors={spec.name: features})


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
