"""Typed rows of each kind, with what must hold between the cells of a row and between rows of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from partners.sheets.kinds import ORDER, PLANTING, SURVIVAL
from partners.sheets.problems import CellProblem
from partners.sheets.reading import Table, TableRow


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A partner's answer to one line of an order; the rest is what it believes it was asked."""

    row: int
    order: int
    line_no: int
    accepted: int
    reason: str
    check: str
    species: str | None
    quantity: int | None
    unit_price: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class PlantingRow:
    """One planting as a partner reports it. `photos`: names of files."""

    row: int
    order: int
    line_no: int
    report_no: str
    planted_from: date
    planted_to: date
    planted: int
    check: str
    site: str | None
    species: str | None
    planters: int | None
    lat: Decimal | None
    lon: Decimal | None
    polygon_file: str
    photos: tuple[str, ...]
    notes: str
    all_planted: bool


@dataclass(frozen=True, slots=True)
class SurvivalRow:
    """What a surveyor found in one plot of a batch. `area_m2` is None for a census."""

    row: int
    batch_no: str
    visited_on: date
    method: str
    plot_no: str
    area_m2: Decimal | None
    planted: int
    alive: int
    dead: int
    cause: str
    photos: tuple[str, ...]
    surveyor: str
    check: str


Row = AnswerRow | PlantingRow | SurvivalRow


def typed_rows(table: Table) -> list[Row]:
    """The rows without a problem. Those that contradict themselves or another row get their problem here."""
    make = _MAKERS[table.kind.id]
    seen: dict[Any, int] = {}
    found: list[Row] = []
    for row in table.rows:
        if row.problems:
            continue
        row.problems += _CHECKS[table.kind.id](row)
        name = _identity(table.kind.id, row.values)
        if name in seen:
            told = str(name[-1])
            fields = {"other": seen[name], "value": told}
            row.problems.append(CellProblem(row.number, _IDENTITY[table.kind.id], "row_twice", fields))
        seen.setdefault(name, row.number)
        if not row.problems:
            found.append(make(row))
    return found


_IDENTITY = {"order": "line_no", "planting": "report_no", "survival": "plot_no"}


def _identity(kind: str, values: dict[str, Any]) -> tuple[Any, ...]:
    if kind == "order":
        return values["order_no"], values["line_no"]
    if kind == "planting":
        return values["order_no"], values["report_no"]
    return values["batch_no"], values["visit_date"], values["plot_no"]


def _check_answer(row: TableRow) -> list[CellProblem]:
    return []


def _check_planting(row: TableRow) -> list[CellProblem]:
    values, problems = row.values, []
    first, last = values["date_from"], values["date_to"]
    if last < first:
        problems.append(CellProblem(row.number, "date_to", "dates_reversed", {"first": first, "last": last}))
    if (values["lat"] is None) != (values["lon"] is None):
        empty = "lat" if values["lat"] is None else "lon"
        problems.append(CellProblem(row.number, empty, "half_a_place"))
    return problems


def _check_survival(row: TableRow) -> list[CellProblem]:
    values = row.values
    alive, dead, planted = values["alive"], values["dead"], values["planted_in_plot"]
    problems = []
    if alive + dead > planted:
        fields = {"alive": alive, "dead": dead, "planted": planted}
        problems.append(CellProblem(row.number, "alive", "more_than_planted", fields))
    if values["method"] != "census" and values.get("plot_area_m2") is None:
        problems.append(CellProblem(row.number, "plot_area_m2", "missing"))
    return problems


def _answer(row: TableRow) -> AnswerRow:
    values = row.values
    return AnswerRow(
        row.number,
        values["order_no"],
        values["line_no"],
        values["accepted"],
        values["reason"] or "",
        values["check"] or "",
        values["species"],
        values["quantity"],
        values["unit_price"],
        values["currency"],
    )


def _planting(row: TableRow) -> PlantingRow:
    values = row.values
    return PlantingRow(
        row.number,
        values["order_no"],
        values["line_no"],
        values["report_no"],
        values["date_from"],
        values["date_to"],
        values["planted"],
        values["check"] or "",
        values["site"],
        values["species"],
        values["planters"],
        values["lat"],
        values["lon"],
        values["polygon_file"] or "",
        values["photos"] or (),
        values["notes"] or "",
        values["all_planted"] == "yes",
    )


def _survival(row: TableRow) -> SurvivalRow:
    values = row.values
    return SurvivalRow(
        row.number,
        values["batch_no"],
        values["visit_date"],
        values["method"],
        values["plot_no"],
        values["plot_area_m2"],
        values["planted_in_plot"],
        values["alive"],
        values["dead"],
        values["cause"] or "",
        values["photo"] or (),
        values["surveyor"],
        values["check"] or "",
    )


_CHECKS: dict[str, Callable[[TableRow], list[CellProblem]]] = {
    ORDER.id: _check_answer,
    PLANTING.id: _check_planting,
    SURVIVAL.id: _check_survival,
}
_MAKERS: dict[str, Callable[[TableRow], Row]] = {
    ORDER.id: _answer,
    PLANTING.id: _planting,
    SURVIVAL.id: _survival,
}
