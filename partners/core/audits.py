"""When living trees are counted, and what a count says: in band, below it, or nothing that can be relied on.

A pooled tree is never said to be dead; a count speaks of the batch on whose plots it was made.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.units import DAY_MS, local_day
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_commands import PlotCount, RecordAudit
from partners.core.after_rows import SurvivalAudit
from partners.core.after_terms import AfterTerms, AuditStage
from partners.core.context import Context
from partners.core.guards import after_of, is_standing_hold
from partners.core.model import Batch, PartnerState, PlantingOrder
from partners.core.orders import the_order
from partners.core.survival import Estimate, Plot, from_census, from_plots

METHODS = ("plots", "census")
PLOTS_MAX = 500
COUNTED_STATES = ("monitoring", "replanting")
_NOT_DONE: dict[str, Any] = {
    "state": "planned",
    "verdict": "",
    "why": "",
    "visited_on": "",
    "method": "",
    "surveyor": "",
    "is_conflicted": False,
    "n": 0,
    "alive": 0,
    "rate_bp": None,
    "low_bp": None,
    "high_bp": None,
    "done_at": None,
}


def planned(
    order: PlantingOrder, batch: Batch, stage: AuditStage, terms: AfterTerms, rainfall: str
) -> SurvivalAudit:
    """The first count of a stage: in the growing season that it names, or after months where none is known."""
    opens_on, due_on = window(date.fromisoformat(batch.planted_to_on), stage, terms)
    return SurvivalAudit(
        id=f"{batch.id}@{stage.id}.1",
        order_id=order.id,
        batch_id=batch.id,
        stage=stage.id,
        figure=stage.figure,
        attempt=1,
        opens_on=opens_on.isoformat(),
        due_on=due_on.isoformat(),
        band_bp=terms.band_bp(rainfall, stage.figure),
        must_meet=terms.reading(stage.figure),
        **_NOT_DONE,
    )


def window(planted_on: date, stage: AuditStage, terms: AfterTerms) -> tuple[date, date]:
    """First and last day of a stage's count."""
    if terms.season is None:
        middle = _months_after(planted_on, stage.months)
        return middle - timedelta(days=terms.window_d), middle + timedelta(days=terms.window_d)
    opens, closes = (_month_and_day(text) for text in terms.season)
    year = planted_on.year if date(planted_on.year, *opens) > planted_on else planted_on.year + 1
    year += stage.autumn - 1
    return date(year, *opens), date(year + (closes < opens), *closes)


def record_audit(state: PartnerState, command: RecordAudit, context: Context) -> Decision:
    """Take a count in. Below the band the order goes to replanting; what can't be relied on is counted again.

    Raises `unknown_order`, `order_held`, `not_watched`, `unknown_audit`, `audit_done`, `bad_audit`.
    """
    order = the_order(state, command.order)
    if order.held and not is_standing_hold(
        order.held
    ):  # counting asks nothing of a partner that may not be asked
        raise Rejected("order_held", order=order.id, reason=order.held)
    if order.state not in COUNTED_STATES:
        raise Rejected("not_watched", order=order.id, state=order.state)
    audit = state.audits.get(command.audit) if command.audit in state.audits else None
    if audit is None or audit.order_id != order.id:
        raise Rejected("unknown_audit", audit=command.audit)
    if audit.state != "planned":
        raise Rejected("audit_done", audit=audit.id)
    batch, terms = state.batches[audit.batch_id], after_of(state, order, context)
    estimate = _counted(batch, command, context.now)
    _check_dead(state, batch, command, estimate)
    done = _done(audit, batch, command, estimate, terms, context.now)
    return Decision(_what_follows(state, order, batch, done, terms, context), _told(done))


def verdict_of(
    audit: SurvivalAudit, estimate: Estimate, plots: int, is_usable: str, terms: AfterTerms
) -> tuple[str, str]:
    """(verdict, why): too few plots or an unfit count say nothing, whichever way the rate points.

    A census has looked at every tree: its rate decides, whatever the interval of the chances behind it.
    """
    if is_usable:
        return "inconclusive", is_usable
    if audit.method == "plots" and (plots < terms.plots_min or estimate.low_bp is None):
        return "inconclusive", "too_few_plots"
    if estimate.rate_bp < audit.band_bp:
        return "below_band", ""
    low_bp = estimate.low_bp if estimate.low_bp is not None else 0
    if audit.must_meet == "lower_bound" and audit.method == "plots" and low_bp < audit.band_bp:
        return "inconclusive", "interval_spans_band"
    return "in_band", ""


def has_passed(audits: Iterable[SurvivalAudit], batches: Iterable[str], stage: str) -> bool:
    """Whether every one of the batches was found in band at the stage."""
    in_band = {audit.batch_id for audit in audits if audit.stage == stage and audit.verdict == "in_band"}
    return set(batches) <= in_band


# --- what was counted -----------------------------------------------------------------------------


def _counted(batch: Batch, command: RecordAudit, now: int) -> Estimate:
    visited_on = _day(command.visited_on)
    if visited_on > local_day(now + DAY_MS, "UTC"):
        raise Rejected("bad_audit", field="visited_on", expected="not in the future")
    if visited_on < _day(batch.planted_to_on):
        raise Rejected("bad_audit", field="visited_on", expected=f"after planting, {batch.planted_to_on}")
    if command.method not in METHODS:
        raise Rejected("bad_audit", field="method", expected=METHODS)
    if not command.surveyor:
        raise Rejected("bad_audit", field="surveyor", expected="who counted")
    return _estimate(batch, command.method, command.plots)


def _estimate(batch: Batch, method: str, plots: tuple[PlotCount, ...]) -> Estimate:
    if not 1 <= len(plots) <= PLOTS_MAX:
        raise Rejected("bad_audit", field="plots", expected=f"1 to {PLOTS_MAX} plots")
    names = [plot.plot for plot in plots]
    if len(set(names)) < len(names):
        raise Rejected(
            "bad_audit", field="plots", plot=max(names, key=names.count), expected="each plot once"
        )
    for plot in plots:
        if not (plot.planted >= 1 and 0 <= plot.alive <= plot.planted):
            raise Rejected(
                "bad_audit", field="plots", plot=plot.plot, expected="0 ≤ alive ≤ planted, 1 ≤ planted"
            )
    total = sum(plot.planted for plot in plots)
    if total > batch.reported or (method == "census" and total < batch.verified):
        raise Rejected(
            "bad_audit", field="plots", planted=total, expected=f"of {batch.verified} verified trees"
        )
    if method == "census":
        return from_census(total, sum(plot.alive for plot in plots))
    return from_plots([Plot(plot.planted, plot.alive) for plot in plots])


def _check_dead(state: PartnerState, batch: Batch, command: RecordAudit, estimate: Estimate) -> None:
    """Only trees that are told apart can be named, and no more than were counted dead."""
    if not command.dead:
        return
    pooled = state.order_lines[batch.line_id].granularity == "pooled"
    known = set(command.dead) <= set(batch.units) and len(set(command.dead)) == len(command.dead)
    if pooled or not known or len(command.dead) > estimate.planted - estimate.alive:
        raise Rejected("bad_audit", field="dead", expected="trees of the batch, told apart, counted dead")


def _done(
    audit: SurvivalAudit,
    batch: Batch,
    command: RecordAudit,
    estimate: Estimate,
    terms: AfterTerms,
    now: int,
) -> SurvivalAudit:
    conflicted = command.has_conflict or _is_of_partner(command.surveyor, batch)
    done = replace(
        audit,
        state="done",
        visited_on=command.visited_on,
        method=command.method,
        surveyor=command.surveyor,
        is_conflicted=conflicted,
        n=estimate.planted,
        alive=estimate.alive,
        rate_bp=estimate.rate_bp,
        low_bp=estimate.low_bp,
        high_bp=estimate.high_bp,
        done_at=now,
        plots=[[plot.plot, plot.planted, plot.alive] for plot in command.plots],
        dead=list(command.dead),
    )
    unfit = ""
    if not audit.opens_on <= command.visited_on <= audit.due_on:
        unfit = "outside_window"
    elif conflicted and not terms.takes_conflicted:
        unfit = "conflict_of_interest"
    done.verdict, done.why = verdict_of(done, estimate, len(command.plots), unfit, terms)
    return done


def _is_of_partner(surveyor: str, batch: Batch) -> bool:
    """Who planted has an interest in what is found, whatever they say of themselves."""
    partner = batch.submitted_by.partition("/")[0]
    return surveyor == partner or surveyor.startswith(f"{partner}/")


def _what_follows(
    state: PartnerState,
    order: PlantingOrder,
    batch: Batch,
    done: SurvivalAudit,
    terms: AfterTerms,
    context: Context,
) -> list[object]:
    events: list[object] = [a.AuditDone(done)]
    if done.verdict == "inconclusive":
        events.append(a.AuditsPlanned([_again(done, terms, context.now)]))
    if done.verdict == "in_band":
        audits = [one for one in state.audits.where("order_id", order.id) if one.id != done.id]
        names = [name for line in order.lines for name in state.order_lines[line].batches]
        counted = [name for name in names if state.batches[name].verified]
        if has_passed([*audits, done], counted, done.stage):
            events.append(a.StagePassed(order.id, done.stage, context.now))
    if done.verdict == "below_band" and order.state == "monitoring":
        events.append(e.OrderMoved(order.id, "replanting", "below_band", context.now, context.now))
    else:
        note = f"audit_{done.verdict}"
        events.append(e.OrderFollowedUp(order.id, order.reminders, None, context.now, note, context.now))
    return events


def _again(done: SurvivalAudit, terms: AfterTerms, now: int) -> SurvivalAudit:
    """The next attempt: in the window that is left, or in one that begins now."""
    attempt, today = done.attempt + 1, local_day(now, "UTC")
    opens_on, due_on = done.opens_on, done.due_on
    if due_on <= today.isoformat():
        opens_on, due_on = today.isoformat(), (today + timedelta(days=terms.again_d)).isoformat()
    name = f"{done.batch_id}@{done.stage}.{attempt}"
    return replace(
        done, id=name, attempt=attempt, opens_on=opens_on, due_on=due_on, **_NOT_DONE, plots=[], dead=[]
    )


def _told(done: SurvivalAudit) -> dict[str, object]:
    return {
        "audit": done.id,
        "verdict": done.verdict,
        "why": done.why,
        "rate_bp": done.rate_bp,
        "low_bp": done.low_bp,
        "high_bp": done.high_bp,
    }


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _month_and_day(text: str) -> tuple[int, int]:
    month, day = text.split("-")
    return int(month), int(day)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Rejected("bad_audit", field="visited_on", expected="a day, 2027-09-15") from None
