"""Long-running operations, without a server."""

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc import code_pb2

from services.common.operations import Operations, Report


async def test_an_operation_cancelled_before_its_work_began_is_done_and_tells_so() -> None:
    operations = Operations()
    begun = False

    async def work(report: Report) -> Message:
        nonlocal begun
        begun = True
        return Empty()

    name = operations.start(work).name
    await operations.cancel(name)
    state = await operations.wait(name, 5.0)
    assert not begun
    assert state.done
    assert state.error.code == code_pb2.CANCELLED
    assert [each.done async for each in operations.watch(name)] == [True]
