"""The servers that a contract is held against."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import grpc.aio

from ghostback.channels import Security, Tls, aio_channel
from ghostback.contract.document import SERVERS, ContractError, Unreachable

CONNECT_SECONDS = 10.0
SECURITY = (
    *("GHOSTBACK_CA", "GHOSTBACK_CERTIFICATE", "GHOSTBACK_KEY", "GHOSTBACK_TOKEN_FILE"),
    *("GHOSTBACK_SERVER_NAME", "GHOSTBACK_TLS"),
)
"""Environment variables that say how servers are reached: four files, a name and whether by TLS."""


def addresses(targets: Sequence[str]) -> dict[str, str]:
    """Where servers listen, by name; the empty name is for all others.

    Args:
        targets: each `server=host:port`, or `host:port`.

    Raises:
        ContractError: there is no such server.
    """
    found: dict[str, str] = {}
    for target in targets:
        server, _, address = target.rpartition("=")
        if server and server not in SERVERS:
            raise ContractError(f"{target}: {server} is none of {', '.join(SERVERS)}")
        found[server] = address
    return found


def security(environment: Mapping[str, str]) -> Security:
    """TLS and token as environment variables say, those of `SECURITY`; any of them means TLS.

    The token's file is read for each call, so that it may be renewed.
    """
    given = {name: environment.get(name, "") for name in SECURITY}
    ca, certificate, key, token = (Path(file) if (file := given[name]) else None for name in SECURITY[:4])
    name, wanted = given["GHOSTBACK_SERVER_NAME"], given["GHOSTBACK_TLS"].lower() in ("1", "true", "yes", "on")
    tls = Tls(ca, certificate, key, name) if any((ca, certificate, key, token, name, wanted)) else None
    return Security(tls, (lambda: token.read_text().strip()) if token else None)


class Targets:
    """The servers to call; use as an async context manager."""

    def __init__(self, addresses: Mapping[str, str], security: Security) -> None:
        """Connect lazily.

        Args:
            addresses: `host:port` by server (`ingest`, `features`, `predict`, `score`); that of the empty name is
                called for all others.
            security: TLS and token.
        """
        self._addresses = addresses
        self.security = security
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Targets":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def address(self, server: str) -> str:
        """Where a server listens; empty where that was not told."""
        return self._addresses.get(server) or self._addresses.get("", "")

    async def channel(self, server: str) -> grpc.aio.Channel:
        """A channel that is connected.

        Raises:
            ContractError: nobody said where the server is.
            Unreachable: it does not answer.
        """
        address = self.address(server)
        if not address:
            raise ContractError(f"nobody said where {server} listens; name it with --target {server}=HOST:PORT")
        if address not in self._channels:
            channel = aio_channel(address, self.security)
            await self._stack.enter_async_context(channel)
            if not await _is_up(channel):
                hint = "are its certificate and yours good" if self.security.tls else "does it speak without TLS"
                raise Unreachable(f"{server} does not answer at {address}; is it up, and {hint}?")
            self._channels[address] = channel
        return self._channels[address]


async def _is_up(channel: grpc.aio.Channel) -> bool:
    state = channel.get_state(try_to_connect=True)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING):
                await channel.wait_for_state_change(state)
                state = channel.get_state()
    except TimeoutError:
        return False
    return state is grpc.ChannelConnectivity.READY
