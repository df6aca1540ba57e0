"""SQLite and PostgreSQL end in the same state after the same commands, and so does the in-memory game."""

import json
import random
from decimal import Decimal
from typing import Any

from engine.core import commands as c
from engine.core.units import DAY_MS, local_day
from tests.core.world import BEHAVIOURS, NOON, SOURCE, key, rules_with_grades
from tests.store.parts import Bench, bench

TABLES = {
    "users": "id",
    "identities": "user_id",
    "user_references": "reference",
    "balls": "id",
    "activities": "id",
    "revisions": "activity_id, revision",
    "caps": "user_id, behaviour, period",
    "occasions": "user_id, period",
    "photos": "sha256",
    "shown_days": 'user_id, "on"',
    "shown_reviews": "activity_id",
    "sources": "id",
    "links": "source, subject",
    "friends": "user_id, friend_id",
    "stocks": "programme",
    "commitments": "id",
    "trees": "id",
    "journal": "id",
}
USERS = 6
PROGRAMME = "saxaul-alxa"


async def play(game: Bench, seed: int, steps: int) -> list[str]:
    """A seeded course of the game in groups of several commands; what every command came to."""
    dice = random.Random(seed)
    told: list[str] = []
    setup: list[Any] = [c.AddSource(None, SOURCE, "City", "whsec_test", BEHAVIOURS)]
    setup += [c.AddSource(None, "gate", "Gates", "whsec_test", BEHAVIOURS)]
    setup += [c.OpenAccount(None, f"app-{n}", f"User {n}", "Asia/Shanghai") for n in range(USERS)]
    outcomes = await game.writer.submit_all(setup)
    users = [int(json.loads(outcome.data or b"")["user"]) for outcome in outcomes[2:]]
    links = [
        c.LinkSource(None, user, name, str(user), BEHAVIOURS) for user in users for name in (SOURCE, "gate")
    ]
    await game.writer.submit_all([*links, c.FundProgramme(None, PROGRAMME, "F", "CNY", 500, 5000)])
    await game.writer.submit(c.GrantStock(None, PROGRAMME, 10))
    count = 0
    for _ in range(steps):
        group = []
        for _ in range(dice.randint(1, 12)):
            count += 1
            group.append(wish(dice, users, count, game.clock.now_ms()))
        outcomes = await game.writer.submit_all(group)
        told += [
            outcome.error.code if outcome.error else (outcome.data or b"").decode() for outcome in outcomes
        ]
        game.clock.shift_ms += dice.choice([0, 1000, 70_000, DAY_MS // 3])
    return told


def wish(dice: random.Random, users: list[int], count: int, now: int) -> Any:
    """Some command, sensible or not."""
    one, other = dice.choice(users), dice.choice(users)
    act = f"act-{dice.randint(1, 40)}"
    at = NOON - dice.randint(0, 3) * DAY_MS
    photo = f"{one}{dice.randint(1, 4)}".rjust(64, "0")
    near, steps, day = dice.choice((0, 100_000)), dice.randint(0, 30_000), local_day(now, "UTC")
    wishes = [
        c.ReportActivity(SOURCE, act, str(one), "bus", Decimal(1), "ride", f"{act}{one}{at}", at=at),
        c.ReportActivity(SOURCE, act, str(one), "metro", Decimal(1), "ride", f"{act}{one}{at}m", at=at),
        c.ReportActivity(
            "gate", f"g{act}", str(one), "bus", Decimal(1), "ride", f"g{act}{one}{at}", at=at + near
        ),
        c.ReportActivity(
            SOURCE,
            f"{act}-{one}-{near}",
            str(one),
            "walking",
            Decimal(steps),
            "step",
            f"{count}",
            on=day,
            revision=count,
        ),
        c.ReverseActivity(SOURCE, act),
        c.ReverseActivity("gate", f"g{act}"),
        c.KeepPhoto(one, photo, photo, 4, 3, f"{dice.randint(0, 3):016x}", (photo,) * dice.randint(0, 1)),
        c.SubmitActivity(key(count), one, "bus", Decimal(1), "ride", photo, at=at + 4 * near),
        c.ReviewActivity(None, dice.randint(1, 60), dice.random() < 0.5, "Ana"),
        c.RequestFriend(key(count), one, other),
        c.AnswerFriend(key(count), one, other),
        c.RemoveFriend(key(count), one, other),
        c.BlockUser(key(count), one, other, dice.random() < 0.5),
        c.CollectEnergy(key(count), one, other, tuple(sorted({dice.randint(1, 90) for _ in range(20)}))),
        c.CollectEnergy(key(count), one, one, tuple(sorted({dice.randint(1, 90) for _ in range(30)}))),
        c.CollectEnergy(key(max(1, count - 3)), one, one, (1, 2)),
        c.BookExpiry(tuple((ball, one) for ball in range(1, 60))),
        c.RedeemOffer(key(count), one, PROGRAMME),
        c.ChangeAccount(None, one, display_name=f"Name {count}", zone=dice.choice(["Asia/Tokyo", "UTC"])),
    ]
    return dice.choice(wishes)


async def test_both_databases_agree(tmp_path: Any, postgres_url: str) -> None:
    outcomes, states, items = [], [], []
    for url in (f"sqlite:///{tmp_path}/game.db", postgres_url):
        async with bench(url, rules_with_grades) as game:
            outcomes.append(await play(game, seed=7, steps=120))
            states.append({table: await game.rows(table, order) for table, order in TABLES.items()})
            items.append(game.heard.items)
    assert outcomes[0] == outcomes[1]
    for table in TABLES:
        assert states[0][table] == states[1][table], table
    assert items[0] == items[1]
    kinds = {row[2] for row in states[0]["journal"]}
    played = {"KeepPhoto", "SubmitActivity", "ReviewActivity"}
    played |= {
        "ReportActivity",
        "ReverseActivity",
        "CollectEnergy",
        "BookExpiry",
        "BlockUser",
        "AnswerFriend",
    }
    assert played <= kinds, "the course must reach every part of the game"
    moves = "".join(row[6] for row in states[0]["journal"])
    assert "excluded:" in moves and "restored:" in moves


async def test_a_cache_between_groups_changes_nothing(tmp_path: Any) -> None:
    """The SQLite writer keeps rows between groups; forgetting them at any time gives the same course."""
    states = []
    for forgets in (False, True):
        async with bench(f"sqlite:///{tmp_path}/{forgets}.db", rules_with_grades) as game:
            if forgets:
                original = game.writer._state

                def fresh(original: Any = original, writer: Any = game.writer) -> Any:
                    writer._cache = None
                    return original()

                game.writer._state = fresh  # type: ignore[method-assign]
            await play(game, seed=11, steps=80)
            states.append({table: await game.rows(table, order) for table, order in TABLES.items()})
    assert states[0] == states[1]
