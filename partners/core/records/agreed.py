"""The terms of an agreement: what they are, whether they fit together, and what follows from them on a day.

They live in the agreement's row as plain data, so that a version that was signed reads the same for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from engine.core.errors import Rejected
from engine.core.units import DAY_MS, local_day, local_instant
from partners.core.after_terms import AfterTerms
from partners.core.after_terms import Milestone as Due
from partners.core.model import ORDER_TREES_MAX, PartnerTerms, Season
from partners.core.records.rows import Agreement

SEASON_YEARS_AHEAD = 3
PRICES_MAX = 500
SEASONS_MAX = 12
DAYS_MAX = 3_660
MILESTONES = ("accepted", "planted", "verified", "m12_in_band", "m36_in_band", "completed")
TRIGGERS = {"m12_in_band": "M12", "m36_in_band": "M36"}
"""Milestones that wait for a count, and its stage; the others wait for the order's state of the same name."""
PERCENT_BP = 100
BAND_READINGS = ("estimate", "lower_bound")
WHO_PAYS = ("partner", "funder", "shared")
CLAIM_POLICIES = ("exclusive", "co_funded")


@dataclass(frozen=True, slots=True)
class Price:
    """What one plant costs: of a species, on a site (any site of the partner where it is empty)."""

    species: str
    unit_price_minor: int
    site: str = ""


@dataclass(frozen=True, slots=True)
class Timers:
    """Days after which something happens when nobody acts; `hold_d`: how long a draft holds its places."""

    reminders_d: tuple[int, ...]
    escalate_d: int
    expire_d: int
    hold_d: int
    report_d: int
    report_escalate_d: int
    payments_hold_d: int


@dataclass(frozen=True, slots=True)
class Window:
    """A planting season of every year, days as MM-DD; one that closes before it opens ends in the next year."""

    id: str
    order_by: str
    opens: str
    closes: str


@dataclass(frozen=True, slots=True)
class Band:
    """The share of planted trees that must stand, per cent, and which figure of the audit must reach it."""

    pct: int
    reading: str = "estimate"


@dataclass(frozen=True, slots=True)
class Milestone:
    """What is paid when: per cent of a line's price, once `when` has come."""

    when: str
    pct: int


@dataclass(frozen=True, slots=True)
class AgreementTerms:
    """All that is agreed with a partner."""

    currency: str
    minimum_trees: int
    tolerance_pct: int
    prices: tuple[Price, ...]
    seasons: tuple[Window, ...]
    timers: Timers
    survival_m12: Band
    survival_m36: Band
    milestones: tuple[Milestone, ...]
    evidence_min: int
    replacement_pays: str
    claim_policy: str
    claim_share_pct: int
    law: str
    dispute_route: str

    def price_of(self, species: str, site: str) -> int | None:
        """The price on this site, else the partner's general one, in minor units; None where none is agreed."""
        for place in (site, ""):
            for price in self.prices:
                if (price.species, price.site) == (species, place):
                    return price.unit_price_minor
        return None

    def season(self, name: str) -> Season | None:
        """The season that `2027-spring` names, or None. The year is the one in which it opens."""
        year_text, _, window_id = name.partition("-")
        window = next((one for one in self.seasons if one.id == window_id), None)
        if window is None or not (len(year_text) == 4 and year_text.isascii() and year_text.isdigit()):
            return None
        try:
            return _season(window, int(year_text))
        except ValueError:  # a day that this year does not have
            return None

    def seasons_from(self, on: date) -> list[Season]:
        """Seasons that still take orders on the day, first first."""
        found = [
            _season(window, on.year + ahead) for ahead in range(SEASON_YEARS_AHEAD) for window in self.seasons
        ]
        now = local_instant(on, 0, "UTC")
        return sorted((one for one in found if one.order_by_at >= now), key=lambda one: one.opens_at)


def terms_of(agreement: Agreement) -> AgreementTerms:
    """The terms in an agreement's row."""
    told = agreement.terms
    timers = told["timers"]
    return AgreementTerms(
        **{
            name: told[name]
            for name in (
                "currency",
                "minimum_trees",
                "tolerance_pct",
                "evidence_min",
                "replacement_pays",
                "claim_policy",
                "claim_share_pct",
                "law",
                "dispute_route",
            )
        },
        prices=tuple(Price(**one) for one in told["prices"]),
        seasons=tuple(Window(**one) for one in told["seasons"]),
        timers=Timers(**{**timers, "reminders_d": tuple(timers["reminders_d"])}),
        survival_m12=Band(**told["survival_m12"]),
        survival_m36=Band(**told["survival_m36"]),
        milestones=tuple(Milestone(**one) for one in told["milestones"]),
    )


def as_row_terms(terms: AgreementTerms) -> dict[str, Any]:
    """The terms as an agreement's row keeps them: lists for tuples, as they come back from the database."""
    told = asdict(terms)
    for name in ("prices", "seasons", "milestones"):
        told[name] = list(told[name])
    told["timers"]["reminders_d"] = list(told["timers"]["reminders_d"])
    return told


def with_agreement(terms: PartnerTerms, agreement: Agreement | None) -> PartnerTerms:
    """What holds with a partner under an agreement: its timers and figures, and what the adapter can do."""
    if agreement is None:
        return terms
    agreed = terms_of(agreement)
    timers = agreed.timers
    return replace(
        terms,
        after=_after(terms.after, agreed),
        tolerance_pct=agreed.tolerance_pct,
        reminders_ms=tuple(days * DAY_MS for days in timers.reminders_d),
        escalate_ms=timers.escalate_d * DAY_MS,
        expire_ms=timers.expire_d * DAY_MS,
        evidence_min=agreed.evidence_min,
        report_overdue_ms=timers.report_d * DAY_MS,
        report_escalate_ms=timers.report_escalate_d * DAY_MS,
        hold_ms=timers.hold_d * DAY_MS,
    )


def _after(terms: AfterTerms, agreed: AgreementTerms) -> AfterTerms:
    """What the agreement says of the time after planting; what it does not say (stages, reviews, disputes) stays."""
    bands = {"survival": agreed.survival_m12, "preservation": agreed.survival_m36}
    return replace(
        terms,
        own_share_pct=agreed.claim_share_pct,
        bands_bp={"": {figure: band.pct * PERCENT_BP for figure, band in bands.items()}},
        readings={figure: band.reading for figure, band in bands.items()},
        milestones=tuple(
            Due(TRIGGERS.get(one.when, one.when), TRIGGERS.get(one.when, one.when), one.pct)
            for one in agreed.milestones
        ),
        payments_hold_ms=agreed.timers.payments_hold_d * DAY_MS,
    )


def is_in_force(agreement: Agreement | None, now: int) -> bool:
    """Whether new orders may be placed under it now."""
    if agreement is None or agreement.status != "active":
        return False
    today = local_day(now, "UTC").isoformat()
    return agreement.starts_on <= today <= agreement.ends_on


def check_terms(terms: AgreementTerms, starts_on: str, ends_on: str) -> None:
    """Raises `bad_agreement` naming the field, what was found and what is expected."""
    for field, found, expected, holds in _rules(terms, starts_on, ends_on):
        if not holds:
            raise Rejected("bad_agreement", field=field, found=str(found), expected=expected)


def _rules(terms: AgreementTerms, starts_on: str, ends_on: str) -> list[tuple[str, object, str, bool]]:
    timers = terms.timers
    in_order = (*timers.reminders_d, timers.escalate_d, timers.expire_d)
    rows = [(price.species, price.site) for price in terms.prices]
    shares = sum(milestone.pct for milestone in terms.milestones)
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
            (timers.expire_d, timers.hold_d),
            f"1 to {DAYS_MAX} days",
            all(1 <= days <= DAYS_MAX for days in (timers.expire_d, timers.hold_d, timers.payments_hold_d)),
        ),
        ("milestones", shares, "shares that add up to 100 per cent", shares == 100),
        (
            "milestones",
            [milestone.when for milestone in terms.milestones],
            f"each once, of {', '.join(MILESTONES)}",
            len({one.when for one in terms.milestones}) == len(terms.milestones)
            and all(one.when in MILESTONES and one.pct >= 1 for one in terms.milestones),
        ),
        ("survival", [band.pct for band in bands], "1 to 100", all(1 <= band.pct <= 100 for band in bands)),
        (
            "survival",
            [band.reading for band in bands],
            f"one of {', '.join(BAND_READINGS)}",
            all(band.reading in BAND_READINGS for band in bands),
        ),
        ("evidence_min", terms.evidence_min, "1 to 50 files a batch", 1 <= terms.evidence_min <= 50),
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


def season_facts(season: Season) -> Mapping[str, int]:
    """A season's instants, as a quota keeps them."""
    return {"opens_at": season.opens_at, "closes_at": season.closes_at, "order_by_at": season.order_by_at}


def _season(window: Window, year: int) -> Season:
    opens_on = date.fromisoformat(f"{year}-{window.opens}")
    closes_on = date.fromisoformat(f"{year}-{window.closes}")
    if closes_on < opens_on:
        closes_on = date.fromisoformat(f"{year + 1}-{window.closes}")
    order_by_on = date.fromisoformat(f"{year}-{window.order_by}")
    if order_by_on > opens_on:
        order_by_on = date.fromisoformat(f"{year - 1}-{window.order_by}")
    return Season(
        id=f"{year}-{window.id}",
        opens_at=local_instant(opens_on, 0, "UTC"),
        closes_at=_end(closes_on),
        order_by_at=_end(order_by_on),
    )


def _end(on: date) -> int:
    return local_instant(on + timedelta(days=1), 0, "UTC") - 1


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
