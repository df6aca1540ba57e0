"""Acts that exclude each other inside a shard: tables, audited books and rows agree, and nothing is kept for ever."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, HOUR_MS, local_instant
from engine.rulebook import shipped_rules
from engine.simulate import tally as t
from engine.simulate.days import Item, Look, Report
from engine.simulate.people import Person
from engine.simulate.population import Act, OtherActs
from engine.simulate.replay import RealDays, _as_sent
from engine.simulate.shard import Shard
from engine.simulate.typical import typical_reports
from tests.simulate.small import rulebook, simulated

START = date(2026, 1, 1)
MIDNIGHT = local_instant(START, 0, "UTC")
DAYS = 8


def report(
    behaviour: str, quantity: int, number: int, source: str, revision: int | None = None, **about: str
) -> Report:
    evidence = about.pop("evidence", None)
    return Report(
        behaviour,
        Decimal(quantity),
        number,
        revision,
        about,
        evidence=evidence,
        source=source,
        name=f"{behaviour}-{source}-{number}",
    )


def lived(things: list[tuple[int, Report | Look]], rules: RuleBook | None = None) -> tuple[t.Tally, Shard]:
    """One person's week: things by the hour in which they happen. The books were audited."""
    person = Person(1, "here", "", None, [], 1.0, 1, 0, 0, 0.0, 0.0, 0.0, [])
    book = rules or rulebook()
    days = RealDays([person], START, "UTC", frozenset(book.behaviours))
    days.sources[1] = {what.source for _, what in things if isinstance(what, Report) and what.source}
    for order, (hour, what) in enumerate(things):
        at = MIDNIGHT + hour * HOUR_MS
        days.items.setdefault((at - MIDNIGHT) // DAY_MS, []).append(Item(at, order, person, what))
    shard = Shard(book, days, b"dice", "UTC")
    for day in range(DAYS):
        shard.run_day(day)
    shard.redeem(None, {})
    return shard.finish(), shard


def agrees(tally: t.Tally) -> None:
    accounts, [user] = tally.accounts, tally.users
    assert accounts["issued"] == tally.total(t.ISSUED)
    assert accounts["reversed"] == tally.total(t.REVERSED)
    assert accounts["expired"] == tally.total(t.EXPIRED)
    assert accounts["wallet"] == tally.total(t.BY_OWNER)
    assert tally.total(t.AVOIDED_MG) == user.avoided_mg
    for column in (t.ISSUED, t.REVERSED, t.EXPIRED, t.AVOIDED_MG, t.BALLS):
        assert tally.total(column) == sum(row[column] for row in tally.behaviours.values())
    assert not tally.refused


def nothing_is_kept(shard: Shard) -> None:
    shelves = shard._world.shelves
    for name in ("activities", "revisions", "occasions", "balls"):
        assert not shelves[name], name
    assert not any(shard._forests.values())


def test_of_two_watches_the_greater_total_counts() -> None:
    first, second = report("walking", 5_000, 10, "phone", 1), report("walking", 9_000, 20, "band", 1)
    tally, shard = lived([(20, first), (21, second)])
    alone, _ = lived([(21, second)])
    agrees(tally)
    row, best = tally.behaviours["walking"], alone.behaviours["walking"]
    assert (row[t.ISSUED] - row[t.REVERSED], row[t.AVOIDED_MG]) == (best[t.ISSUED], best[t.AVOIDED_MG])
    assert row[t.REVERSED] > 0
    assert row[t.BALLS] == 2
    nothing_is_kept(shard)


def test_what_is_restored_is_collected_from_its_new_ball() -> None:
    small, great = report("walking", 5_000, 10, "phone", 1), report("walking", 9_000, 20, "band", 1)
    less = great._replace(quantity=Decimal(1_000), revision=2)
    tally, shard = lived([(19, small), (20, great), (21, less), (40, Look((), False))])
    alone, _ = lived([(19, small), (40, Look((), False))])
    agrees(tally)
    row, best = tally.behaviours["walking"], alone.behaviours["walking"]
    assert row[t.AVOIDED_MG] == best[t.AVOIDED_MG]
    assert row[t.BY_OWNER] == best[t.BY_OWNER] > 0
    assert row[t.ISSUED] - row[t.REVERSED] == row[t.BY_OWNER]
    assert row[t.BALLS] == 2
    nothing_is_kept(shard)


def test_one_that_never_had_a_ball_gets_its_first_when_it_is_restored() -> None:
    great, small = report("walking", 9_000, 10, "band", 1), report("walking", 5_000, 20, "phone", 1)
    less = great._replace(quantity=Decimal(0), revision=2)
    tally, shard = lived([(19, great), (20, small), (21, less)])
    alone, _ = lived([(20, small)])
    agrees(tally)
    row, best = tally.behaviours["walking"], alone.behaviours["walking"]
    assert row[t.EXPIRED] == best[t.EXPIRED] == row[t.ISSUED] - row[t.REVERSED] > 0
    assert row[t.BALLS] == 2
    nothing_is_kept(shard)


def test_the_better_evidence_takes_its_place() -> None:
    shown = report("car-free-day", 1, 10, "app", engine="up-to-1.6l", evidence="odometer-photos")
    told = report("car-free-day", 1, 20, "maker", engine="up-to-1.6l", evidence="telematics-record")
    tally, shard = lived([(20, shown), (20, told)])
    agrees(tally)
    row = tally.behaviours["car-free-day"]
    assert (row[t.ISSUED], row[t.REVERSED], row[t.EXPIRED]) == (1_000, 500, 500)
    assert row[t.AVOIDED_MG] == 1_416_492
    nothing_is_kept(shard)


def test_acts_of_a_month_are_compared_until_it_is_over() -> None:
    """A ball that was spent long ago makes room in what its successor is given, and no gram is lost or made twice."""
    typical = typical_reports(shipped_rules())
    saved, bought = (
        report(name, 1, number, source)._replace(
            quantity=typical[name].quantity, attributes=typical[name].attributes
        )
        for name, number, source in (("power-saving", 10, "grid"), ("efficient-appliance", 20, "shop"))
    )
    tally, shard = lived([(10, saved), (80, Look((), False)), (182, bought)])
    agrees(tally)
    assert tally.behaviours["power-saving"][t.BY_OWNER] == 200
    assert tally.behaviours["efficient-appliance"][t.ISSUED] == 0  # the first that was accepted counts
    kept = shard._world.shelves
    assert (len(kept["activities"]), len(kept["balls"]), len(kept["occasions"])) == (2, 1, 1)


def test_months_that_are_over_are_dropped() -> None:
    sizes: list[int] = []
    run_day = Shard.run_day

    def measured(shard: Shard, number: int) -> object:
        result = run_day(shard, number)
        rows = shard._world.shelves["occasions"]
        sizes.append(sum(len(row.acts) for key, row in rows.items() if len(key[1]) == len("2026-01")))
        return result

    often = OtherActs.model_construct(share=1, per_day=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shard, "run_day", measured)
        tally = simulated(None, users=20, days=70, acts={}, other_acts=often)
    assert max(sizes) == max(sizes[:40]) > 20
    assert sizes[62] < sizes[58]  # the second of March: January and February are over
    assert not tally.refused


@pytest.mark.parametrize(
    ("kept", "sent"),
    [
        ("phone", "phone"),
        (["300", "310.5"], "300 310.5"),
        ([["bus", "3.2"], ["metro", "8"]], "bus:3.2 metro:8"),
    ],
)
def test_attributes_of_a_trace_are_sent_again(kept: object, sent: str) -> None:
    assert _as_sent(kept) == sent


@pytest.mark.parametrize("accounts", [0, 1, 3])
def test_bills_of_one_account_earn_once_a_month(accounts: int) -> None:
    bill = Act.model_construct(
        share=1, per_day=1, quantity=None, attributes={}, evidence=None, accounts=accounts,
        from_min=600, to_min=900, reports=1,
    )  # fmt: skip
    tally = simulated(users=5, days=31, acts={"utility-bill-online": bill}, other_acts=None)
    earned = tally.behaviours["utility-bill-online"][t.BALLS]
    caps = rulebook().behaviours["utility-bill-online"].on(START).caps  # type: ignore[union-attr]
    assert caps.month_count is not None
    assert earned == 5 * (min(accounts, caps.month_count) or caps.month_count)
    assert not tally.refused
