"""A server on the chassis with one operation that runs until it is cancelled, and a defect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.message import Message

from ghostback.tracking.v1 import operation_service_pb2 as pb
from services.common import server
from services.common.health import Service
from services.common.operations import OPERATION_SERVICE, Operations, OperationServicer, Report
from services.common.settings import ServiceSettings


class Servicer(OperationServicer):
    """Cancelling reads a message within the name, or fails with a defect, to see what a caller is told of either."""

    async def CancelOperation(self, request: Any, context: Any) -> Message:  # noqa: N802
        pb.Operation.FromString(request.name.encode())
        raise ZeroDivisionError("secret detail")


@asynccontextmanager
async def start(settings: ServiceSettings) -> AsyncIterator[server.Services]:
    operations = Operations()

    async def forever(report: Report) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    operations.start(forever)
    yield [Service(OPERATION_SERVICE, Servicer(operations))]
    await operations.close()


if __name__ == "__main__":
    server.run("chassis", ServiceSettings(_cli_parse_args=True), start)
