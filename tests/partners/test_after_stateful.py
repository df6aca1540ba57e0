"""The life after planting under any mix of commands and time: the rules hold at every step, up to each end."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.core.errors import Rejected
from engine.core.units import DAY_MS, local_day
from partners.core import after_commands as ac
from partners.core import after_events as a
from partners.core import commands as c
from partners.core import events as e
from partners.core.audit_log import START, link
from partners.core.model import ENDED_STATES, PartnerReport
from tests.partners.test_money import books_balance
from tests.partners.watched import watched_terms
from tests.partners.world import World, batch

WATCHED = ("verified", "monitoring", "replanting")
MOVES = {
    "draft": {"cancelled"},
    "planted": {"needs_info", "in_planting", "verified"},
    "verified": {"monitoring", "closed_short"},
    "monitoring": {"replanting", "completed", "closed_short"},
    "replanting": {"monitoring", "closed_short"},
}


class AfterPlanting(RuleBasedStateMachine):
    """Two programmes of one partner each, one of them with trees that are told apart and a co-funder."""

    @initialize(
        levels=st.sampled_from([(2,), (2, 3)]),
        must_meet=st.sampled_from(["estimate", "lower_bound"]),
        share_pct=st.sampled_from([100, 60]),
    )
    def begin(self, levels: tuple[int, ...], must_meet: str, share_pct: int) -> None:
        self.world = World(
            watched_terms(review_levels=levels, must_meet=must_meet),
            watched_terms("alxa", "oak", own_share_pct=share_pct, place={"granularity": "individual"}),
        )
        self.next_tree = 1
        self.counted = 0
        self.seen = 0
        self.said = 0
        for count, programme in ((5, "minqin"), (4, "alxa")):
            self.plant_order(count, programme, 2)

    # --- what happens -------------------------------------------------------------------------

    @rule(count=st.integers(3, 8), programme=st.sampled_from(["minqin", "alxa"]), parts=st.integers(1, 3))
    def plant(self, count: int, programme: str, parts: int) -> None:
        if len(self.world.rows["partner_orders"]) < 6:
            self.plant_order(count, programme, parts)

    def plant_order(self, count: int, programme: str, parts: int) -> None:
        self.world.pledge(count, programme, self.next_tree)
        self.next_tree += count
        decision = self.attempt(self.world.allocation(programme))
        order = decision.reply.get("formed") if decision is not None else None
        if order is not None:
            self.world.delivered(order)
            self.report(order, parts)

    @precondition(lambda self: self.orders("submitted", "accepted", "in_planting", "needs_info"))
    @rule(data=st.data(), share_pct=st.sampled_from([100, 100, 60, 0]), parts=st.integers(1, 3))
    def answer(self, data: st.DataObject, share_pct: int, parts: int) -> None:
        order = data.draw(st.sampled_from(self.orders("submitted", "accepted", "in_planting", "needs_info")))
        delivery = self.world.rows["deliveries"].get(f"submit:{order}")
        if delivery is not None and delivery.state == "waiting":
            self.world.delivered(order)
        if self.world.order(order).state == "submitted" and share_pct < 100:
            self.say(order, "accepted", accepted=self.world.line(order).ordered * share_pct // 100)
        self.report(order, parts)

    def report(self, order: int, parts: int) -> None:
        """The partner says that all is planted, in so many batches; asked again, it says the same."""
        line = self.world.line(order)
        known = [self.world.rows["batches"][name] for name in line.batches]
        shown = [batch(one.report_no, one.reported, f"{order}-{one.report_no}") for one in known]
        accepted = line.accepted or line.ordered
        left = accepted - line.reported
        for place in range(parts):
            trees = left if place == parts - 1 else min(left, 2)
            left -= trees
            if trees:
                shown.append(batch(f"n{len(shown)}", trees, f"{order}-n{len(shown)}"))
        self.world.now += 1000
        self.say(order, "planted", accepted=accepted, batches=tuple(shown), by="wang")

    def say(self, order: int, state: str, **fields: Any) -> None:
        self.said += 1
        report = PartnerReport(order, state, self.world.now, **fields)
        partner = self.world.order(order).partner
        self.attempt(c.RecordReport(None, partner, f"m{self.said}", repr(report), report))

    @precondition(lambda self: self.orders("planted", "needs_info"))
    @rule(
        data=st.data(),
        level=st.sampled_from([2, 2, 3]),
        who=st.sampled_from(["operator:li", "operator:wang", "independent:zhou", "partner:elm/wang"]),
        verdict=st.sampled_from(["verified", "verified", "verified", "needs_info", "back"]),
        less=st.integers(0, 3),
    )
    def review(self, data: st.DataObject, level: int, who: str, verdict: str, less: int) -> None:
        order = data.draw(st.sampled_from(self.orders("planted", "needs_info")))
        name = data.draw(st.sampled_from(self.world.line(order).batches))
        trees = self.world.rows["batches"][name].reported - less
        if level == 3 and who.startswith("operator"):
            who = "independent:zhou"
        self.attempt(ac.ReviewBatch(None, who, level, order, name, verdict, trees, reasons=("other",)))

    @precondition(lambda self: self.orders("planted"))
    @rule(data=st.data())
    def review_all(self, data: st.DataObject) -> None:
        self.verify(data.draw(st.sampled_from(self.orders("planted"))))

    def verify(self, order: int) -> None:
        self.attempt(c.ReviewOrder(None, "operator:li", order, "verified"))
        for name in self.world.line(order).batches:
            self.attempt(ac.ReviewBatch(None, "independent:zhou", 3, order, name, "verified"))

    @rule(data=st.data(), share_pct=st.sampled_from([100, 100, 50]), steps=st.integers(1, 8))
    def go_on(self, data: st.DataObject, share_pct: int, steps: int) -> None:
        """What honest people do next with an order, several times."""
        order = data.draw(st.sampled_from(sorted(self.world.rows["partner_orders"])))
        for _ in range(steps):
            self.one_step(order, share_pct)

    @rule(data=st.data(), share_pct=st.sampled_from([100, 100, 50]))
    def go_on_with_all(self, data: st.DataObject, share_pct: int) -> None:
        for order in sorted(self.world.rows["partner_orders"]):
            self.one_step(order, share_pct)

    def one_step(self, order: int, share_pct: int) -> None:
        row = self.world.order(order)
        planned = [name for name in self.planned() if self.world.rows["audits"][name].order_id == order]
        if row.state in ("submitted", "accepted", "in_planting", "needs_info"):
            if self.world.rows["deliveries"][f"submit:{order}"].state == "waiting":
                self.world.delivered(order)
            self.report(order, 1)
        elif row.state == "planted":
            self.verify(order)
        elif row.state == "monitoring" and planned and share_pct:
            soonest = min(planned, key=lambda name: self.world.rows["audits"][name].due_on)
            self.count_in_window(soonest, share_pct)
        elif row.due_at is not None and not row.held:
            self.world.now = max(self.world.now, row.due_at)
        self.attempt(c.FollowUpOrder(None, order))

    @rule(days=st.sampled_from([0, 1, 30, 200]))
    def wait(self, days: int) -> None:
        self.world.now += days * DAY_MS

    @precondition(lambda self: self.world.rows["partner_orders"])
    @rule(data=st.data(), jump=st.booleans())
    def look(self, data: st.DataObject, jump: bool) -> None:
        order = data.draw(st.sampled_from(sorted(self.world.rows["partner_orders"])))
        if jump and not self.world.order(order).held:
            self.world.now = max(self.world.now, self.world.order(order).due_at or 0)
        self.attempt(c.FollowUpOrder(None, order))

    @precondition(lambda self: self.planned())
    @rule(
        data=st.data(),
        share_pct=st.sampled_from([100, 100, 100, 70, 40, 0]),
        method=st.sampled_from(["census", "census", "census", "plots"]),
        conflict=st.sampled_from([False, False, False, True]),
        in_window=st.sampled_from([True, True, True, False]),
    )
    def count(
        self, data: st.DataObject, share_pct: int, method: str, conflict: bool, in_window: bool
    ) -> None:
        name = data.draw(st.sampled_from(self.planned()))
        if in_window:
            self.count_in_window(name, share_pct, method, conflict)
        else:
            self.count_now(name, share_pct, method, conflict)

    def count_in_window(
        self, name: str, share_pct: int, method: str = "census", conflict: bool = False
    ) -> None:
        opens_on = date.fromisoformat(self.world.rows["audits"][name].opens_on)
        days = (opens_on - local_day(self.world.now, "UTC")).days
        self.world.now += max(0, days) * DAY_MS
        self.count_now(name, share_pct, method, conflict)

    def count_now(self, name: str, share_pct: int, method: str, conflict: bool) -> None:
        row, today = self.world.rows["audits"][name], local_day(self.world.now, "UTC").isoformat()
        found = self.world.rows["batches"][row.batch_id]
        alive = found.verified * share_pct // 100
        plots = (ac.PlotCount("all", found.verified, alive),)
        if method == "plots":
            plots = tuple(ac.PlotCount(str(no), 1, int(no < alive)) for no in range(found.verified))
        dead = tuple(found.units[: found.verified - alive]) if self.told_apart(row.order_id) else ()
        self.attempt(
            ac.RecordAudit(
                None, "operator:li", row.order_id, name, today, method, "independent:x", conflict, plots, dead
            )
        )

    @precondition(lambda self: self.orders(*WATCHED))
    @rule(
        data=st.data(),
        who=st.sampled_from(["operator:li", "operator:wang"]),
        what=st.sampled_from(["propose", "move", "approve", "both", "both", "move both", "again"]),
        lost=st.integers(0, 3),
    )
    def close(self, data: st.DataObject, who: str, what: str, lost: int) -> None:
        order = data.draw(st.sampled_from(self.orders(*WATCHED)))
        name = data.draw(st.sampled_from(self.world.line(order).batches))
        if what == "approve":
            self.attempt(ac.ApproveClosing(None, who, order))
        elif what == "again":
            audits = sorted(row.id for row in self.world.rows["audits"].values() if row.order_id == order)
            for audit in audits:
                self.attempt(ac.OrderReplacement(None, who, order, audit))
        else:
            target = data.draw(st.sampled_from(sorted(self.world.rows["standings"])))
            moves = {name: target} if "move" in what else {}
            remedy = "move" if "move" in what else "refund"
            self.attempt(ac.ProposeClosing(None, who, order, "lost to salt", remedy, {name: lost}, moves))
            if "both" in what:
                self.attempt(ac.ApproveClosing(None, "operator:chen", order))

    @precondition(lambda self: self.world.rows["partner_orders"])
    @rule(
        data=st.data(),
        what=st.sampled_from(["hold", "resume", "resume", "dispute", "decide", "decide", "fire"]),
    )
    def trouble(self, data: st.DataObject, what: str) -> None:
        order = data.draw(st.sampled_from(sorted(self.world.rows["partner_orders"])))
        if what == "decide":
            for row in list(self.world.rows["disputes"].values()):
                self.attempt(ac.DecideDispute(None, "operator:li", row.id, "settled", "agreed"))
            return
        on = local_day(self.world.now, "UTC").isoformat()
        self.attempt(
            {
                "hold": c.HoldOrder(None, "li", order, "suspended"),
                "resume": c.ResumeOrder(None, "li", order),
                "dispute": ac.OpenDispute(None, "city", order, "where?"),
                "fire": ac.ReportDisturbance(None, "elm", order, "", "fire", 10, on),
            }[what]
        )

    @precondition(lambda self: self.world.rows["milestones"])
    @rule(data=st.data(), part_pct=st.sampled_from([100, 100, 50, 120]), tax=st.sampled_from([0, 1]))
    def bill(self, data: st.DataObject, part_pct: int, tax: int) -> None:
        due = self.world.rows["milestones"][data.draw(st.sampled_from(sorted(self.world.rows["milestones"])))]
        amount = (due.amount_minor - due.invoiced_minor) * part_pct // 100 - tax
        number = str(len(self.world.rows["invoices"]))
        lines = (("planting", amount),)
        self.attempt(
            ac.RecordInvoice(None, "wang", due.order_id, due.milestone, number, lines, tax, "2027-01-01")
        )

    @precondition(lambda self: self.world.rows["invoices"])
    @rule(data=st.data(), is_paid=st.sampled_from([True, True, False]), back=st.integers(1, 1000))
    def settle(self, data: st.DataObject, is_paid: bool, back: int) -> None:
        row = self.world.rows["invoices"][data.draw(st.sampled_from(sorted(self.world.rows["invoices"])))]
        self.attempt(ac.SettleInvoice(None, "operator:li", row.order_id, row.id, is_paid))
        self.attempt(ac.RecordRepayment(None, "operator:li", row.order_id, back, "slip"))

    @rule()
    def seal(self) -> None:
        rows = self.world.rows["audit_events"].values()
        waiting = sorted((row.at, row.id) for row in rows if row.place is None)
        self.attempt(ac.SealAudit(None, tuple(name for _, name in waiting[:50])))

    # --- reading ------------------------------------------------------------------------------

    def orders(self, *states: str) -> list[int]:
        rows = self.world.rows["partner_orders"].values()
        return sorted(row.id for row in rows if row.state in states)

    def planned(self) -> list[str]:
        rows = self.world.rows["audits"].values()
        return sorted(row.id for row in rows if row.state == "planned")

    def told_apart(self, order: int) -> bool:
        return bool(self.world.line(order).granularity == "individual")

    def attempt(self, command: Any) -> Any:
        before = repr(self.world.rows)
        held = {row.id: row.state for row in self.world.rows["partner_orders"].values() if row.held}
        try:
            decision = self.world.run(command)
        except Rejected:
            assert repr(self.world.rows) == before
            return None
        for event in decision.events:
            if isinstance(event, e.OrderMoved | a.AuditDone) and not isinstance(event, a.AuditDone):
                assert event.order not in held, (command, event)
            if isinstance(event, a.MoneyMoved):
                released = [entry for entry in event.entries if entry.kind == "release"]
                assert not released or event.fund.order_id not in held
        return decision

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def a_tree_has_one_place_and_one_claim(self) -> None:
        rows = self.world.rows
        active: dict[int, str] = {}
        for claim in rows["claims"].values():
            if claim.status == "active":
                assert claim.unit not in active
                active[claim.unit] = claim.batch_id
        for unit in self.world.units():
            assert (unit.state in ("verified", "established")) == (unit.id in active), unit
            assert unit.id not in active or active[unit.id] == unit.batch_id
        listed = [number for line in rows["order_lines"].values() for number in line.units]
        assert len(listed) == len(set(listed))
        assert {unit.id for unit in self.world.units() if unit.order_id is not None} == set(listed)
        in_batches = [number for one in rows["batches"].values() for number in one.units]
        assert len(in_batches) == len(set(in_batches))

    @invariant()
    def claims_are_no_more_than_ours(self) -> None:
        rows = self.world.rows
        held = Counter(claim.batch_id for claim in rows["claims"].values() if claim.status == "active")
        for standing in rows["standings"].values():
            assert standing.claimed == held[standing.id]
            assert (
                standing.claimed * 100 <= (standing.verified - standing.written_down) * standing.own_share_pct
            )
            assert standing.verified == rows["batches"][standing.id].verified

    @invariant()
    def counters_can_be_true(self) -> None:
        for line in self.world.rows["order_lines"].values():
            assert 0 <= line.verified <= line.reported <= line.accepted * (100 + line.tolerance_pct) // 100
            batches = [self.world.rows["batches"][name] for name in line.batches]
            assert line.verified == sum(one.verified for one in batches)

    @invariant()
    def the_public_number_falls_only_by_a_write_down(self) -> None:
        children = set(self.world.rows["replacements"])
        planted = sum(
            row.verified for row in self.world.rows["standings"].values() if row.order_id not in children
        )
        assert planted >= self.counted
        self.counted = planted
        named = {row.id: row.trees for row in self.world.rows["write_downs"].values()}
        for standing in self.world.rows["standings"].values():
            assert standing.written_down == named.get(standing.id, 0)

    @invariant()
    def the_books_balance(self) -> None:
        books_balance(self.world)
        lines = self.world.rows["order_lines"].values()
        prices = {line.order_id: line.accepted * line.unit_price_minor for line in lines}
        paid: Counter[int] = Counter()
        for entry in self.world.rows["budget_entries"].values():
            paid[entry.order_id] += entry.amount_minor if entry.kind == "release" else 0
        assert all(amount <= prices[order] for order, amount in paid.items())

    @invariant()
    def orders_move_as_the_table_says_and_ends_are_final(self) -> None:
        at: dict[int, str] = {}
        for event in self.world.events:
            if isinstance(event, e.OrderDrafted | e.OrderSubmitted):
                at[event.order.id] = event.order.state
            elif isinstance(event, e.OrderMoved) and at[event.order] != event.state:
                assert at[event.order] not in ENDED_STATES, event
                allowed = MOVES.get(at[event.order])
                assert allowed is None or event.state in allowed, (at[event.order], event)
                at[event.order] = event.state

    @invariant()
    def an_order_is_complete_only_when_every_count_found_its_band(self) -> None:
        rows = self.world.rows
        for order in self.orders("completed"):
            for audit in rows["audits"].values():
                if audit.order_id == order and audit.verdict == "below_band":
                    children = [row.id for row in rows["replacements"].values() if row.audit_id == audit.id]
                    assert "completed" in [self.world.order(child).state for child in children]
                elif audit.order_id == order:
                    assert audit.state == "done", audit

    @invariant()
    def closing_short_takes_two(self) -> None:
        closed = {order: self.world.rows["closings"][order] for order in self.orders("closed_short")}
        for row in closed.values():
            assert row.proposed_by != row.approved_by != ""

    @invariant()
    def the_chain_is_whole(self) -> None:
        rows = [row for row in self.world.rows["audit_events"].values() if row.place is not None]
        previous = START
        for place, row in enumerate(sorted(rows, key=lambda row: row.place), start=1):
            assert (row.place, row.previous, row.hash) == (place, previous, link(place, previous, row))
            previous = row.hash
        assert self.world.rows["chain_heads"][1].hash == previous


AfterPlanting.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAfterPlanting = AfterPlanting.TestCase
