"""What became of funders' money: commitments, what is held, owed and paid, and trees by state; all from events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.store.database import Reader
from partners.store.counters import counters

COMMITMENTS_MAX = 10_000


@dataclass(slots=True)
class Commitment:
    """One commitment of a funder, with its balances; amounts in minor units of its currency."""

    id: int
    funder: str
    programme: str
    currency: str
    amount_minor: int
    left_minor: int
    trees: Counter[str] = field(default_factory=Counter)
    balances: Counter[str] = field(default_factory=Counter)


async def report(reader: Reader, funder: str | None = None) -> list[dict[str, Any]]:
    """A funder (or all) by programme and currency: set aside, spent, trees by state, cost of a tree that stands.

    Costs are the money that left for the partner over trees verified, and over trees alive by the programme's last
    counts; None where there is none yet. Rounded half up to a minor unit.
    """
    commitments = await _commitments(reader, funder)
    rates = await _rates(reader)
    groups: dict[tuple[str, str, str], list[Commitment]] = defaultdict(list)
    for one in commitments:
        groups[one.funder, one.programme, one.currency].append(one)
    return [_told(key, found, rates.get(key[1])) for key, found in sorted(groups.items())]


async def by_commitment(reader: Reader, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The same figures for single commitments, by id."""
    if not numbers:
        return {}
    wanted, rates = set(numbers), await _rates(reader)
    return {
        one.id: _told((one.funder, one.programme, one.currency), [one], rates.get(one.programme))
        for one in await _commitments(reader, None)
        if one.id in wanted
    }


async def _rates(reader: Reader) -> dict[str, tuple[int, int]]:
    """(trees alive, of trees) by programme, where living trees were counted."""
    return {
        name: (found.alive.trees, found.alive.of_trees)
        for name, found in (await counters(reader)).items()
        if found.alive is not None
    }


def _told(
    key: tuple[str, str, str], found: list[Commitment], alive: tuple[int, int] | None
) -> dict[str, Any]:
    trees = sum((one.trees for one in found), Counter[str]())
    balances = sum((one.balances for one in found), Counter[str]())
    verified = trees["verified"] + trees["established"]
    spent = balances["cost"]
    living = verified * alive[0] // alive[1] if alive and alive[1] else None
    return {
        "funder": key[0],
        "programme": key[1],
        "currency": key[2],
        "commitments": len(found),
        "committed_minor": sum(one.amount_minor for one in found),
        "not_set_aside_minor": sum(one.left_minor for one in found),
        "held_minor": balances["held"],
        "with_partners_minor": spent,
        "paid_minor": balances["paid"],
        "owed_back_minor": balances["owed"],
        "lost_minor": balances["lost"],
        "trees": dict(sorted(trees.items())),
        "verified": verified,
        "alive": living,
        "cost_per_verified_minor": _each(spent, verified),
        "cost_per_living_minor": _each(spent, living or 0),
    }


def _each(amount: int, trees: int) -> int | None:
    return (2 * amount + trees) // (2 * trees) if trees else None


async def _commitments(reader: Reader, funder: str | None) -> list[Commitment]:
    where, params = ("WHERE funder = ?", (funder,)) if funder is not None else ("", ())
    rows = await reader.fetch(
        f"""SELECT id, funder, programme, currency, amount_minor, left_minor FROM commitments {where}
            ORDER BY id LIMIT {COMMITMENTS_MAX}""",
        *params,
    )
    found = {row[0]: Commitment(*row) for row in rows}
    trees = await reader.fetch(
        "SELECT commitment_id, state, count(*) FROM trees GROUP BY commitment_id, state"
    )
    for commitment, state, count in trees:
        if commitment in found:
            found[commitment].trees[state] = count
    # in the funder's currency: of what left, the share of each account (all of it where the currencies are one)
    funds = await reader.fetch(
        """SELECT commitment_id, held_minor, cost_minor, paid_minor, owed_minor, lost_minor,
                  committed_minor + payable_minor + paid_minor + owed_minor + lost_minor FROM order_funds"""
    )
    for commitment, held, cost, paid, owed, lost, backed in funds:
        if commitment in found:
            parts = {"paid": paid, "owed": owed, "lost": lost}
            shares = {name: cost * part // backed for name, part in parts.items()} if backed else {}
            found[commitment].balances.update({"held": held, "cost": cost, **shares})
    return list(found.values())
