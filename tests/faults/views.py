"""What an official SDK told its application, made into a View; and whether it missed or repeated anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.laws.model import Facts, View
from tests.support.raw_socket import RawSocket
from tests.support.sdk import SdkClient
from tests.support.server import Server


class SdkView:
    """One client that watches its own account and forests of friends, each loaded by the SDK's own getState."""

    def __init__(self, client: SdkClient, user: str, watched: Iterable[str] = ()) -> None:
        self.client, self.user, self.watched = client, user, list(watched)
        self.channels = {f"user:{user}": {}} | {f"forest:{owner}": {"user": owner} for owner in self.watched}

    async def open(self) -> SdkView:
        """Connect and subscribe to everything."""
        await self.client.connect()
        for channel, data in self.channels.items():
            await self.client.subscribe(channel, state=("forest.get", data))
        return self

    def view(self) -> View:
        """All that was told, applied in order. Asserts that offsets have no gap and no repeat."""
        view = View(self.user)
        at: dict[str, int] = {}
        for told in self.client.log:
            channel = told.channel or ""
            if told.kind == "state":
                view.load_forest(told.detail)
                at[channel] = told.detail["positions"][channel]["offset"]
            elif told.kind == "publication" and "offset" in told.detail and told.detail["offset"]:
                assert told.detail["offset"] == at[channel] + 1, (
                    f"{channel}: {told.detail['offset']} after {at}"
                )
                at[channel] += 1
                view.apply(channel, told.detail["data"])
        self.positions = at
        return view

    async def assert_equal(self, server: Server, within_s: float = 20) -> None:
        """Wait until it has come as far as a fresh snapshot, then compare."""
        ends_at = asyncio.get_running_loop().time() + within_s
        while True:
            fresh = await load_fresh(server, self.user, self.watched)
            view = self.view()
            heads = {
                channel: position["offset"]
                for forest in fresh.values()
                for channel, position in forest["positions"].items()
                if channel in self.channels
            }
            if self.positions == heads:
                break
            assert asyncio.get_running_loop().time() < ends_at, f"{self.positions} is not {heads}"
            await asyncio.sleep(0.1)
        for owner, forest in fresh.items():
            assert view.forest(owner, forest["now"]) == {ball["id"]: ball for ball in forest["balls"]}
        own = fresh[self.user]
        assert view.amounts == {name: own[name] for name in view.amounts}


async def load_fresh(server: Server, user: str, watched: Iterable[str]) -> dict[str, Facts]:
    """forest.get of the user's own forest and of friends', past every proxy."""
    async with RawSocket(server.socket_url) as socket:
        await socket.ask({"id": 1, "connect": {"token": server.token(user)}})
        found: dict[str, Facts] = {}
        for number, owner in enumerate((user, *watched), 2):
            reply = await socket.ask(
                {"id": number, "rpc": {"method": "forest.get", "data": {"user": owner}}}, 15
            )
            found[owner] = reply["rpc"]["data"]
    return found
