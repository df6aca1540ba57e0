"""The outbox: what is sent once, what may be repeated, what waits for a person."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.errors import Rejected
from engine.core.units import DAY_MS, SECOND_MS
from partners.core import commands as c
from partners.core.model import PartnerReport, PartnerTerms
from tests.partners.world import World, terms

LEASE_MS = 60_000


def with_order(resendable: bool = False) -> tuple[World, str]:
    world = World(terms(agreed=PartnerTerms("elm", resendable=resendable)))
    world.pledge(3)
    return world, f"submit:{world.formed()}"


def claim(world: World, name: str, relay: str = "one") -> list[Any]:
    claimed: Any = world.run(c.ClaimDeliveries(None, relay, LEASE_MS, (name,))).reply["claimed"]
    return claimed


def settle(world: World, name: str, outcome: str, relay: str = "one", **fields: Any) -> str:
    return str(world.run(c.SettleDelivery(None, name, relay, outcome, **fields)).reply["state"])


def test_one_relay_gets_it() -> None:
    world, name = with_order()
    assert claim(world, name, "one")[0]["mode"] == "send"
    assert claim(world, name, "two") == []


def test_claiming_what_is_not_there_gets_nothing() -> None:
    world, _ = with_order()
    assert claim(world, "submit:999") == []


@pytest.mark.parametrize(("resendable", "mode"), [(False, "read"), (True, "send")])
def test_a_relay_that_died_while_sending(resendable: bool, mode: str) -> None:
    world, name = with_order(resendable)
    claim(world, name, "one")
    world.now += LEASE_MS
    assert claim(world, name, "two")[0]["mode"] == mode


@pytest.mark.parametrize(
    ("resendable", "state", "mode"), [(False, "unknown", "read"), (True, "waiting", "send")]
)
def test_a_timeout(resendable: bool, state: str, mode: str) -> None:
    world, name = with_order(resendable)
    claim(world, name)
    assert settle(world, name, "unknown", answer="timeout") == state
    world.now += DAY_MS
    assert claim(world, name)[0]["mode"] == mode


def test_what_surely_had_no_effect_is_sent_again_after_a_wait() -> None:
    world, name = with_order()
    claim(world, name)
    assert settle(world, name, "failed", answer="connection refused") == "waiting"
    assert claim(world, name) == []
    world.now += 5 * SECOND_MS
    assert claim(world, name)[0]["mode"] == "send"


def test_the_partner_may_ask_for_more_time() -> None:
    world, name = with_order()
    claim(world, name)
    settle(world, name, "failed", retry_after_ms=3600 * SECOND_MS)
    assert world.delivery(name).next_at == world.now + 3600 * SECOND_MS


def test_an_unknown_order_that_is_found_goes_on() -> None:
    world, name = with_order()
    claim(world, name)
    settle(world, name, "unknown")
    world.now += DAY_MS
    claim(world, name)
    order = world.delivery(name).order_id
    report = PartnerReport(order, "accepted", world.now, external_ref="E1", accepted=3)
    assert settle(world, name, "done", report=report) == "done"
    assert world.order(order).state == "accepted"


def test_an_unknown_order_that_is_never_found_waits_for_a_person_and_is_never_sent_again() -> None:
    world, name = with_order()
    claim(world, name)
    settle(world, name, "unknown")
    modes = []
    while world.delivery(name).state != "stuck":
        world.now += DAY_MS
        modes.append(claim(world, name)[0]["mode"])
        settle(world, name, "absent")
    order = world.delivery(name).order_id
    assert modes == ["read"] * PartnerTerms("elm").reads_before_stuck
    assert world.order(order).held == "unknown_at_partner"
    assert claim(world, name) == []


@pytest.mark.parametrize(("arrived", "state"), [(True, "done"), (False, "waiting")])
def test_a_person_resolves_what_is_stuck(arrived: bool, state: str) -> None:
    world, name = with_order()
    claim(world, name)
    assert settle(world, name, "refused", answer="422") == "stuck"
    order = world.delivery(name).order_id
    assert world.order(order).held == "refused_by_partner"
    world.run(c.ResolveDelivery(None, "operator:li", name, arrived))
    assert (world.delivery(name).state, world.order(order).held) == (state, "")
    assert "operator:li" in world.delivery(name).answer
    assert bool(claim(world, name)) is not arrived


def test_only_what_is_stuck_is_resolved() -> None:
    world, name = with_order()
    with pytest.raises(Rejected) as refusal:
        world.run(c.ResolveDelivery(None, "operator:li", name, True))
    assert refusal.value.code == "not_stuck"


def test_a_partner_that_is_away_for_days_ends_with_a_person() -> None:
    world, name = with_order(resendable=True)
    began_at = world.now
    while world.delivery(name).state != "stuck":
        world.now = max(world.now, world.delivery(name).next_at or 0)
        assert claim(world, name)
        settle(world, name, "failed", answer="503")
    assert 3 * DAY_MS < world.now - began_at < 5 * DAY_MS
    assert world.order(world.delivery(name).order_id).held == "undeliverable"


def test_a_relay_that_lost_its_lease_settles_nothing() -> None:
    world, name = with_order(resendable=True)
    claim(world, name, "one")
    world.now += LEASE_MS
    claim(world, name, "two")
    with pytest.raises(Rejected) as refusal:
        settle(world, name, "done", relay="one")
    assert refusal.value.code == "lease_lost"
    assert settle(world, name, "done", relay="two") == "done"
    with pytest.raises(Rejected):
        settle(world, name, "done", relay="two")


def test_an_answer_that_the_order_refuses_still_settles_its_delivery() -> None:
    world, name = with_order()
    claim(world, name)
    order = world.delivery(name).order_id
    world.run(c.HoldOrder(None, "operator:li", order, "dispute"))
    report = PartnerReport(order, "accepted", world.now, accepted=3)
    assert settle(world, name, "done", report=report) == "done"
    assert world.delivery(name).answer.startswith("order_held")
    assert world.order(order).state == "submitted"


@pytest.mark.parametrize("outcome", ["absent", "refused"])
def test_what_can_not_be_cancelled_is_over(outcome: str) -> None:
    world, name = with_order()
    claim(world, name)
    settle(world, name, "done")
    order = world.delivery(name).order_id
    world.run(c.CancelOrder(None, "operator:li", order, "x"))
    claim(world, f"cancel:{order}")
    assert settle(world, f"cancel:{order}", outcome) == "done"


def test_an_outcome_that_does_not_exist() -> None:
    world, name = with_order()
    claim(world, name)
    with pytest.raises(Rejected) as refusal:
        settle(world, name, "maybe")
    assert refusal.value.code == "bad_request"
