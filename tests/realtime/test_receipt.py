"""A friend's share can be verified: the receipt names draw, bounds and rule; next day anybody draws it again."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.check import audit
from engine.core import commands as c
from engine.core.context import spread
from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from engine.explain import explain_ball, in_words
from engine.realtime.messages import ReceiptReply
from tests.laws.rules import bent_rules
from tests.realtime.village import Village, a_village

LESS_PCT = 40


async def receipt(village: Village, user: str, ball: str) -> dict[str, Any]:
    data = await village.served.parts.reads.receipt(int(user), int(ball))
    assert msgspec.to_builtins(msgspec.json.decode(data, type=ReceiptReply)) == json.loads(data)
    return json.loads(data)


async def take(village: Village, user: str, owner: str, ball: str) -> int:
    reply = await village.do(c.CollectEnergy(village.key(), int(user), int(owner), (int(ball),)))
    return int(reply["results"][0]["energy_g"])


async def test_what_later_friends_get_is_less_by_rule_and_can_be_drawn_again(
    database_url: str, tmp_path: Path
) -> None:
    rules = bent_rules(tmp_path, tree_g=17_900, share_less_pct=LESS_PCT)
    async with a_village(database_url, game_rules=rules) as village:
        await village.open_source()
        owner, *friends, eve = [
            await village.open_user(name) for name in ("Ann", "Bob", "Cyd", "Dan", "Fay", "Eve")
        ]
        for friend in friends:
            await village.befriend(owner, friend)
        ball = await village.ripe_ball(owner)
        taken = {friend: await take(village, friend, owner, ball) for friend in friends}
        taken[owner] = await take(village, owner, owner, ball)
        for friend in friends:
            early = await receipt(village, friend, ball)
            assert {"secret", "drawn_g", "share_g"} & early["draw"].keys() == set(), (
                "not before the day is over"
            )
            assert early["draw"]["disclosed_on"] > early["draw"]["day"]
        assert "draw" not in await receipt(village, owner, ball)
        with pytest.raises(Rejected, match="unknown_ball"):
            await receipt(village, eve, ball)
        village.clock.shift_ms += DAY_MS
        for before, friend in enumerate(friends):
            _drawn_by_hand(await receipt(village, friend, ball), friend, before, taken[friend])
        await _agree(village, ball, taken)


def _drawn_by_hand(told: dict[str, Any], friend: str, before: int, taken_g: int) -> None:
    """By the words of the receipt alone."""
    draw, bounds = told["draw"], told["bounds"]
    key, message = bytes.fromhex(draw["secret"]), f"{told['ball']}|{friend}".encode()
    number = int.from_bytes(hmac.digest(key, message, "sha256")[:8])
    drawn_g = spread(number, bounds["share_min_g"], bounds["share_max_g"])
    share_g = max(1, drawn_g * max(0, 100 - bounds["share_less_pct"] * before) // 100)
    assert (draw["before"], draw["drawn_g"], draw["share_g"]) == (before, drawn_g, share_g)
    assert (bounds["share_less_pct"], told["energy_g"]) == (LESS_PCT, taken_g)
    assert draw["cut_to_floor"] == (taken_g < share_g)
    assert len(told["rulebook"]) == 64


async def _agree(village: Village, ball: str, taken: dict[str, int]) -> None:
    """The explanation and the audit draw the same."""
    engine = village.engine
    told = await explain_ball(engine.db, engine.rules, int(ball), now=village.clock.now_ms())
    assert told is not None
    draws = {one["by"]: one["draw"] for one in told["transfers"] if "draw" in one}
    assert {user: draw["taken_g"] for user, draw in draws.items()} == {
        user: grams for user, grams in taken.items() if user in draws
    }
    assert [draw["before"] for draw in draws.values()] == [0, 1, 2, 3]
    assert any(f"less {LESS_PCT} % for each who came before" in line for line in in_words(told))
    findings = await audit(engine.db, engine.rules)
    assert (findings.counts["takes"], findings.problems) == (len(taken), {})
