"""A TCP proxy on loopback that cuts connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

_CHUNK = 4096


class Proxy:
    """Hands bytes on to a target, until its connections are cut.

    Attributes:
        address: where it listens, `host:port`.
        connections: how many were made.
    """

    def __init__(self, target: str) -> None:
        self.address = ""
        self.connections = 0
        self._host, _, self._port = target.rpartition(":")
        self._writers: set[asyncio.StreamWriter] = set()
        self._every = self._left = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, target: str) -> AsyncIterator[Self]:
        """A proxy to a target, `host:port`, that listens until it is left."""
        proxy = cls(target)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            try:
                yield proxy
            finally:
                server.close()
                proxy.cut()

    def cut(self) -> None:
        """Cut all connections at once, with whatever is on its way."""
        for writer in self._writers:
            writer.transport.abort()

    def cut_every(self, n_bytes: int) -> None:
        """From now on, cut all connections whenever clients have sent that many bytes, be it in mid-message."""
        self._every, self._left = n_bytes, n_bytes

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            target_reader, target_writer = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, target_writer}
        self._writers |= ends
        try:
            with suppress(OSError):
                sending = self._pass_on(reader, target_writer, sent=True)
                await asyncio.gather(sending, self._pass_on(target_reader, writer, sent=False))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bool) -> None:
        while data := await reader.read(_CHUNK):
            if sent and self._every:
                writer.write(data[: self._left])
                self._left -= len(data)
                if self._left <= 0:
                    await writer.drain()
                    self._left = self._every
                    self.cut()
                    return
            else:
                writer.write(data)
            await writer.drain()
        raise ConnectionError
