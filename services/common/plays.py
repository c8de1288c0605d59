"""Plays that calls are about: given in the call, or looked up in `ingest`."""

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.play import Play
from ghostback.tracking.v1 import source_pb2
from services.common import requests
from services.common.errors import FailedPrecondition, InvalidInput, Violation
from services.common.upstream import Upstream

INGEST_SERVICE = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]


async def resolve(source: source_pb2.PlaySource, ingest: Upstream, field: str = "source") -> Play:
    """The play of a source, checked, with samples.

    Args:
        source: the play's name or the play itself.
        ingest: where names are looked up.
        field: path of the source in the request, for errors.

    Raises:
        InvalidInput: neither a name nor a play is given, or the play does not keep to the contract.
        NotFound: no such play.
        FailedPrecondition: the play that was looked up has no samples.
        Unavailable: `ingest` does not answer.
    """
    match source.WhichOneof("source"):
        case "name":
            requests.play_ids(source.name, f"{field}.name")
            return await look_up(source.name, ingest)
        case "play":
            return requests.play_to_compute_on(source.play, f"{field}.play")
        case _:
            raise InvalidInput("FIELD_REQUIRED", [Violation(field, "needs a name or a play")])


async def look_up(name: str, ingest: Upstream) -> Play:
    """The play of a name, with samples.

    Raises:
        NotFound: no such play.
        FailedPrecondition: the play has no samples.
        Unavailable: `ingest` does not answer.
    """
    response = await ingest.call("GetPlay", wire.view(ingest_service_pb2.GetPlayRequest)(name=name))
    if not response.play.HasField("samples"):
        raise FailedPrecondition("TRACKS_INCOMPLETE", f"{name} has no samples yet", name)
    return convert.play_from_message(response.play)


async def of_game(game: str, ingest: Upstream) -> list[Play]:
    """The plays of a game, without samples.

    Raises:
        NotFound: no such game.
        Unavailable: `ingest` does not answer.
    """
    found: list[Play] = []
    token = ""
    while True:
        request = wire.view(ingest_service_pb2.ListPlaysRequest)(parent=game, page_size=1000, page_token=token)
        response = await ingest.call("ListPlays", request)
        found += map(convert.play_from_message, response.plays)
        token = response.next_page_token
        if not token:
            return found
