"""Keys, caps, friends, channels, trees and what pays for them: rows that must agree with each other."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from engine.check.findings import Findings, Progress
from engine.check.journal import BATCH_ROWS
from engine.check.scratch import Scratch
from engine.core.caps import limits_of
from engine.core.numbers import tree_number
from engine.core.rules import Behaviour, RuleBook
from engine.store.database import Reader


async def check_keys(view: Reader, findings: Findings) -> None:
    """An idempotency key is bound to one command."""
    findings.laws.append("An idempotency key stands in one journal row.")
    sql = (
        "SELECT key, count(*) FROM journal WHERE key IS NOT NULL GROUP BY key"
        " HAVING count(*) > 1 ORDER BY key LIMIT 100"
    )
    for key, times in await view.fetch(sql):
        findings.tell("key_twice", f"key {key}", f"expected one journal row, found {times}")


async def check_users(view: Reader, scratch: Scratch, findings: Findings, progress: Progress) -> None:
    """Positions of channels and counts of friends."""
    findings.laws.append("Both of two friends know of it, and accounts count their friends right.")
    sql = (
        "SELECT u.id, u.user_pos, u.forest_pos, u.friend_count, (SELECT count(*) FROM friends f"
        " WHERE f.user_id = u.id AND f.state = 'friends') FROM users u WHERE u.id > ? ORDER BY u.id LIMIT ?"
    )
    after = -1
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        for user, user_pos, forest_pos, friend_count, friends in rows:
            place = f"user {user}"
            for channel, stored in (("user", user_pos), ("forest", forest_pos)):
                last = scratch.one("SELECT last FROM offsets WHERE channel = ? AND ref = ?", channel, user)
                published = last[0] if last else 0
                findings.expect("position", place, f"{channel}_pos, by its publications", published, stored)
            findings.expect("friend_count", place, "friend_count, by its friends", friends, friend_count)
        after = rows[-1][0]
        findings.counts["users"] += len(rows)
        progress("users", findings.counts["users"], 0)
    await _find_half_friends(view, findings)


async def _find_half_friends(view: Reader, findings: Findings) -> None:
    sql = (
        "SELECT a.user_id, a.friend_id FROM friends a"
        " LEFT JOIN friends b ON b.user_id = a.friend_id AND b.friend_id = a.user_id AND b.state = 'friends'"
        " WHERE a.state = 'friends' AND b.user_id IS NULL LIMIT 100"
    )
    for user, friend in await view.fetch(sql):
        findings.tell(
            "half_friends", f"users {user} and {friend}", f"expected user {friend} to know of it too"
        )


# --- caps -------------------------------------------------------------------------------------------


_ONE_USE = "WHERE user = ? AND behaviour = ? AND period = ?"


async def check_caps(
    view: Reader, scratch: Scratch, books: Sequence[RuleBook], findings: Findings, progress: Progress
) -> None:
    """What is used of caps is what activities hold, and never above the highest limit that was in force for anybody."""
    findings.laws.append(
        "What is used of a cap is what the activities of its period hold, and never above its limit."
    )
    sql = (
        "SELECT user_id, behaviour, period, used_g, used_count, acts FROM caps"
        " WHERE (user_id, behaviour, period) > (?, ?, ?) ORDER BY user_id, behaviour, period LIMIT ?"
    )
    after: tuple[Any, ...] = (-1, "", "")
    while rows := await view.fetch(sql, *after, BATCH_ROWS):
        for row in rows:
            _check_cap(row, scratch, books, findings)
        scratch.add(f"DELETE FROM uses {_ONE_USE}", [row[:3] for row in rows])
        after = tuple(rows[-1][:3])
        findings.counts["caps"] += len(rows)
        progress("caps", findings.counts["caps"], 0)
    for user, behaviour, period, energy_g in scratch.rows(
        "SELECT user, behaviour, period, energy_g FROM uses"
    ):
        place = f"cap of user {user}, {behaviour}, {period}"
        findings.tell("cap_use", place, f"activities hold {energy_g} g; expected a row that says so")


def _check_cap(row: tuple[Any, ...], scratch: Scratch, books: Sequence[RuleBook], findings: Findings) -> None:
    user, behaviour, period, used_g, used_count, acts_text = row
    place = f"cap of user {user}, {behaviour}, {period}"
    acts: list[int] = msgspec.json.decode(acts_text)
    where = "WHERE user = ? AND behaviour = ? AND period = ?"
    found = scratch.one(f"SELECT energy_g, count, ids FROM uses {where}", user, behaviour, period) or (
        0,
        0,
        0,
    )
    scratch.add(f"DELETE FROM uses {where}", [(user, behaviour, period)])
    findings.expect("cap_use", place, "used_g, by its activities", found[0], used_g)
    findings.expect("cap_use", place, "used_count, by its activities", found[1], used_count)
    findings.expect("cap_use", place, "activities named (sum of ids)", found[2], sum(acts))
    rules = [book.behaviours[behaviour] for book in books if behaviour in book.behaviours]
    if not rules:
        findings.counts["caps of behaviours that the rulebook has no more"] += 1
        return
    limits = [_limits(rule, period) for rule in rules]
    limit_g, limit_count = (_highest([limit[place] for limit in limits]) for place in (0, 1))
    if limit_g is not None and used_g > limit_g:
        findings.tell("cap_exceeded", place, f"used_g: expected at most {limit_g}, found {used_g}")
    if limit_count is not None and used_count > limit_count:
        findings.tell(
            "cap_exceeded", place, f"used_count: expected at most {limit_count}, found {used_count}"
        )


def _limits(rule: Behaviour, period: str) -> tuple[int | None, int | None]:
    """(grams, acts) that a period admits; where a limit changed within it, the highest counts."""
    named = period.partition("/")[0]
    first = date.fromisoformat(f"{named}-01-01"[: len("2026-11-01")])
    days = [first] if named == first.isoformat() else [first + timedelta(days=shift) for shift in range(366)]
    caps = [
        limits_of(in_force.caps, period)
        for day in days
        if day.isoformat().startswith(named) and (in_force := rule.on(day)) is not None
    ]
    return _highest([grams for _, grams, _ in caps]), _highest([count for _, _, count in caps])


def _highest(limits: list[int | None]) -> int | None:
    """The highest limit; None where any day has none."""
    known = [limit for limit in limits if limit is not None]
    return max(known) if known and len(known) == len(limits) else None


# --- trees ------------------------------------------------------------------------------------------


# A tree whose claim was written down after planting stays paid for; only energy that came back undoes a redemption.
_PAID = "(state <> 'withdrawn' OR note LIKE 'withdrawn:%')"


async def check_trees(view: Reader, findings: Findings) -> None:
    """Redeemed trees, what was sold, what paid for them."""
    findings.laws += [
        "Redeemed trees whose energy did not come back = sold = trees, one energy price each; each has its own number.",
        "Stock and sold trees are covered by funding, and each tree is paid by one commitment at its price.",
    ]
    sql = f"SELECT programme, count(*) FROM trees WHERE {_PAID} GROUP BY programme"
    per_programme = {programme: int(count) for programme, count in await view.fetch(sql)}
    covered = await _check_commitments(view, findings)
    rows = await view.fetch("SELECT programme, stock, sold, covered FROM stocks ORDER BY programme")
    for programme, stock, sold, stored in rows:
        place = f"programme {programme}"
        findings.expect("trees_sold", place, "sold, by its trees", per_programme.pop(programme, 0), sold)
        findings.expect("covered", place, "covered, by commitments", covered.get(programme, 0), stored)
        if stock + sold > covered.get(programme, 0):
            most = covered.get(programme, 0)
            findings.tell(
                "over_funding", place, f"stock + sold: expected at most {most}, found {stock + sold}"
            )
    for programme, count in per_programme.items():
        findings.tell("trees_sold", f"programme {programme}", f"{count} trees; expected a stock row")
    await _check_numbers(view, findings)


async def _check_commitments(view: Reader, findings: Findings) -> dict[str, int]:
    """Each commitment has paid for its trees and nothing else; returns how many trees they cover."""
    sql = f"SELECT commitment_id, count(*) FROM trees WHERE {_PAID} GROUP BY commitment_id"
    paid = dict(await view.fetch(sql))
    sql = "SELECT id, programme, unit_price_minor, amount_minor, left_minor FROM commitments ORDER BY id"
    covered: dict[str, int] = {}
    for commitment, programme, price, amount, left in await view.fetch(sql):
        trees = int(paid.pop(commitment, 0))
        place = f"commitment {commitment}"
        findings.expect("commitment_left", place, "left_minor, by its trees", amount - trees * price, left)
        covered[programme] = covered.get(programme, 0) + amount // price
        findings.counts["commitments"] += 1
    for commitment, trees in paid.items():
        findings.tell(
            "commitment_missing", f"commitment {commitment}", f"pays for {trees} trees; expected a row"
        )
    return covered


async def _check_numbers(view: Reader, findings: Findings) -> None:
    after, energy_g = -1, 0
    sql = f"SELECT id, number, CASE WHEN {_PAID} THEN energy_g ELSE 0 END FROM trees WHERE id > ? ORDER BY id LIMIT ?"
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        for tree, number, price_g in rows:
            energy_g += price_g
            findings.expect("tree_number", f"tree {tree}", "number", tree_number(tree), number)
        after = rows[-1][0]
        findings.counts["trees"] += len(rows)
    redeemed = findings.totals_of("redeemed", "energy").by_transfers
    findings.expect(
        "redeemed_energy", "account redeemed", "grams, by the prices of its trees", energy_g, redeemed
    )
