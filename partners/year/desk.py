"""A partner's own desk in the year: an adapter whose other end is a person made of dice, on the virtual clock.

It knows only what it was sent. Its news is what it would push; one that is polled is asked instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from engine.clock import Clock
from engine.core.errors import Rejected
from engine.core.units import DAY_MS, local_day
from partners.core.model import BatchShown, EvidenceShown, LineSaid, PartnerReport
from partners.port import About, Answer, Capabilities, Inbound, OrderSheet
from partners.year.dice import dice, hits
from partners.year.scenario import Planter

RESULTS_D = 2  # from the last tree of a report to the report
SPAN_D = 9  # of one report


@dataclass(slots=True)
class Step:
    """What the partner will say, and when. `batches` are all that it has planted by then."""

    at: int
    state: str
    batches: tuple[BatchShown, ...] = ()


@dataclass(slots=True)
class Held:
    """An order on the desk. `steps` lie ahead; `said` is what it says now; `is_told`: whether we have heard it."""

    sheet: OrderSheet
    accepted: list[int]
    said: Step
    steps: list[Step] = field(default_factory=list)
    is_told: bool = True
    extra: int = 0  # photos that were asked for
    messages: int = 0


class Desk:
    """One partner, reached as any other: see `partners.port.Adapter`."""

    def __init__(self, planter: Planter, clock: Clock, seed: int) -> None:
        self.planter = planter
        self.capabilities = Capabilities(
            idempotency="native" if planter.is_resendable else "emulated",
            chooses_species=True,
            chooses_site=True,
            per_tree_ids=False,
            order_min_trees=planter.minimum_trees,
            has_sandbox=True,
            pushes=not planter.polled_d,
            poll_s=planter.polled_d * 86_400,
            billing="invoice",
            cancels=True,
            reads_messages=True,
            asks_below_minimum=True,
            is_live=False,
            lines_max=planter.lines_max,
        )
        self._clock = clock
        self._seed = seed
        self._orders: dict[int, Held] = {}
        self._shown: list[str] = []  # photos, oldest first

    # --- the port ------------------------------------------------------------------------------------

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Take an order in; some requests, or the answers to them, are lost on the way."""
        draws = dice(self._seed, self.planter.id, sheet.order, "post", self._clock.now_ms())
        lost = hits(draws, self.planter.lost_pct)
        if lost and hits(draws, 50):
            return Answer("unknown", "no answer: it never arrived")
        if sheet.order not in self._orders:
            self._orders[sheet.order] = self._plan(sheet)
        return Answer("unknown", "no answer: it arrived") if lost else self._answer(sheet.order)

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        """What is withdrawn is dropped."""
        held = self._orders.get(order)
        if held is None:
            return Answer("absent")
        held.steps, held.said = [], Step(self._clock.now_ms(), "cancelled", held.said.batches)
        return self._answer(order)

    async def remind(self, order: int, about: About, key: str) -> Answer:
        """Read a message; where information is missed, more photos come in some days."""
        held = self._orders.get(order)
        if held is not None and about.kind == "needs_info":
            held.extra += 1
            at = self._clock.now_ms() + 2 * DAY_MS
            held.steps.append(Step(at, "planted", self._with_photo(order, held)))
        return Answer("done", "read")

    async def fetch_status(self, order: int) -> Answer:
        """How it stands, by the partner's own book."""
        if order not in self._orders:
            return Answer("absent")
        self._go_on(self._orders[order])
        return self._answer(order)

    def parse_inbound(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
        """Refuses: this partner is heard by `news`, so whatever is pushed in its name is not its."""
        raise Rejected("bad_signature", reason="answers_come_by_news")

    async def close(self) -> None:
        """Nothing to let go of."""

    # --- what it says by itself ---------------------------------------------------------------------

    def has(self, order: int) -> bool:
        """Whether the order has arrived."""
        return order in self._orders

    def news(self) -> Iterator[tuple[str, PartnerReport]]:
        """What this partner would push now: (its message's id, report), until it is heard."""
        for number, held in self._orders.items():
            self._go_on(held)
            if not held.is_told:
                yield f"{number}.{held.messages}", self._report(number, held)

    def heard(self, order: int) -> None:
        """Its newest message about an order was taken in, or will never be."""
        held = self._orders[order]
        held.is_told = True
        held.messages += 1

    def mend(self, order: int) -> None:
        """Somebody called: it looks at its book again, and from now on says what was agreed."""
        held = self._orders[order]
        steps = [held.said, *held.steps]
        for step in steps:
            step.batches = tuple(self._within(held, step.batches))
        held.is_told = False

    # --- its plan -------------------------------------------------------------------------------------

    def _plan(self, sheet: OrderSheet) -> Held:
        """All that will come of an order, thrown when it arrives."""
        planter, now = self.planter, self._clock.now_ms()
        draws = dice(self._seed, planter.id, sheet.order)
        quantities = [line.quantity for line in sheet.lines]
        received = Step(now, "received")
        if hits(draws, planter.silent_pct):
            return Held(sheet, quantities, received)
        answers_at = now + draws.randint(*planter.answers_d) * DAY_MS
        is_unpaid = sheet.kind == "replacement"
        if (is_unpaid and not planter.replaces) or (not is_unpaid and hits(draws, planter.rejects_pct)):
            return Held(sheet, [0] * len(quantities), received, [Step(answers_at, "rejected")])
        if not is_unpaid and hits(draws, planter.partly_pct):
            quantities = [max(1, trees * draws.randint(60, 95) // 100) for trees in quantities]
        steps = [Step(answers_at, "accepted"), *self._planting(sheet, quantities, draws)]
        if hits(draws, planter.cancels_pct):
            steps = [steps[0], Step(answers_at + draws.randint(5, 20) * DAY_MS, "cancelled")]
        return Held(sheet, quantities, received, steps)

    def _planting(self, sheet: OrderSheet, quantities: list[int], draws: Any) -> Iterator[Step]:
        """Reports in the season, each with some of every line; the last says that all is planted."""
        planter = self.planter
        planted = [trees - trees * draws.randint(0, planter.short_pct) // 100 for trees in quantities]
        if hits(draws, planter.over_pct):
            planted = [
                trees * (100 + planter.tolerance_pct) // 100 + draws.randint(1, 9) for trees in quantities
            ]
        parts = min(planter.reports, *planted)
        begins_at = max(sheet.season_opens_at, self._clock.now_ms())
        left_d = max(1, (sheet.season_closes_at - begins_at) // DAY_MS - SPAN_D)
        first_d = draws.randint(0, max(0, left_d // 2))
        batches: list[BatchShown] = []
        for part in range(parts):
            from_d = first_d + (left_d - first_d) * part // parts
            on = local_day(begins_at + from_d * DAY_MS, "UTC")
            for line, trees in zip(sheet.lines, planted, strict=True):
                share = trees * (part + 1) // parts - trees * part // parts
                photo = self._photo(sheet.order, line.line_no, part, draws)
                batches.append(
                    BatchShown(
                        report_no=f"{line.line_no}.{part + 1}",
                        quantity=share,
                        planted_from_on=on.isoformat(),
                        planted_to_on=(on + timedelta(days=SPAN_D - 1)).isoformat(),
                        site=line.site,
                        evidence=(EvidenceShown(photo, name=f"{line.line_no}-{part}.jpg"),),
                        line_no=line.line_no,
                    )
                )
            at = begins_at + (from_d + SPAN_D + RESULTS_D) * DAY_MS
            yield Step(at, "planted" if part == parts - 1 else "in_planting", tuple(batches))

    def _photo(self, order: int, line_no: int, part: int, draws: Any) -> str:
        if self._shown and part and hits(draws, self.planter.reused_pct):
            return self._shown[draws.randrange(len(self._shown))]
        name = hashlib.sha256(f"{self.planter.id}/{order}/{line_no}/{part}".encode()).hexdigest()
        self._shown.append(name)
        return name

    def _with_photo(self, order: int, held: Held) -> tuple[BatchShown, ...]:
        """What was reported, with one more photo for each report."""
        return tuple(
            BatchShown(
                shown.report_no,
                shown.quantity,
                shown.planted_from_on,
                shown.planted_to_on,
                shown.site,
                (
                    *shown.evidence,
                    EvidenceShown(
                        hashlib.sha256(f"{order}/{shown.report_no}/{held.extra}".encode()).hexdigest()
                    ),
                ),
                line_no=shown.line_no,
            )
            for shown in held.said.batches
        )

    def _within(self, held: Held, batches: tuple[BatchShown, ...]) -> Iterator[BatchShown]:
        """The same reports with no more trees than were accepted: the newest are the wrong ones."""
        left = dict(enumerate(held.accepted, 1))
        for shown in batches:
            trees = min(shown.quantity, left[shown.line_no])
            left[shown.line_no] -= trees
            if trees:
                yield BatchShown(
                    shown.report_no,
                    trees,
                    shown.planted_from_on,
                    shown.planted_to_on,
                    shown.site,
                    shown.evidence,
                    line_no=shown.line_no,
                )

    # --- saying -----------------------------------------------------------------------------------------

    def _go_on(self, held: Held) -> None:
        while held.steps and held.steps[0].at <= self._clock.now_ms():
            held.said, held.is_told = held.steps.pop(0), False

    def _answer(self, order: int) -> Answer:
        return Answer("done", "200", self._report(order, self._orders[order]))

    def _report(self, order: int, held: Held) -> PartnerReport:
        planter, sheet, said = self.planter, held.sheet, held.said
        is_one, is_answered = len(sheet.lines) == 1, said.state != "received"
        lines = (
            ()
            if is_one or not is_answered
            else tuple(
                LineSaid(
                    line.line_no, trees, line.quantity, line.species, line.unit_price_minor, line.currency
                )
                for line, trees in zip(sheet.lines, held.accepted, strict=True)
            )
        )
        return PartnerReport(
            order=order,
            state=said.state,
            at=said.at,
            external_ref=f"{planter.id[:3].upper()}-{order}",
            accepted=held.accepted[0] if is_one and is_answered else None,
            reason="no nursery stock" if said.state == "rejected" else "",
            batches=said.batches,
            by=f"{planter.id} field team",
            lines=lines,
        )
