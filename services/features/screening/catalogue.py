"""The full candidate set."""

from services.features.screening import geometry, kinematics, situation
from services.features.screening.candidates import Candidate, Known

CATALOGUE: dict[str, Candidate] = {
    candidate.name: candidate for candidate in (*kinematics.CANDIDATES, *geometry.CANDIDATES, *situation.CANDIDATES)
}
"""Every candidate, by name."""

_LAST_KNOWN = {"live": Known.FLIGHT, "retrospective": Known.ARRIVAL}


def of_setting(setting: str) -> tuple[Candidate, ...]:
    """The candidates that may be known in a setting, `live` or `retrospective`."""
    return tuple(candidate for candidate in CATALOGUE.values() if candidate.known <= _LAST_KNOWN[setting])
