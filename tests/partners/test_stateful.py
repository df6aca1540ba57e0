"""The life of orders under any mix of commands, faults and time: the rules hold at every step.

The partner is a small model that keeps what was really sent to it; the relay of this test loses answers,
dies, repeats.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from partners.core import commands as c
from partners.core import events as e
from partners.core.model import ENDED_STATES, BatchShown, LineSaid, PartnerReport, PartnerTerms
from partners.core.records import commands as r
from tests.partners.world import World, batch, terms

ELM = PartnerTerms("elm", resendable=True, lines_max=3)
PROGRAMMES = st.sampled_from(["minqin", "gobi", "alxa", "yili"])
OPERATIONS = [
    "follow",
    "follow",
    "hold",
    "resume",
    "cancel",
    "agreed",
    "resolve",
    "submit",
    "recheck",
    "recheck",
]
RANK = {
    "draft": -1,
    "submitted": 0,
    "accepted": 1,
    "in_planting": 2,
    "planted": 3,
    "needs_info": 3,
    "verified": 4,
}
REPORTS = ("received", "accepted", "rejected", "in_planting", "planted", "cancelled", "verified")


class OrdersUnderFaults(RuleBasedStateMachine):
    """Two partners of one species and region (one repeats harmlessly and takes orders of several lines, one does
    not), one elsewhere; places are few, partners are suspended, trees are given up."""

    @initialize(small=st.integers(1, 4))
    def begin(self, small: int) -> None:
        self.world = World(
            terms(minimum_trees=small, agreed=ELM, energy_back_ms=60 * DAY_MS),
            terms("gobi", "elm", minimum_trees=small, agreed=ELM, species="caragana", site="gobi"),
            terms("alxa", "oak", minimum_trees=small, energy_back_ms=60 * DAY_MS),
            terms("yili", "ash", region="CN-XJ", agreed=PartnerTerms("ash", asks_below_minimum=False)),
        )
        for name in self.world.quotas():
            site, species, season = name.split("/")
            self.world.run(r.SetQuota(None, "li", site, species, season, 12))
        self.next_tree = 1
        self.sent: dict[str, int] = {}
        self.seen = 0
        self.reviewed: set[int] = set()
        self.messages: list[Any] = []

    # --- what happens -------------------------------------------------------------------------

    @rule(
        count=st.integers(1, 6),
        programme=PROGRAMMES,
        arrives=st.sampled_from(["not yet", "done", "unknown"]),
    )
    def redeem(self, count: int, programme: str, arrives: str) -> None:
        self.world.pledge(count, programme, self.next_tree)
        self.next_tree += count
        decision = self.attempt(self.world.allocation(programme))
        order = decision.reply.get("formed") if decision is not None else None
        if order is not None and arrives != "not yet":
            self.send(f"submit:{order}", arrives)

    @precondition(lambda self: self.open_orders())
    @rule(
        data=st.data(),
        share_pct=st.sampled_from([100, 100, 100, 60, 0]),
        more=st.sampled_from([3, 3, 1, 2, 0]),
    )
    def partner_goes_on(self, data: st.DataObject, share_pct: int, more: int) -> None:
        """An honest partner: accepts, begins, plants some more or all, declares it done."""
        order = data.draw(st.sampled_from(self.open_orders()))
        row, lines = self.world.order(order), self.world.lines(order)
        if row.state == "submitted":
            said = [LineSaid(no, line.ordered * share_pct // 100) for no, line in enumerate(lines, 1)]
            self.say(order, "accepted", lines=tuple(said))
            return
        shown: list[BatchShown] = []
        for no, line in enumerate(lines, 1):
            known = [self.world.rows["batches"][name] for name in line.batches]
            mine = [
                batch(one.report_no, one.reported, f"{order}-{one.report_no}", line_no=no) for one in known
            ]
            left = line.accepted - line.reported
            trees = 0 if row.state == "planted" else left if more == 3 else min(more, left)
            if trees:
                name = f"{no}.{len(mine)}"
                mine.append(batch(name, trees, f"{order}-{name}", line_no=no))
            shown += mine
        said = [LineSaid(no, line.accepted) for no, line in enumerate(lines, 1)]
        done = more == 3 and shown
        self.say(order, "planted" if done else "in_planting", lines=tuple(said), batches=tuple(shown))

    @rule(programme=PROGRAMMES, twice=st.booleans())
    def form(self, programme: str, twice: bool) -> None:
        command = self.world.allocation(programme)
        self.attempt(command)
        if twice:
            formed = self.attempt(command)
            assert formed is None or formed.events == []

    @rule(days=st.sampled_from([0, 1, 4, 8, 15, 61, 181]), ms=st.integers(0, 60_000))
    def wait(self, days: int, ms: int) -> None:
        self.world.now += days * DAY_MS + ms

    @precondition(lambda self: self.world.rows["deliveries"])
    @rule(data=st.data(), fate=st.sampled_from(["done", "failed", "unknown", "absent", "refused", "dies"]))
    def deliver(self, data: st.DataObject, fate: str) -> None:
        self.send(data.draw(st.sampled_from(sorted(self.world.rows["deliveries"]))), fate)

    def send(self, name: str, fate: str) -> None:
        claimed: Any = self.world.run(c.ClaimDeliveries(None, "relay", 60_000, (name,))).reply["claimed"]
        for one in claimed:
            if one["mode"] == "send" and fate != "failed":
                self.sent[name] = self.sent.get(name, 0) + 1
            if fate != "dies":
                outcome = "unknown" if fate == "absent" and one["mode"] == "send" else fate
                self.attempt(c.SettleDelivery(None, name, "relay", outcome))

    @precondition(lambda self: self.world.rows["partner_orders"])
    @rule(
        data=st.data(),
        said=st.sampled_from(REPORTS),
        accepted=st.one_of(st.none(), st.integers(-1, 8)),
        amounts=st.lists(st.integers(1, 5), max_size=3),
        old=st.booleans(),
    )
    def report(
        self, data: st.DataObject, said: str, accepted: int | None, amounts: list[int], old: bool
    ) -> None:
        order = data.draw(st.sampled_from(sorted(self.world.rows["partner_orders"])))
        if accepted is not None and accepted >= 7:
            accepted = self.world.line(order).accepted or self.world.line(order).ordered
        shown = tuple(batch(str(place), trees, f"{order}-{place}") for place, trees in enumerate(amounts))
        at = self.world.now - (10 * DAY_MS if old else 0)
        self.say(order, said, at, accepted=accepted, batches=shown)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        command = data.draw(st.sampled_from(self.messages))
        known = (command.partner, command.message) in self.world.rows["inbox"]
        before = repr(self.world.rows)
        decision = self.attempt(command)
        if known:
            assert decision is not None
            assert repr(self.world.rows) == before

    @precondition(lambda self: self.world.rows["partner_orders"])
    @rule(data=st.data(), what=st.sampled_from(OPERATIONS))
    def operate(self, data: st.DataObject, what: str) -> None:
        order = data.draw(st.sampled_from(sorted(self.world.rows["partner_orders"])))
        self.attempt(
            {
                "follow": c.FollowUpOrder(None, order),
                "hold": c.HoldOrder(None, "li", order, "dispute"),
                "resume": c.ResumeOrder(None, "li", order),
                "cancel": c.CancelOrder(None, "li", order, "mistake"),
                "agreed": c.CancelOrder(None, "li", order, "mistake", "by telephone"),
                "submit": c.SubmitOrder(None, "li", order),
                "recheck": c.RecheckOrder(None, order),
                "resolve": c.ResolveDelivery(None, "li", f"submit:{order}", True),
            }[what]
        )

    @rule(
        partner=st.sampled_from(["elm", "oak"]),
        status=st.sampled_from(["suspended", "active", "active"]),
    )
    def stand(self, partner: str, status: str) -> None:
        self.attempt(r.MovePartner(None, "li", partner, status, "looked at again"))

    @rule(data=st.data(), capacity=st.integers(0, 30))
    def set_quota(self, data: st.DataObject, capacity: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.rows["quotas"])))
        self.attempt(r.SetQuota(None, "li", *name.split("/"), capacity))

    @rule()
    def give_up(self) -> None:
        units = tuple(unit.id for unit in self.world.units() if unit.back_at is not None)
        was = {number: self.world.unit(number).back_at for number in units}
        self.world.run(c.GiveUpUnits(None, units))
        for number, back_at in was.items():
            assert (self.world.unit(number).state == "withdrawn") == (back_at <= self.world.now)

    @precondition(lambda self: self.planted_orders())
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["verified", "verified", "verified", "needs_info", "back"]),
        less=st.booleans(),
    )
    def review(self, data: st.DataObject, verdict: str, less: bool) -> None:
        order = data.draw(st.sampled_from(self.planted_orders()))
        found = {
            one.report_no: one.reported - 1
            for one in self.world.rows["batches"].values()
            if less and one.line_id in self.world.order(order).lines
        }
        decision = self.attempt(c.ReviewOrder(None, "operator:li", order, verdict, verified=found))
        if decision is not None and verdict == "verified":
            self.reviewed.add(order)

    def say(self, order: int, state: str, at: int | None = None, **fields: Any) -> None:
        report = PartnerReport(order, state, at or self.world.now, **fields)
        partner = self.world.order(order).partner
        command = c.RecordReport(None, partner, f"m{len(self.messages)}", repr(report), report)
        self.messages.append(command)
        self.attempt(command)

    def planted_orders(self) -> list[int]:
        """Those that can be reviewed, and some that can't."""
        rows = self.world.rows["partner_orders"].values()
        return sorted(row.id for row in rows if row.state in ("in_planting", "planted", "verified"))

    def open_orders(self) -> list[int]:
        rows = self.world.rows["partner_orders"].values()
        return sorted(row.id for row in rows if row.state not in ENDED_STATES and not row.held)

    def attempt(self, command: Any) -> Any:
        before = repr(self.world.rows)
        try:
            return self.world.run(command)
        except Rejected:
            assert repr(self.world.rows) == before
            return None

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def counters_can_be_true(self) -> None:
        for line in self.world.rows["order_lines"].values():
            assert 0 <= line.accepted <= line.ordered
            assert 0 <= line.verified <= line.reported <= line.accepted * (100 + line.tolerance_pct) // 100
            batches = [self.world.rows["batches"][name] for name in line.batches]
            assert (line.reported, line.verified) == (
                sum(one.reported for one in batches),
                sum(one.verified for one in batches),
            )

    @invariant()
    def every_tree_is_in_exactly_one_place(self) -> None:
        listed = [number for line in self.world.rows["order_lines"].values() for number in line.units]
        assert len(listed) == len(set(listed))
        placed = {unit.id for unit in self.world.units() if unit.order_id is not None}
        assert placed == set(listed)
        for unit in self.world.units():
            assert (unit.state in ("pledged", "withdrawn")) == (unit.order_id is None), unit
            assert (unit.unplaced_at is None) or unit.state in ("pledged", "withdrawn"), unit
        assert len(self.world.units()) == self.next_tree - 1
        in_batches = [number for one in self.world.rows["batches"].values() for number in one.units]
        assert len(in_batches) == len(set(in_batches))
        assert {unit.id for unit in self.world.units() if unit.batch_id} == set(in_batches)

    @invariant()
    def an_early_end_frees_every_tree(self) -> None:
        for order in self.world.rows["partner_orders"].values():
            if order.state in ("rejected", "expired", "cancelled"):
                assert [line.units for line in self.world.lines(order.id)] == [[]] * len(order.lines)

    @invariant()
    def quotas_are_the_sums_of_their_lines(self) -> None:
        sums: dict[str, list[int]] = {name: [0, 0, 0] for name in self.world.rows["quotas"]}
        for line in self.world.rows["order_lines"].values():
            is_out = self.world.order(line.order_id).payload_hash != ""
            sums[line.quota][is_out] += len(line.units)
            sums[line.quota][2] += sum(self.world.unit(number).batch_id is not None for number in line.units)
        for name, quota in self.world.rows["quotas"].items():
            assert [quota.held, quota.ordered, quota.planted] == sums[name], quota
            assert quota.held + quota.ordered <= quota.capacity

    @invariant()
    def a_stopped_partner_gets_no_order_and_its_timers_stand(self) -> None:
        for event in self.world.events[self.seen :]:
            if isinstance(event, (e.OrderSubmitted, e.OrderDrafted)):
                partner = self.world.rows["partner_records"][event.order.partner]
                assert partner.status == "active", event

    @invariant()
    def only_reviews_verify(self) -> None:
        verified = {one.id for one in self.world.rows["partner_orders"].values() if one.state == "verified"}
        assert verified == self.reviewed
        for unit in self.world.units():
            assert unit.state != "verified" or unit.order_id in self.reviewed

    @invariant()
    def what_would_be_done_twice_is_sent_once(self) -> None:
        for name, times in self.sent.items():
            row = self.world.delivery(name)
            if not row.resendable and row.kind in ("submit", "cancel"):
                assert times == 1, (name, times)

    @invariant()
    def orders_go_forward_and_ends_are_final(self) -> None:
        at: dict[int, str] = {}
        for event in self.world.events:
            if isinstance(event, e.OrderDrafted):
                assert at.get(event.order.id, "draft") == "draft"
                at[event.order.id] = "draft"
            elif isinstance(event, e.OrderSubmitted):
                assert at.get(event.order.id, "draft") == "draft"
                at[event.order.id] = "submitted"
            elif isinstance(event, e.OrderMoved):
                old = at[event.order]
                assert old not in ENDED_STATES, (event, old)
                is_back = old == "planted" and event.state == "in_planting"
                if event.state in RANK and not is_back:
                    assert RANK[event.state] >= RANK[old], (event, old)
                at[event.order] = event.state

    @invariant()
    def nobody_is_asked_again_for_what_they_declined(self) -> None:
        for event in self.world.events[self.seen :]:
            if isinstance(event, e.OrderSubmitted):
                mark = f"{event.order.partner}/{event.order.season}"
                now_declined = [
                    number
                    for line in event.lines
                    for number in line.units
                    if mark in self.world.unit(number).declined
                    and self.world.unit(number).order_id == event.order.id
                ]
                assert now_declined == []
        self.seen = len(self.world.events)


OrdersUnderFaults.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestOrdersUnderFaults = OrdersUnderFaults.TestCase
