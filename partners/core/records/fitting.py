"""Whether the terms of an agreement fit together: each rule with the field, what was found, and what is expected."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from engine.core.errors import Rejected
from partners.core.model import ORDER_TREES_MAX
from partners.core.records.agreed import AgreementTerms

PRICES_MAX = 500
SEASONS_MAX = 12
DAYS_MAX = 3_660
MILESTONES = ("accepted", "planted", "verified", "m12_in_band", "m36_in_band", "completed")
BAND_READINGS = ("estimate", "lower_bound")
WHO_PAYS = ("partner", "funder", "shared")
CLAIM_POLICIES = ("exclusive", "co_funded")

Rule = tuple[str, object, str, bool]  # field, found, expected, whether it holds


def check_terms(terms: AgreementTerms, starts_on: str, ends_on: str) -> None:
    """Raises `bad_agreement` naming the field, what was found and what is expected."""
    rules = (*_order_rules(terms, starts_on, ends_on), *_timer_rules(terms), *_payment_rules(terms))
    for field, found, expected, holds in rules:
        if not holds:
            raise Rejected("bad_agreement", field=field, found=str(found), expected=expected)


def _order_rules(terms: AgreementTerms, starts_on: str, ends_on: str) -> list[Rule]:
    rows = [(price.species, price.site) for price in terms.prices]
    bands = (terms.survival_m12, terms.survival_m36)
    return [
        ("ends_on", ends_on, f"a day after {starts_on}", _day(starts_on) < _day(ends_on)),
        (
            "minimum_trees",
            terms.minimum_trees,
            f"1 to {ORDER_TREES_MAX:,}",
            1 <= terms.minimum_trees <= ORDER_TREES_MAX,
        ),
        ("tolerance_pct", terms.tolerance_pct, "0 to 100", 0 <= terms.tolerance_pct <= 100),
        ("prices", len(rows), f"1 to {PRICES_MAX} rows", 1 <= len(rows) <= PRICES_MAX),
        ("prices", rows, "one price for a species and site", len(set(rows)) == len(rows)),
        (
            "prices",
            [price.unit_price_minor for price in terms.prices],
            "at least 1 minor unit",
            all(price.unit_price_minor >= 1 for price in terms.prices),
        ),
        ("survival", [band.pct for band in bands], "1 to 100", all(1 <= band.pct <= 100 for band in bands)),
        (
            "survival",
            [band.reading for band in bands],
            f"one of {', '.join(BAND_READINGS)}",
            all(band.reading in BAND_READINGS for band in bands),
        ),
        ("evidence_min", terms.evidence_min, "1 to 50 files a batch", 1 <= terms.evidence_min <= 50),
    ]


def _timer_rules(terms: AgreementTerms) -> list[Rule]:
    timers = terms.timers
    in_order = (*timers.reminders_d, timers.escalate_d, timers.expire_d)
    return [
        (
            "seasons",
            len(terms.seasons),
            f"1 to {SEASONS_MAX} windows",
            1 <= len(terms.seasons) <= SEASONS_MAX,
        ),
        (
            "seasons",
            [one.id for one in terms.seasons],
            "an id for each, and each id once",
            len({one.id for one in terms.seasons if one.id}) == len(terms.seasons),
        ),
        (
            "seasons",
            [(one.order_by, one.opens, one.closes) for one in terms.seasons],
            "days of any year as MM-DD",
            all(_is_month_day(on) for one in terms.seasons for on in (one.order_by, one.opens, one.closes)),
        ),
        (
            "timers",
            in_order,
            "reminders, then escalate_d, then expire_d, each later than the one before",
            all(0 < first < then for first, then in pairwise(in_order)),
        ),
        (
            "timers",
            (timers.report_d, timers.report_escalate_d, timers.payments_hold_d),
            "report_d ≤ report_escalate_d ≤ payments_hold_d, at least 1",
            1 <= timers.report_d <= timers.report_escalate_d <= timers.payments_hold_d,
        ),
        (
            "timers",
            (timers.dispute_answer_workdays, timers.dispute_decide_d, timers.disturbance_report_d),
            f"1 to {DAYS_MAX} days, or left out",
            all(
                days is None or 1 <= days <= DAYS_MAX
                for days in (
                    timers.dispute_answer_workdays,
                    timers.dispute_decide_d,
                    timers.disturbance_report_d,
                )
            ),
        ),
        (
            "timers",
            (timers.expire_d, timers.hold_d),
            f"1 to {DAYS_MAX} days",
            all(1 <= days <= DAYS_MAX for days in (timers.expire_d, timers.hold_d, timers.payments_hold_d)),
        ),
    ]


def _payment_rules(terms: AgreementTerms) -> list[Rule]:
    shares = sum(milestone.pct for milestone in terms.milestones)
    return [
        ("milestones", shares, "shares that add up to 100 per cent", shares == 100),
        (
            "milestones",
            [milestone.when for milestone in terms.milestones],
            f"each once, of {', '.join(MILESTONES)}",
            len({one.when for one in terms.milestones}) == len(terms.milestones)
            and all(one.when in MILESTONES and one.pct >= 1 for one in terms.milestones),
        ),
        (
            "replacement_pays",
            terms.replacement_pays,
            f"one of {', '.join(WHO_PAYS)}",
            terms.replacement_pays in WHO_PAYS,
        ),
        (
            "claim_policy",
            terms.claim_policy,
            f"one of {', '.join(CLAIM_POLICIES)}",
            terms.claim_policy in CLAIM_POLICIES,
        ),
        (
            "claim_share_pct",
            terms.claim_share_pct,
            "100 where claims are exclusive, else 1 to 99",
            terms.claim_share_pct == 100
            if terms.claim_policy == "exclusive"
            else 1 <= terms.claim_share_pct <= 99,
        ),
    ]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Rejected(
            "bad_agreement", field="starts_on or ends_on", found=text[:40], expected="YYYY-MM-DD"
        ) from None


def _is_month_day(text: str) -> bool:
    try:
        date.fromisoformat(f"2001-{text}")
    except ValueError:
        return False
    return True
