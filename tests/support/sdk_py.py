"""The official Python SDK (centrifuge-python) behind the tests' common face."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import centrifuge

from tests.support.sdk import RpcFailed, Sdk, SdkClient, TokenSource


class PySdk(Sdk):
    """Clients in this event loop."""

    name = "py"

    def __init__(self) -> None:
        self._clients: list[PyClient] = []

    async def client(
        self, url: str, token: str = "", *, get_token: TokenSource | None = None, **options: Any
    ) -> PyClient:
        client = PyClient(url, token, get_token, options)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            with contextlib.suppress(Exception):
                await client.disconnect()


class _ClientEvents(centrifuge.ClientEventHandler):
    def __init__(self, client: PyClient) -> None:
        self._told = client._tell

    async def on_connecting(self, ctx: centrifuge.ConnectingContext) -> None:
        await self._told("connecting", None, {"code": ctx.code, "reason": ctx.reason})

    async def on_connected(self, ctx: centrifuge.ConnectedContext) -> None:
        await self._told("connected", None, {"client": ctx.client, "data": ctx.data})

    async def on_disconnected(self, ctx: centrifuge.DisconnectedContext) -> None:
        await self._told("disconnected", None, {"code": ctx.code, "reason": ctx.reason})

    async def on_error(self, ctx: centrifuge.ErrorContext) -> None:
        await self._told("error", None, {"error": {"code": ctx.code, "message": str(ctx.error)}})


class _SubscriptionEvents(centrifuge.SubscriptionEventHandler):
    def __init__(self, client: PyClient, channel: str) -> None:
        self._tell, self._channel = client._tell, channel

    async def _told(self, kind: str, detail: dict[str, Any]) -> None:
        await self._tell(kind, self._channel, detail)

    async def on_subscribing(self, ctx: centrifuge.SubscribingContext) -> None:
        await self._told("subscribing", {"code": ctx.code, "reason": ctx.reason})

    async def on_subscribed(self, ctx: centrifuge.SubscribedContext) -> None:
        position = ctx.stream_position
        await self._told(
            "subscribed",
            {
                "recoverable": ctx.recoverable,
                "positioned": ctx.positioned,
                "wasRecovering": ctx.was_recovering,
                "recovered": ctx.recovered,
                "data": ctx.data,
                "streamPosition": {"offset": position.offset, "epoch": position.epoch} if position else None,
            },
        )

    async def on_unsubscribed(self, ctx: centrifuge.UnsubscribedContext) -> None:
        await self._told("unsubscribed", {"code": ctx.code, "reason": ctx.reason})

    async def on_publication(self, ctx: centrifuge.PublicationContext) -> None:
        await self._told("publication", {"data": ctx.pub.data, "offset": ctx.pub.offset})

    async def on_error(self, ctx: centrifuge.SubscriptionErrorContext) -> None:
        await self._told("subscription_error", {"error": {"code": ctx.code, "message": str(ctx.error)}})


class PyClient(SdkClient):
    """One centrifuge-python client."""

    def __init__(self, url: str, token: str, get_token: TokenSource | None, options: dict[str, Any]) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "min_reconnect_delay": 0.1,
            "max_reconnect_delay": 1.0,
            "proxy": None,
        } | options
        self._client = centrifuge.Client(
            url, events=_ClientEvents(self), token=token, get_token=get_token, **settings
        )

    async def begin_connect(self) -> None:
        await self._client.connect()

    async def disconnect(self) -> None:
        await self._client.disconnect()

    async def rpc(self, method: str, data: Any = None) -> Any:
        try:
            return (await self._client.rpc(method, data)).data
        except centrifuge.ReplyError as refusal:
            raise RpcFailed(refusal.code, refusal.message, refusal.temporary) from refusal
        except centrifuge.OperationTimeoutError as late:
            raise RpcFailed(1, "timeout", True) from late
        except centrifuge.CentrifugeError as failure:
            raise RpcFailed(0, str(failure), True) from failure

    async def begin_subscribe(
        self, channel: str, state: tuple[str, dict[str, Any]] | None = None, **options: Any
    ) -> None:
        subscription = self._client.get_subscription(channel)
        if subscription is None:
            settings: dict[str, Any] = {"min_resubscribe_delay": 0.1, "max_resubscribe_delay": 1.0} | options
            if state:
                settings["get_state"] = self._state_loader(*state)
            subscription = self._client.new_subscription(
                channel, events=_SubscriptionEvents(self, channel), **settings
            )
        await subscription.subscribe()

    def _state_loader(self, method: str, data: dict[str, Any]) -> Any:
        async def load(channel: str) -> centrifuge.StreamPosition:
            reply = await self.rpc(method, data)
            if "error" in reply:
                raise RpcFailed(0, reply["error"]["code"])
            await self._tell("state", channel, reply)
            position = reply["positions"][channel]
            return centrifuge.StreamPosition(offset=position["offset"], epoch=position["epoch"])

        return load

    async def unsubscribe(self, channel: str) -> None:
        subscription = self._client.get_subscription(channel)
        assert subscription is not None, f"never subscribed to {channel}"
        await subscription.unsubscribe()
        await asyncio.sleep(0)
