"""Clients nobody wishes for, each a process of its own with the lowest priority, from another address than the others'.

`python -m tests.soak.attackers ATTACK SECONDS ADDRESS...` attacks until the time is up.
"""

import asyncio
import importlib
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from ghostback import convert, wire
from ghostback.ingest.v1 import ingest_service_pb2 as ingest
from ghostback.play import Samples
from simulator.game import simulate_game
from tests.contract.examples import MODULES, example

GAME = simulate_game(5, 8)
"""The plays there are."""
SOURCE = "127.0.0.66"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
PING = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + bytes(8)
INGEST = ingest.DESCRIPTOR.services_by_name["IngestService"]
AT_ONCE = 64
BOMB = 256 * 2**20
GIANT = 64 * 2**20

Attack = Callable[[str, Random], Awaitable[object]]
"""One attack on an address; is made again and again."""


async def garbage(address: str, random: Random) -> None:
    """Bytes that are no HTTP/2, and frames that are none."""
    reader, writer = await _connect(address)
    with suppress(OSError):
        writer.write((PREFACE + SETTINGS) * random.randint(0, 1) + random.randbytes(random.randint(1, 1 << 16)))
        await writer.drain()
        await asyncio.wait_for(reader.read(), 1)
    writer.close()


async def half_open(address: str, random: Random) -> None:
    """Connections that say nothing, or only the beginning."""
    each = [await _connect(address) for _ in range(4 * AT_ONCE)]
    for _, writer in each:
        writer.write(PREFACE[: random.randint(0, len(PREFACE))])
    await asyncio.sleep(5)
    for _, writer in each:
        writer.close()


async def pings(address: str, _: Random) -> None:
    """Pings without end."""
    _reader, writer = await _connect(address)
    writer.write(PREFACE + SETTINGS)
    with suppress(OSError):
        while True:
            writer.write(PING * 1000)
            await writer.drain()


async def resets(address: str, _: Random) -> None:
    """Calls that are given up as soon as they are made."""
    async with _channel(address) as channel:
        calls = [channel.unary_unary(f"/{INGEST.full_name}/GetPlay")(b"") for _ in range(100)]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()


async def flood(address: str, _: Random) -> None:
    """Calls, as many at once as go."""
    async with _channel(address) as channel:
        await asyncio.gather(*(_call(channel, method) for method in _unary() for _ in range(AT_ONCE)))


async def slow_readers(address: str, _: Random) -> None:
    """Streams of plays that nobody reads."""
    async with _channel(address) as channel:
        calls = [wire.stub(INGEST, channel).WatchPlays(ingest.WatchPlaysRequest()) for _ in range(AT_ONCE)]
        await asyncio.sleep(5)
        for call in calls:
            call.cancel()


async def idle_streams(address: str, _: Random) -> None:
    """Streams of tags on which nothing comes."""
    async with _channel(address) as channel:
        calls = [channel.stream_stream(f"/{INGEST.full_name}/StreamTags")() for _ in range(4 * AT_ONCE)]
        await asyncio.sleep(5)
        for call in calls:
            call.cancel()


async def tiny_batches(address: str, random: Random) -> None:
    """Batches of a single sample, a hundred thousand of them."""
    play = random.choice(GAME.plays)
    one = Samples.from_columns({"tag_id": [7], "frame": [0], "x": [50], "y": [20]} | {name: [0.0] for name in _OTHERS})
    message = wire.view(ingest.StreamTagsRequest)(play=play.name, samples=convert.samples_to_message(one))

    async def requests() -> AsyncIterator[object]:
        for _ in range(100_000):
            yield message

    async with _channel(address) as channel:
        async for _ in wire.stub(INGEST, channel).StreamTags(requests()):
            pass


async def giant(address: str, _: Random) -> None:
    """A message far larger than any may be."""
    async with _channel(address) as channel:
        await channel.unary_unary(f"/{INGEST.full_name}/UpdatePlay")(bytes(GIANT))


async def bomb(address: str, _: Random) -> None:
    """A small message that becomes a giant one when it is unpacked."""
    async with _channel(address) as channel:
        call = channel.unary_unary(f"/{INGEST.full_name}/UpdatePlay")
        await call(bytes(BOMB), compression=grpc.Compression.Gzip)


async def headers(address: str, random: Random) -> None:
    """Metadata without measure."""
    async with _channel(address) as channel:
        metadata = [(f"x-{i}", random.randbytes(500).hex()) for i in range(500)]
        await channel.unary_unary(f"/{INGEST.full_name}/GetPlay")(b"", metadata=metadata)


async def mutants(address: str, random: Random) -> None:
    """Requests of every method, some of their bytes changed."""
    async with _channel(address) as channel:
        await asyncio.gather(*(_call(channel, method, random) for method in _unary() for _ in range(4)))


async def work(_address: str, _random: Random) -> None:
    """Nothing to the services: the processor alone is used, as by an attacker who never waits."""
    while True:
        until = time.monotonic() + 0.01
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0)


WORK = "work"
"""The control: what the machine, shared with an attacker, costs honest clients."""
ATTACKS: dict[str, Attack] = {
    each.__name__.replace("_", "-"): each
    for each in (
        *(garbage, half_open, pings, resets, flood, slow_readers, idle_streams, tiny_batches, giant, bomb, headers),
        mutants,
    )
}
_OTHERS = ("speed", "acceleration", "distance", "orientation", "direction")


def _services() -> list[ServiceDescriptor]:
    files = [importlib.import_module(f"ghostback.{module}_pb2").DESCRIPTOR for module in MODULES]
    return [service for file in files for service in file.services_by_name.values()]


def _unary() -> list[tuple[str, bytes]]:
    """Methods with one request and one response, each with an example of its request."""
    return [
        (f"/{service.full_name}/{method.name}", example(method.input_type).SerializeToString())
        for service in _services()
        for method in service.methods
        if not method.client_streaming and not method.server_streaming
    ]


async def _call(channel: grpc.aio.Channel, method: tuple[str, bytes], random: Random | None = None) -> None:
    path, request = method
    if random and request:
        changed = bytearray(request)
        for _ in range(random.randint(1, 8)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        request = bytes(changed)
    with suppress(grpc.aio.AioRpcError):
        await channel.unary_unary(path)(request, timeout=10)


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port), local_addr=(SOURCE, 0))


@asynccontextmanager
async def _channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A connection of its own, by a relay: gRPC cannot be told from which address to connect."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there = await _connect(address)
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        yield channel
    server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _attack(attack: Attack, seconds: float, address: str) -> None:
    random, until = Random(address), time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        with suppress(OSError, grpc.aio.AioRpcError, TimeoutError):
            async with asyncio.timeout(left):
                await attack(address, random)
        await asyncio.sleep(0.01)


async def main(name: str, seconds: str, *addresses: str) -> None:
    """Attack some addresses at once."""
    attack = work if name == WORK else ATTACKS[name]
    await asyncio.gather(*(_attack(attack, float(seconds), address) for address in addresses))


if __name__ == "__main__":
    os.nice(19)
    asyncio.run(main(*sys.argv[1:]))
