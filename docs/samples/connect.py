"""A client in Python with the official SDK (pip install centrifuge-python).

    python connect.py ws://127.0.0.1:8000/connection/websocket TOKEN

Loads the forest, listens, collects every ball that is ripe, redeems a tree when the wallet allows it, and watches its
order until the partner says that it is planted. Lost connections are the SDK's business: it comes back and misses
nothing.
"""

import asyncio
import sys
import time
import uuid

from centrifuge import Client, PublicationContext, SubscriptionEventHandler


def new_key() -> str:
    """A UUIDv7. Make one for each wish and keep it for retries: the same key never has two effects."""
    time_ms, random = f"{time.time_ns() // 1_000_000:012x}", uuid.uuid4().hex
    return f"{time_ms[:8]}-{time_ms[8:]}-7{random[:3]}-a{random[3:6]}-{random[6:18]}"


class Events(SubscriptionEventHandler):
    """Hands publications to the main loop."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[dict] = asyncio.Queue()

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Facts are absolute: what a publication says replaces what was known."""
        self.news.put_nowait(ctx.pub.data)


async def main(url: str, token: str) -> None:
    """Play until a tree is planted, at most two minutes."""
    client, events = Client(url, token=token), Events()
    await client.connect()
    forest = (await client.rpc("forest.get", {})).data
    print(f"user {forest['user']} has {forest['wallet_g']} g and {len(forest['balls'])} balls")
    await client.new_subscription(f"user:{forest['user']}", events).subscribe()

    ripe = [ball["id"] for ball in forest["balls"] if ball["status"] == "ripe"][:50]
    if ripe:
        print("collected", (await client.rpc("ball.collect", {"key": new_key(), "balls": ripe})).data)

    offers = (await client.rpc("offer.catalogue", {})).data["offers"]
    affordable = [one for one in offers if one["state"] == "available"]
    if not affordable:
        least_g = min(one["energy_g"] for one in offers)
        print(f"the wallet has no energy for a tree yet; the cheapest takes {least_g} g")
        await client.disconnect()
        return
    offer = min(affordable, key=lambda one: one["energy_g"])
    print("redeemed", (await client.rpc("offer.redeem", {"key": new_key(), "offer": offer["offer"]})).data)

    async with asyncio.timeout(120):
        state = ""
        while state != "planted":
            for tree in (await events.news.get()).get("trees", []):
                state = tree["state"]
                print("tree", tree["number"], "is", state)
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
