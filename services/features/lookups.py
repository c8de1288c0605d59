"""Plays looked up once for all that one call asks of them."""

from collections import OrderedDict

from ghostback.play import Play
from ghostback.tracking.v1 import source_pb2
from services.common import plays
from services.common.upstream import Upstream

MARK_KEY = "x-ghostback-look-up"
"""Metadata by which a service marks what it asks on behalf of one call, with something that no other call has."""

_SAMPLES = 500_000
"""Most samples of plays that are kept, some hundreds of plays."""


class LookUps:
    """Plays given in calls, or looked up in `ingest`: once for calls with the same mark, so that all see the same."""

    def __init__(self, ingest: Upstream) -> None:
        self._ingest = ingest
        self._known: OrderedDict[tuple[str, str], Play] = OrderedDict()

    async def resolve(self, source: source_pb2.PlaySource, mark: str) -> Play:
        """The play of a source, checked, with samples.

        Args:
            source: the play's name or the play itself.
            mark: the call's; empty where it has none, then the play is looked up anew.

        Raises:
            DomainError: as for `plays.resolve`.
        """
        key = mark, source.name
        if not all(key):
            return await plays.resolve(source, self._ingest)
        if key not in self._known:
            self._known[key] = await plays.resolve(source, self._ingest)
            while sum(len(play.samples) for play in self._known.values()) > _SAMPLES and len(self._known) > 1:
                self._known.popitem(last=False)
        return self._known[key]
