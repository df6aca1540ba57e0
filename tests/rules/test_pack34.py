"""The 34 behaviours: which they are, what they promise, and how sure their numbers are."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.core.quantify import assess, describe
from engine.core.rules import RuleBook
from engine.rulebook import check_rulebook, shipped_rules
from engine.rulefiles import models as m
from engine.rulefiles.checks import cited_in
from tests.rules.acts import DONE, bought
from tests.rules.behaviour_page import CONFIDENCES, MARK, PAGE, behaviour_files, page_with_tables
from tests.rules.test_reckoning import RECKONED
from tests.rules.test_shipped import RECKONED as FIRST

ON = date(2026, 11, 22)
IDS = {
    "green-travel": {
        "walking", "bike-sharing", "bus", "metro", "train-ticket-online", "etc-toll", "shared-e-bike",
        "ev-charging", "car-free-day",
    },
    "avoided-trips": {
        "utility-bill-online", "cinema-ticket-online", "hospital-appointment", "traffic-fine-online",
        "civic-services-online", "green-office", "parking-payment-online", "online-health",
    },
    "reuse": {
        "second-hand-sale", "clothes-recycling", "device-recycling", "parcel-box-return", "rent-instead-of-buy",
    },
    "less-paper-and-plastic": {
        "offline-code-payment", "e-invoice", "e-receipt", "delivery-without-cutlery", "shopping-without-bag",
        "own-cup", "qr-menu-order", "paperless-reading", "e-contract",
    },
    "energy-efficiency": {"efficient-appliance", "green-hotel", "power-saving"},
}  # fmt: skip
POINTS_ONLY = {"online-health", "rent-instead-of-buy", "offline-code-payment"}
HIDDEN = {  # health, fines, taxes, purchases, finance, and what tells of a household or a journey
    "hospital-appointment", "online-health", "traffic-fine-online", "civic-services-online", "utility-bill-online",
    "offline-code-payment", "e-invoice", "e-receipt", "e-contract", "green-hotel", "power-saving",
}  # fmt: skip


def test_the_34_by_category(shipped: RuleBook) -> None:
    found: dict[str, set[str]] = {name: set() for name in IDS}
    for behaviour in shipped.behaviours.values():
        found[behaviour.category].add(behaviour.id)
    assert found == IDS
    assert len(shipped.behaviours) == 34


def test_every_behaviour_is_reckoned(shipped: RuleBook) -> None:
    assert {row[0] for row in (*RECKONED, *FIRST)} == set(shipped.behaviours)


def test_each_has_two_formulas_and_examples_of_use_and_refusal() -> None:
    for name, file in behaviour_files().items():
        assert not isinstance(file.energy, m.NoneFormula), name
        assert any(example.energy_g for example in file.examples), name
        assert any(example.refused for example in file.examples), name
        assert len(file.description.zh) > 8 and len(file.description.en) > 20, name
        assert isinstance(file.avoided, m.NoneFormula) == (name in POINTS_ONLY), name
        avoided = [example.avoided_mg for example in file.examples if example.refused is None]
        if isinstance(file.avoided, m.NoneFormula):
            assert not any(avoided) and len(file.avoided.reason) > 40, name
        else:
            assert any(avoided), name


def test_each_example_can_be_told_in_words(shipped: RuleBook) -> None:
    for file in behaviour_files().values():
        for example in file.examples:
            if example.refused is not None:
                continue
            quantity, unit = Decimal(example.quantity.text), example.unit or file.quantity.unit
            sent: dict[str, object] = dict(example.attributes)
            worth = assess(
                shipped, file.id, quantity, unit, example.on, sent, example.province, example.evidence
            )
            told = describe(worth.trace, shipped)
            assert told[0].startswith(f"{file.names.en}, ")
            assert any(f"result {worth.energy_g:,} g" in line for line in told)
            if not isinstance(file.avoided, m.NoneFormula):
                assert any(f"result {worth.avoided_mg:,} mg CO2e, give or take" in line for line in told)


def test_others_see_grams_only_where_more_would_tell_too_much(shipped: RuleBook) -> None:
    hidden = {name for name, behaviour in shipped.behaviours.items() if behaviour.others_see == "grams"}
    assert hidden == HIDDEN


# what the guides, players and newspapers print: behaviour, quantity, attributes, grams
PRINTED: list[tuple[str, str, dict[str, object], int]] = [
    ("walking", "18040", {}, 296),
    ("bus", "1", {}, 80),
    ("metro", "1", {}, 52),
    ("train-ticket-online", "1", {"completed_at": DONE}, 136),
    ("etc-toll", "1", {}, 23),
    ("utility-bill-online", "1", {}, 262),
    ("cinema-ticket-online", "1", {}, 180),
    ("hospital-appointment", "1", {"visited_at": DONE}, 277),
    ("offline-code-payment", "1", {}, 5),
    ("e-invoice", "1", {}, 5),
    ("qr-menu-order", "1", {}, 7),
    ("efficient-appliance", "1", bought("air-conditioner"), 18_400),
]


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: row[0])
def test_printed_grams_are_given_and_an_example_says_so(
    shipped: RuleBook, row: tuple[str, str, dict[str, object], int]
) -> None:
    behaviour, quantity, attributes, energy_g = row
    unit = shipped.behaviours[behaviour].unit
    assert assess(shipped, behaviour, Decimal(quantity), unit, ON, attributes, None).energy_g == energy_g
    file = behaviour_files()[behaviour]
    assert any(
        example.energy_g == energy_g and example.quantity.text == quantity for example in file.examples
    )


def test_no_other_energy_claims_to_be_documented() -> None:
    claims = {
        name
        for name, file in behaviour_files().items()
        if any(cited.confidence == "documented" for cited in cited_in(file.energy))
    }
    printed = {row[0] for row in PRINTED} - {
        "walking"
    }  # its cap is documented, its grams for a step are derived
    assert claims == printed | {"clothes-recycling"}


PRINTED_CAPS = {
    "walking": {"day_g": 296},
    "metro": {"day_count": 5},
    "train-ticket-online": {"month_count": 10},
    "utility-bill-online": {"month_count": 10, "month_count_per_account": 1},
    "cinema-ticket-online": {"month_count": 10},
    "hospital-appointment": {"month_count": 5},
    "offline-code-payment": {"day_count": 10},
    "e-invoice": {"day_count": 5},
}


def test_printed_caps_and_no_behaviour_without_one(shipped: RuleBook) -> None:
    printed: dict[str, dict[str, int]] = {}
    for name, behaviour in shipped.behaviours.items():
        now = behaviour.on(ON)
        assert now is not None
        assert now.cap_values, f"{name} has no cap"
        for key, cap in now.cap_values.items():
            if cap.confidence == "documented":
                printed.setdefault(name, {})[key] = int(cap.amount)
    assert printed == PRINTED_CAPS


MORNING = {"walking", "e-invoice", "green-office", "paperless-reading"}
COUNTS_FROM = {
    "train-ticket-online": "completed_at",
    "car-free-day": "ended_at",
    "hospital-appointment": "visited_at",
    "second-hand-sale": "completed_at",
    "clothes-recycling": "weighed_at",
    "device-recycling": "inspected_at",
    "rent-instead-of-buy": "returned_at",
    "delivery-without-cutlery": "completed_at",
    "efficient-appliance": "received_at",
    "green-hotel": "checked_out_at",
    "power-saving": "read_at",
}


def test_when_balls_ripen(shipped: RuleBook) -> None:
    for name, behaviour in shipped.behaviours.items():
        now = behaviour.on(ON)
        assert now is not None
        assert (now.ball.ripens == "morning") == (name in MORNING), name
        assert now.ball.counts_from == COUNTS_FROM.get(name, "at"), name
        at_once = name in ("online-health", "e-receipt")
        assert now.ball.ripen_delay_h == (0 if at_once else 24), name


def test_how_sure_the_numbers_are_is_what_the_files_say() -> None:
    files = [
        file for file in shipped_rules().rglob("*.yaml") if file.name != "published.yaml"
    ]  # no rule of ours
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    written = {one: len(re.findall(rf"\bconfidence: {one}\b", text)) for one in CONFIDENCES}
    assert dict(check_rulebook().values) == written
    told = CliRunner().invoke(app, ["rules", "check"])
    assert told.exit_code == 0
    assert "values: " + ", ".join(f"{written[one]} {one}" for one in CONFIDENCES) in told.output
    assert min(written.values()) > 30


def test_the_page_of_behaviours_is_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {mark[1] for mark in MARK.finditer(page)} == {*IDS, "counts", "points-only"}
    assert page == page_with_tables(page), "run: make docs"
