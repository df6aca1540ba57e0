"""Draws that can be checked later: a keyed hash of ball and collector under the secret of the day."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from engine.core.units import local_day
from engine.store.database import Database

SECRET_BYTES = 32


class Dice:
    """Keeps the secrets of the days around now; each day's is made once, in the database."""

    def __init__(self) -> None:
        self._secrets: dict[str, bytes] = {}

    async def prepare(self, db: Database, now: int) -> None:
        """Have the secrets of yesterday to tomorrow at hand, so that a group never waits for one."""
        today = local_day(now, "UTC")
        days = [(today + timedelta(days=shift)).isoformat() for shift in (-1, 0, 1)]
        if all(day in self._secrets for day in days):
            return
        insert = 'INSERT INTO day_secrets ("on", secret) VALUES (?, ?) ON CONFLICT DO NOTHING'
        async with db.write() as tx:
            for day in days:
                await tx.execute(insert, day, secrets.token_hex(SECRET_BYTES))
            rows = await tx.fetch('SELECT "on", secret FROM day_secrets WHERE "on" IN ?', days)
        self._secrets = {day: bytes.fromhex(secret) for day, secret in rows}

    def of_day(self, now: int) -> Callable[[int, int], int]:
        """The draw for (ball, collector) on the day of `now`. Raises KeyError if the day was not prepared."""
        return drawing(self._secrets[local_day(now, "UTC").isoformat()])


@lru_cache(maxsize=16)
def drawing(secret: bytes) -> Callable[[int, int], int]:
    """The draw under a secret: of (ball, collector), the number below 2**64 that decides the collector's share.

    It is HMAC-SHA-256, the two blocks of the key hashed once: `hmac.digest` does that anew for every draw and takes
    twice as long.
    """
    block = secret.ljust(hashlib.sha256().block_size, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))

    def draw(ball: int, collector: int) -> int:
        inside, outside = inner.copy(), outer.copy()
        inside.update(b"%d|%d" % (ball, collector))
        outside.update(inside.digest())
        return int.from_bytes(outside.digest()[:8])

    return draw
