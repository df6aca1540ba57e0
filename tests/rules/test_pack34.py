"""The 34 behaviours: which they are, what each is worth by an independent reckoning, and real rides and charges.

Figures are typed from the published tables, in kg CO2e, not read from the rule files.
"""

from __future__ import annotations

import csv
import re
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.core.errors import Rejected
from engine.core.quantify import assess, booked_alone_g
from engine.core.rules import RuleBook
from engine.rulebook import check_rulebook, shipped_rules
from engine.rulefiles import models as m
from engine.rulefiles.checks import cited_in
from tests.rules.behaviour_page import CONFIDENCES, MARK, PAGE, behaviour_files, page_with_tables

ON = date(2026, 11, 22)
DONE = "2026-11-22T04:30:00Z"
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


def sold(goods: str) -> dict[str, object]:
    """A second-hand sale that was completed."""
    return {"goods": goods, "completed_at": DONE}


def passed_on(device: str) -> dict[str, object]:
    """A device that the recycler has inspected."""
    return {"device": device, "inspected_at": DONE}


def bought(appliance: str) -> dict[str, object]:
    """An appliance that was received."""
    return {"appliance": appliance, "account": "x-1", "received_at": DONE}


def read(*before: str) -> dict[str, object]:
    """A month's reading with what was used in the years before."""
    return {"before_kwh": " ".join(before), "account": "m-1", "read_at": DONE}


def stood(engine: str) -> dict[str, object]:
    """A day on which a car of that engine stood."""
    return {"engine": engine, "ended_at": DONE}


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


# --- which they are ---------------------------------------------------------------------------------


def test_the_34_by_category(shipped: RuleBook) -> None:
    found: dict[str, set[str]] = {name: set() for name in IDS}
    for behaviour in shipped.behaviours.values():
        found[behaviour.category].add(behaviour.id)
    assert found == IDS
    assert len(shipped.behaviours) == 34


def test_every_behaviour_is_reckoned_here_or_beside_the_first_eight(shipped: RuleBook) -> None:
    from tests.rules.test_shipped import RECKONED as FIRST

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


# --- what they rest on ------------------------------------------------------------------------------


def test_how_sure_the_numbers_are_is_what_the_files_say() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in shipped_rules().rglob("*.yaml"))
    written = {one: len(re.findall(rf"\bconfidence: {one}\b", text)) for one in CONFIDENCES}
    assert dict(check_rulebook().values) == written
    told = CliRunner().invoke(app, ["rules", "check"])
    assert told.exit_code == 0
    assert "values: " + ", ".join(f"{written[one]} {one}" for one in CONFIDENCES) in told.output
    assert min(written.values()) > 30


def test_every_factor_is_used_by_a_behaviour(shipped: RuleBook) -> None:
    used: set[str] = set()
    for file in shipped_rules().glob("behaviours/*/*.yaml"):
        text = file.read_text(encoding="utf-8")
        used |= {name for name in shipped.factors if re.search(rf"(: |\[|\{{){name}(?=[,}}\s])", text)}
    waiting = list(used)
    while waiting:
        for part in shipped.factors[waiting.pop()].parts:
            if part.factor not in used:
                used.add(part.factor)
                waiting.append(part.factor)
    assert used == set(shipped.factors)
    assert check_rulebook().warnings == ()


def test_every_figure_can_be_taken(shipped: RuleBook) -> None:
    for factor in shipped.factors.values():
        assert bool(factor.by_region) != bool(factor.parts)
        for region, figures in factor.by_region.items():
            for figure in figures:
                user = None if region in factor.fallback else region
                taken = factor.find(max(date(figure.year, 7, 1), figure.value.since), user)
                assert taken == figure, (factor.id, region, figure.year)


def test_british_figures_are_those_of_the_tables(shipped: RuleBook, shared_folder: Path) -> None:
    tables = sorted((shared_folder / "data/factors/defra2025").glob("*.csv"))
    if not tables:
        pytest.skip("the British tables are not there")
    published: dict[str, str] = {}
    for table in tables:
        with table.open(encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                published[row["ID"]] = row["GHG Conversion Factor 2025"]
    seen = 0
    for factor in shipped.factors.values():
        for figures in factor.by_region.values():
            for figure in figures:
                if figure.value.references == ("defra-2025",):
                    named = re.search(r"row ([0-9_]+)$", figure.table)
                    assert named is not None, factor.id
                    assert figure.value.amount == Fraction(published[named[1]]), factor.id
                    seen += 1
    assert seen >= 25


PROVINCES = {
    "Beijing": "BJ", "Tianjin": "TJ", "Hebei": "HE", "Shanxi": "SX", "Inner Mongolia": "NM", "Liaoning": "LN",
    "Jilin": "JL", "Heilongjiang": "HL", "Shanghai": "SH", "Jiangsu": "JS", "Zhejiang": "ZJ", "Anhui": "AH",
    "Fujian": "FJ", "Jiangxi": "JX", "Shandong": "SD", "Henan": "HA", "Hubei": "HB", "Hunan": "HN",
    "Guangdong": "GD", "Guangxi": "GX", "Hainan": "HI", "Chongqing": "CQ", "Sichuan": "SC", "Guizhou": "GZ",
    "Yunnan": "YN", "Shaanxi": "SN", "Gansu": "GS", "Qinghai": "QH", "Ningxia": "NX", "Xinjiang": "XJ",
}  # fmt: skip


def test_the_grid_of_every_province_and_year(shipped: RuleBook, shared_folder: Path) -> None:
    file = shared_folder / "data/factors/china_grid_factors.csv"
    if not file.is_file():
        pytest.skip("the grid's table is not there")
    with file.open(encoding="utf-8") as rows:
        table = [row for row in csv.DictReader(rows) if row["level"] != "region"]
    assert len(table) == 63
    for row in table:
        region = "CN" if row["level"] == "nation" else f"CN-{PROVINCES[row['area_en']]}"
        # a month's saving of 30 kWh in July of the year, by plain arithmetic
        mg_wanted = int(30 * Decimal(row["value"]) * 1_000_000)
        worth = assess(
            shipped, "power-saving", Decimal(70), "kWh", date(int(row["year"]), 7, 1), read("100"), region
        )
        assert worth.avoided_mg == mg_wanted, (region, row["year"])
    # Tibet has no figure, and later years none yet: the nation's, and the last one
    for region, on, value in (("CN-XZ", date(2022, 7, 1), "0.5366"), ("CN-HE", date(2026, 7, 1), "0.7252")):
        worth = assess(shipped, "power-saving", Decimal(70), "kWh", on, read("100"), region)
        assert worth.avoided_mg == int(30 * Decimal(value) * 1_000_000)


# --- real rides and charges -------------------------------------------------------------------------


def test_real_rides_of_shared_bikes(shipped: RuleBook, shared_folder: Path) -> None:
    """A quarter of Pittsburgh's bike sharing, as an operator would report it.

    A ride becomes an activity with the straight line between its two docks, in whole metres, on the local day on
    which it began. The file has no riders, so the cap of rides a day does not come in. Rides that end where they
    began have no such line, and one dock has no place in the list: neither is reported.
    """
    rides, docks = (
        shared_folder / "data/real" / name
        for name in ("healthyride_rentals_2018_q1.csv", "healthyride_stations_2017.csv")
    )
    if not (rides.is_file() and docks.is_file()):
        pytest.skip("the files of rides and docks are not there")
    with docks.open(encoding="utf-8") as rows:
        places = {
            row["Station #"]: (float(row["Latitude"]), float(row["Longitude"]))
            for row in csv.DictReader(rows)
        }
    reported = energy_g = avoided_mg = expected_g = expected_mg = cut = 0
    with rides.open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            start, end = row["From station id"], row["To station id"]
            if start == end or start not in places or end not in places:
                continue
            metres = metres_between(places[start], places[end])
            on = datetime.strptime(row["Starttime"] + " +0000", "%m/%d/%Y %H:%M %z").date()
            if metres < 100:
                with pytest.raises(Rejected, match="quantity_out_of_range"):
                    assess(shipped, "bike-sharing", Decimal(metres) / 1000, "km", on, {}, None)
                continue
            worth = assess(shipped, "bike-sharing", Decimal(metres) / 1000, "km", on, {}, None)
            reported += 1
            energy_g += worth.energy_g
            avoided_mg += worth.avoided_mg
            expected_g += min(159, metres * 50 // 1000)  # 50 g a kilometre, at most 159 g a ride
            expected_mg += metres * 50  # 50 g a kilometre are 50 mg a metre
            cut += metres * 50 // 1000 > 159
    assert (energy_g, avoided_mg) == (expected_g, expected_mg)
    assert (reported, cut) == (4_132, 667)
    assert (energy_g, avoided_mg) == (347_228, 387_579_550)


def metres_between(one: tuple[float, float], other: tuple[float, float]) -> int:
    """The great circle between two places (degrees north, degrees east), in whole metres."""
    north, other_north = radians(one[0]), radians(other[0])
    half = sin((other_north - north) / 2) ** 2
    half += cos(north) * cos(other_north) * sin(radians(other[1] - one[1]) / 2) ** 2
    return round(2 * 6_371_000 * asin(sqrt(half)))


@pytest.mark.parametrize(
    ("province", "grid", "total_mg"),
    [(None, "0.5306", 5_494_893_000), ("CN-HE", "0.7252", 3_565_434_000), ("CN-YN", "0.1073", 9_691_912_500)],
)
def test_real_charges_of_electric_cars(
    shipped: RuleBook, shared_folder: Path, province: str | None, grid: str, total_mg: int
) -> None:
    """1,700 charges at workplaces in the United States, as if they had been in a Chinese province today.

    A session becomes an activity with its electricity. The file writes its years as 14 and 15; they are moved to
    2024 and 2025, whose last known grid is that of 2022 in provinces and of 2023 in the nation. Sessions below a
    tenth of a kilowatt-hour are refused. The cap of charges a day is left out here, as is the driver.
    """
    file = shared_folder / "data/real/ev_workplace_charging_first_1700.csv"
    if not file.is_file():
        pytest.skip("the file of charges is not there")
    saved = DRIVEN - Fraction(grid)  # kg for a kWh
    energy_g = avoided_mg = expected_g = expected_mg = refused = 0
    with file.open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            year, month, day = map(int, row["created"].split()[0].split("-"))
            on, kwh = date(2010 + year, month, day), Decimal(row["kwhTotal"])
            if kwh < Decimal("0.1"):
                with pytest.raises(Rejected, match="quantity_out_of_range"):
                    assess(shipped, "ev-charging", kwh, "kWh", on, {}, province)
                refused += 1
                continue
            worth = assess(shipped, "ev-charging", kwh, "kWh", on, {}, province)
            energy_g += worth.energy_g
            avoided_mg += worth.avoided_mg
            expected_g += int(kwh * 20)
            expected_mg += int(Fraction(kwh) * saved * 1_000_000)
    assert refused == 28
    assert (energy_g, avoided_mg) == (expected_g, expected_mg)
    assert (energy_g, avoided_mg) == (197_640, total_mg)


def test_a_day_of_reading_books_no_more_than_its_cap(shipped: RuleBook) -> None:
    now = shipped.behaviours["paperless-reading"].on(ON)
    assert now is not None
    worth = [
        assess(shipped, "paperless-reading", Decimal(n), "min", ON, {}, None).energy_g
        for n in (119, 120, 1440)
    ]
    assert worth == [148, 150, 1800]
    assert [booked_alone_g(now, energy_g) for energy_g in worth] == [148, 150, 150]


# --- the page ---------------------------------------------------------------------------------------


def test_the_page_of_behaviours_is_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {mark[1] for mark in MARK.finditer(page)} == {*IDS, "counts", "points-only"}
    assert page == page_with_tables(page), "run: make docs"
