"""A village made in an empty database by commands alone, before a server opens it: friends and ripe balls."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from engine.clock import Clock
from engine.core import commands as c
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from engine.main import open_engine
from engine.settings import Settings
from tests.support.server import new_key

SPACING_MS = 6 * MINUTE_MS  # rides nearer to each other are one
SOURCE = "city"
BEHAVIOURS = ("bus", "metro", "e-invoice")


@dataclass
class Village:
    """Users, everybody a friend of everybody, and the balls of each user's forest."""

    users: list[int]
    balls: dict[int, list[int]]


async def make_village(database_url: str, users: int, rides: int, ripe_for_h: int = 1) -> Village:
    """Each user has `rides` bus and as many metro balls (at most 5 a day), ripe for so many hours."""
    clock = Clock(shift_ms=-(24 + ripe_for_h) * HOUR_MS)
    async with open_engine(Settings(database_url=database_url, _env_file=None), clock) as engine:
        submit = engine.writer.submit_all
        await submit([c.AddSource(None, SOURCE, "City", "whsec_" + "A" * 32, BEHAVIOURS)])
        opened = await submit(
            [c.OpenAccount(None, None, f"Villager {n}", "Asia/Shanghai") for n in range(users)]
        )
        ids = [int(json.loads(outcome.data or b"")["user"]) for outcome in opened]
        await submit([c.LinkSource(None, user, SOURCE, str(user), BEHAVIOURS) for user in ids])
        pairs = [(one, other) for place, one in enumerate(ids) for other in ids[:place]]
        await submit([c.RequestFriend(new_key(), one, other) for one, other in pairs])
        await submit([c.AnswerFriend(new_key(), other, one) for one, other in pairs])
        reports = [
            c.ReportActivity(
                SOURCE,
                f"{behaviour}-{user}-{ride}",
                str(user),
                behaviour,
                Decimal(1),
                "ride",
                "ride",
                at=clock.now_ms() - (ride // 5) * DAY_MS - (2 * (ride % 5) + place) * SPACING_MS,
            )
            for user in ids
            for place, behaviour in enumerate(("bus", "metro"))
            for ride in range(rides)
        ]
        replies = [json.loads(outcome.data or b"") for outcome in await submit(reports)]
        balls: dict[int, list[int]] = {user: [] for user in ids}
        for report, reply in zip(reports, replies, strict=True):
            balls[int(report.subject)].append(int(reply["ball"]))
    return Village(ids, balls)


def sqlite_in(folder: Path) -> str:
    """Address of a SQLite file in the folder."""
    return f"sqlite:///{folder / 'village.db'}"
