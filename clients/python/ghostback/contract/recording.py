"""A proxy on loopback that passes on every call as it is, and notes what was said."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio

from ghostback.channels import Security, aio_channel
from ghostback.contract.live import details

RESPONSES = 16
"""Responses of a stream that are kept."""

_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
_OWN_METADATA = "x-ghostback-"


@dataclass(slots=True)
class Exchange:
    """A call that went through the proxy, as bytes.

    Attributes:
        server: which server was called.
        call: service and method.
        metadata: Ghostback's own metadata of the call; no other is noted, least of all credentials.
        requests: what was sent, as far as the limit on bytes goes.
        request_bytes: how much was sent.
        responses: what came back, at most `RESPONSES`.
        code: how it ended; OK also where the caller ended it.
        reason: the error's reason.
        fields: the fields that the error names.
    """

    server: str
    call: str
    metadata: dict[str, str]
    requests: list[bytes] = field(default_factory=list)
    request_bytes: int = 0
    responses: list[bytes] = field(default_factory=list)
    code: str = "OK"
    reason: str = ""
    fields: list[str] = field(default_factory=list)


@dataclass
class Recording:
    """What goes on.

    Attributes:
        addresses: where the proxy of each server listens.
        exchanges: the calls that have ended: the first of each method and way of ending.
    """

    request_limit: int
    addresses: dict[str, str] = field(default_factory=dict)
    exchanges: dict[tuple[str, str, str, str], Exchange] = field(default_factory=dict)

    def keep(self, exchange: Exchange) -> None:
        """Keep a call, unless one like it was kept that is as small."""
        key = (exchange.server, exchange.call, exchange.code, exchange.reason)
        kept = self.exchanges.get(key)
        if kept is None or exchange.request_bytes <= self.request_limit < kept.request_bytes:
            self.exchanges[key] = exchange


@asynccontextmanager
async def recording(addresses: Mapping[str, str], request_limit: int, security: Security) -> AsyncIterator[Recording]:
    """Proxies of some servers, each on a free port of loopback, without TLS.

    Args:
        addresses: where the servers listen, by name.
        request_limit: bytes of the requests of a call that are kept.
        security: TLS and token to call the servers with.
    """
    noted = Recording(request_limit)
    async with AsyncExitStack() as stack:
        for server, address in addresses.items():
            channel = await stack.enter_async_context(aio_channel(address, security, _OPTIONS))
            proxy = grpc.aio.server(options=_OPTIONS)
            proxy.add_generic_rpc_handlers([_Forwarder(server, channel, noted)])
            noted.addresses[server] = f"127.0.0.1:{proxy.add_insecure_port('127.0.0.1:0')}"
            await proxy.start()
            stack.push_async_callback(proxy.stop, 0)
        yield noted


class _Forwarder(grpc.GenericRpcHandler):
    def __init__(self, server: str, channel: grpc.aio.Channel, noted: Recording) -> None:
        self._server, self._channel, self._noted = server, channel, noted

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        method = handler_call_details.method

        async def forward(
            requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
        ) -> AsyncIterator[bytes]:
            metadata = [
                (key, value)
                for key, value in context.invocation_metadata() or ()
                if key != "user-agent" and not key.startswith("grpc-")
            ]
            own = {key: str(value) for key, value in metadata if key.startswith(_OWN_METADATA)}
            exchange = Exchange(self._server, method.removeprefix("/"), own)
            open_call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(method)
            call = open_call(self._sent(requests, exchange), timeout=context.time_remaining(), metadata=metadata)
            try:
                await context.send_initial_metadata(tuple(await call.initial_metadata() or ()))
                async for response in call:
                    if len(exchange.responses) < RESPONSES:
                        exchange.responses.append(response)
                    yield response
                context.set_trailing_metadata(tuple(await call.trailing_metadata() or ()))
            except grpc.aio.AioRpcError as error:
                exchange.code = error.code().name
                exchange.reason, exchange.fields = details(error)
                await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
            finally:
                call.cancel()
                self._noted.keep(exchange)

        return grpc.stream_stream_rpc_method_handler(forward)

    async def _sent(self, requests: AsyncIterator[bytes], exchange: Exchange) -> AsyncIterator[bytes]:
        async for request in requests:
            exchange.request_bytes += len(request)
            if exchange.request_bytes <= self._noted.request_limit:
                exchange.requests.append(request)
            yield request
