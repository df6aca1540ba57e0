"""Real rides and real charges give the totals that plain arithmetic gives."""

from __future__ import annotations

import csv
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from math import asin, cos, radians, sin, sqrt
from pathlib import Path

import pytest

from engine.core.errors import Rejected
from engine.core.quantify import assess
from engine.core.rules import RuleBook

DRIVEN = Fraction("0.16272") * 100 / 15  # kg: 6.67 km by petrol car, which a kWh is good for


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
