"""Plays looked up once for all that one call asks of them."""

from collections import OrderedDict

from ghostback.play import Play
from ghostback.tracking.v1 import source_pb2
from services.common import plays
from services.common.upstream import Upstream

MARK_KEY = "x-ghostback-look-up"
"""Metadata by which a service marks what it asks on behalf of one call, with something that no other call has."""

_PLAYS, _SAMPLES = 256, 500_000
"""Most plays that are kept, and most samples of all of them."""


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
        if known := self._known.get(key):
            return known
        play = self._known[key] = await plays.resolve(source, self._ingest)
        while len(self._known) > _PLAYS or sum(len(each.samples) for each in self._known.values()) > _SAMPLES:
            self._known.popitem(last=False)
        return play
