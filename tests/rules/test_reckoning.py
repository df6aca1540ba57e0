"""What an act of each behaviour is worth, reckoned apart from the engine.

Figures are typed from the published tables, in kg CO2e, not read from the rule files.
"""

from __future__ import annotations

from datetime import date
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

import pytest

from engine.core.quantify import assess, booked_alone_g
from engine.core.rules import RuleBook
from tests.rules.acts import DONE, bought, passed_on, read, sold, stood

ON = date(2026, 11, 22)
CAR, CAR_BJ, BUS, METRO = Decimal("0.16725"), Decimal("5.98") / 22, Decimal("0.10385"), Decimal("0.0278")
SMALL, LARGE = Decimal("0.14308"), Decimal("0.26828")
DRIVEN = Fraction("0.16272") * 100 / 15  # 6.67 km by petrol car, which a kWh is good for
GRID, GRID_BJ, GRID_YN, GRID_SC = Decimal("0.5306"), Decimal("0.558"), Decimal("0.1073"), Decimal("0.1404")
IDLING = Fraction("0.16") * Fraction("8.78")  # an hour: gallons, and kg for a gallon
PAPER, BOARD, LDPE, HDPE, PP, FILM, WOOD = (
    Decimal(figure)
    for figure in (
        "1.3450779", "1.19972542", "2.9650779", "3.09515524", "2.57757172", "2.91650513", "0.26950416",
    )
)  # fmt: skip
IT, SMALL_APPLIANCE, CLOTHES = Decimal("24.86547556"), Decimal("5.64794563"), Decimal("22.31")
METAL = Decimal("3.47311953") - Decimal("1.70642359")
SCRAP = Decimal("0.00898311") - Decimal("0.00468568")
MILE, POUND, SHORT_TON = Fraction("1.609344"), Fraction("0.45359237"), Fraction("907.18474")  # km, kg, kg
CAR_US, BUS_US, METRO_US = (
    (Fraction(co2) + (Fraction(ch4) * 28 + Fraction(n2o) * 265) / 1000) / MILE
    for co2, ch4, n2o in (
        ("0.297", "0.0059", "0.0053"),
        ("0.066", "0.0046", "0.0019"),
        ("0.093", "0.0075", "0.001"),
    )
)
GRID_US = Fraction("771.523") * POUND / 1000
SCRAP_US = 20 / SHORT_TON - Fraction(
    "0.00468568"
)  # landfill of the American table, collecting of the British one
METAL_US = Fraction(METAL) * 4 / 5
KIT = PP * 30 + HDPE * 20 + BOARD * 20 + FILM * 3
WATER = Decimal("0.1913") + Decimal("0.17088")


def mix(car: Decimal, bus: Decimal, metro: Decimal, grid: Decimal) -> Decimal:
    """What a kilometre by shared e-bike saves."""
    own = Decimal("0.012") * grid
    return car * 10 / 100 + bus * 35 / 100 + metro * 5 / 100 + own * 20 / 100 - own


# behaviour, quantity, unit, attributes, province, energy in g, avoided in kg
RECKONED: list[tuple[str, str, str, dict[str, object], str | None, int, Decimal | Fraction | int]] = [
    ("train-ticket-online", "1", "ticket", {"completed_at": DONE}, None, 136, 8 * CAR / 20),
    ("train-ticket-online", "1", "ticket", {"completed_at": DONE}, "CN-BJ", 136, 8 * CAR_BJ / 20),
    ("etc-toll", "1", "payment", {}, None, 23, IDLING / 120),
    ("etc-toll", "1", "payment", {"engine": "electric"}, None, 23, 0),
    ("shared-e-bike", "2.999", "km", {}, None, 30, Decimal("2.999") * mix(CAR, BUS, METRO, GRID)),
    ("shared-e-bike", "3", "km", {}, "CN-YN", 60, 3 * mix(CAR, BUS, METRO, GRID_YN)),
    ("shared-e-bike", "6", "km", {}, "CN-BJ", 100, 6 * mix(CAR_BJ, CAR_BJ / 4, Decimal("1.35") / 22, GRID_BJ)),
    ("ev-charging", "12.345", "kWh", {}, None, 246, Fraction("12.345") * (DRIVEN - Fraction("0.5306"))),
    ("ev-charging", "45", "kWh", {}, "CN-YN", 600, 45 * (DRIVEN - Fraction("0.1073"))),
    ("car-free-day", "1", "day", stood("up-to-1.6l"), None, 500, 33 * SMALL * 3 / 10),
    ("car-free-day", "1", "day", stood("above-2.5l"), None, 2400, 33 * LARGE * 3 / 10),
    ("car-free-day", "1", "day", stood("electric"), "CN-BJ", 200, 33 * GRID_BJ * 15 / 100 * 3 / 10),
    ("cinema-ticket-online", "1", "ticket", {}, None, 180, 6 * CAR / 50),
    ("hospital-appointment", "1", "visit", {"visited_at": DONE}, None, 277, CAR),
    ("traffic-fine-online", "1", "payment", {}, None, 50, 2 * CAR),
    ("civic-services-online", "1", "item", {"service": "application"}, None, 100, CAR),
    ("civic-services-online", "1", "item", {"service": "tax-refund"}, "CN-BJ", 4, 0),
    ("civic-services-online", "1", "item", {"service": "several-offices"}, "CN-BJ", 200, 2 * CAR_BJ),
    ("green-office", "1", "item", {"work": "video-meeting"}, None, 17, 8 * CAR / 10 - Decimal("0.03144")),
    ("green-office", "1", "item", {"work": "approval"}, None, 3, Decimal("0.0099792") * PAPER / 2),
    ("parking-payment-online", "1", "payment", {}, None, 5, IDLING / 240),
    ("online-health", "1", "item", {}, None, 3, 0),
    ("second-hand-sale", "1", "item", sold("phone"), None, 500, IT / 10 - BOARD / 10),
    ("second-hand-sale", "1", "item", sold("appliance"), None, 300, SMALL_APPLIANCE - BOARD / 10),
    ("second-hand-sale", "1", "item", sold("clothing"), None, 300, CLOTHES * 15 / 100 - BOARD / 10),
    ("second-hand-sale", "1", "item", sold("book"), None, 50, PAPER * 12 / 100 - BOARD / 10),
    ("second-hand-sale", "1", "item", sold("furniture"), None, 500, WOOD * 75 / 10 - BOARD / 10),
    ("device-recycling", "1", "device", passed_on("phone"), None, 1000, (SCRAP * 2 / 10 + METAL / 20) / 5),
    ("device-recycling", "1", "device", passed_on("refrigerator"), None, 5000, (60 * SCRAP + 30 * METAL) / 5),
    ("parcel-box-return", "1", "box", {}, None, 37, BOARD * 31 / 1000),
    ("rent-instead-of-buy", "1", "order", {"returned_at": DONE}, None, 100, 0),
    ("offline-code-payment", "1", "payment", {}, None, 5, 0),
    ("e-receipt", "1", "piece", {}, None, 4, PAPER / 2000),
    ("shopping-without-bag", "1", "order", {}, None, 21, LDPE * 7 / 1000),
    ("own-cup", "1", "cup", {}, None, 33, (BOARD * 115 / 10 + LDPE / 2 + PP * 35 / 10 - WATER / 2) / 1000),
    ("qr-menu-order", "1", "order", {}, None, 7, PAPER / 500),
    ("paperless-reading", "45", "min", {}, None, 56, (PAPER * 15 - GRID * 3) * 3 / 4 / 1000),
    ("paperless-reading", "45", "min", {}, "CN-SC", 56, (PAPER * 15 - GRID_SC * 3) * 3 / 4 / 1000),
    ("e-contract", "1", "document", {}, None, 5, PAPER * 75 / 10_000),
    ("efficient-appliance", "1", "appliance", bought("air-conditioner"), None, 18_400, 150 * GRID),
    ("efficient-appliance", "1", "appliance", bought("refrigerator"), "CN-YN", 9_200, 75 * GRID_YN),
    ("green-hotel", "1", "stay", {"checked_out_at": DONE}, None, 100, KIT / 1000),
    ("bus", "1", "ride", {}, "US-CA", 80, 6 * (CAR_US - BUS_US) / 4),
    ("metro", "1", "ride", {}, "US-NY", 52, 10 * (CAR_US - METRO_US) / 4),
    ("ev-charging", "10", "kWh", {}, "US-NY", 200, 10 * (CAR_US * 100 / 15 - GRID_US)),
    ("device-recycling", "1", "device", passed_on("television"), "US-CA", 3000, 2 * SCRAP_US + METAL_US),
    ("power-saving", "180", "kWh", read("210", "190"), None, 100, 20 * GRID),
    ("power-saving", "191", "kWh", read("210", "190"), None, 0, 0),
    ("power-saving", "100.5", "kWh", read("161"), "CN-YN", 300, Decimal("60.5") * GRID_YN),
]  # fmt: skip


@pytest.mark.parametrize("row", RECKONED, ids=lambda row: f"{row[0]} {row[1]} {row[4]}")
def test_each_behaviour_against_an_independent_reckoning(shipped: RuleBook, row: tuple[Any, ...]) -> None:
    behaviour, quantity, unit, attributes, province, energy_g, kilograms = row
    result = assess(shipped, behaviour, Decimal(quantity), unit, ON, attributes, province)
    assert (result.energy_g, result.avoided_mg) == (energy_g, mg(kilograms))


def mg(kilograms: Decimal | Fraction | int) -> int:
    """Kilograms as whole milligrams, rounded down."""
    if isinstance(kilograms, Decimal):
        return int((kilograms * 1_000_000).to_integral_value(ROUND_FLOOR))
    return int(Fraction(kilograms) * 1_000_000 // 1)


def test_a_day_of_reading_books_no_more_than_its_cap(shipped: RuleBook) -> None:
    now = shipped.behaviours["paperless-reading"].on(ON)
    assert now is not None
    worth = [
        assess(shipped, "paperless-reading", Decimal(n), "min", ON, {}, None).energy_g
        for n in (119, 120, 1440)
    ]
    assert worth == [148, 150, 1800]
    assert [booked_alone_g(now, energy_g) for energy_g in worth] == [148, 150, 150]
