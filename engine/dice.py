"""Draws that can be checked later: a keyed hash of ball and collector under the secret of the day."""

import hmac
import secrets
from collections.abc import Callable
from datetime import timedelta

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
        secret = self._secrets[local_day(now, "UTC").isoformat()]
        return lambda ball, collector: draw(secret, ball, collector)


def draw(secret: bytes, ball: int, collector: int) -> int:
    """The number below 2**64 that decides this collector's share of this ball."""
    return int.from_bytes(hmac.digest(secret, b"%d|%d" % (ball, collector), "sha256")[:8])
