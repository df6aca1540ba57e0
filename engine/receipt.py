"""The receipt of a take: who took what from which ball, by which bounds and rule, and how it can be verified.

What a friend gets is drawn by a keyed hash. The key is a secret of the day, told when the day is over: then anybody
can draw again. The reply to a collect stays small; this is read when somebody wants to know. Knows the store and the
core; must not know who is connected.
"""

from datetime import timedelta
from typing import Any

import msgspec

from engine import dice
from engine.core.context import spread
from engine.core.energy import friends_share_g
from engine.core.errors import Rejected
from engine.core.state import Ball
from engine.core.units import local_day, rfc3339
from engine.store import queries
from engine.store.database import Reader

DRAWN_BY = "HMAC-SHA-256(secret, ball|user), its first 8 bytes mapped evenly into share_min_g to share_max_g"


async def receipt(view: Reader, user: int, ball_id: int, now: int) -> dict[str, Any]:
    """The user's own take from the ball. Raises Rejected(unknown_ball) where there is none: nothing else is told."""
    ball = await queries.ball(view, ball_id)
    takes = [] if ball is None else [taker for taker in ball.takers if taker[0] == user]
    if ball is None or not takes:
        raise Rejected("unknown_ball")
    [(_, energy_g, key)] = takes
    [(at,)] = await view.fetch('SELECT "at" FROM journal WHERE key = ?', key)
    facts: dict[str, Any] = {
        "ball": str(ball.id),
        "owner": str(ball.owner),
        "energy_g": energy_g,
        "key": key,
        "at": rfc3339(at),
        "now": rfc3339(now),
        "rulebook": await _rulebook(view, ball.id),
    }
    if user != ball.owner:
        facts["bounds"] = {
            "full_g": ball.full_g,
            "floor_g": ball.floor_g,
            "share_min_g": ball.share_min_g,
            "share_max_g": ball.share_max_g,
            "share_less_pct": ball.share_less_pct,
        }
        facts["draw"] = await _draw(view, ball, user, energy_g, at, now)
    return facts


async def _rulebook(view: Reader, activity: int) -> str:
    """The hash of the rulebook that made the ball; empty where it was not kept."""
    rows = await view.fetch("SELECT trace FROM activities WHERE id = ?", activity)
    trace = msgspec.json.decode(rows[0][0]) if rows else {}
    return str(trace.get("rules", ""))


async def _draw(view: Reader, ball: Ball, user: int, energy_g: int, at: int, now: int) -> dict[str, Any]:
    """How the share came about; what gives the secret away only when its day (UTC) is over."""
    day = local_day(at, "UTC")
    friends = [taker[0] for taker in ball.takers if taker[0] != ball.owner]
    facts: dict[str, Any] = {"by": DRAWN_BY, "day": day.isoformat(), "before": friends.index(user)}
    if local_day(now, "UTC") <= day:
        facts["disclosed_on"] = (day + timedelta(days=1)).isoformat()
        return facts
    [(secret,)] = await view.fetch('SELECT secret FROM day_secrets WHERE "on" = ?', day.isoformat())
    number = dice.drawing(bytes.fromhex(secret))(ball.id, user)
    share_g = friends_share_g(ball, number, facts["before"])
    return facts | {
        "secret": secret,
        "drawn_g": spread(number, ball.share_min_g, ball.share_max_g),
        "share_g": share_g,
        "cut_to_floor": energy_g < share_g,
    }
