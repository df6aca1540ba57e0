"""The files that a partner gets about an order: the order sheet, and the reports to fill in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core.numbers import order_number
from engine.core.units import local_day
from partners.adapters.files.codes import check_code
from partners.adapters.files.config import SheetPartner
from partners.adapters.files.judging import OrderFacts, major
from partners.adapters.files.letters import sheet_note
from partners.adapters.files.mails import File
from partners.adapters.files.names import Names
from partners.port import OrderSheet
from partners.sheets.kinds import ORDER, PLANTING, SURVIVAL
from partners.sheets.returning import new_file

PLANTING_ROWS = 20
"""Rows that a planting report has for an order; a file that needs more is sent twice."""

SURVIVAL_PLOTS = 10
"""Rows that a survival report has for a batch."""

_FILE_NAMES = {
    "order": {"zh": "订单", "en": "order"},
    "planting": {"zh": "种植报告", "en": "planting-report"},
    "survival": {"zh": "成活调查", "en": "survival-report"},
}


def order_file(partner: SheetPartner, sheet: OrderSheet, names: Names) -> File:
    """The order sheet, one row a line."""
    language = partner.language
    row: dict[str, Any] = {
        "order_no": order_number(sheet.order),
        "line_no": 1,
        "site": names.site(sheet.site, language),
        "species": names.scientific(sheet.species),
        "species_local": names.local(sheet.species, language),
        "quantity": sheet.quantity,
        "season": sheet.season,
        "unit_price": major(sheet.unit_price_minor, sheet.currency),
        "currency": sheet.currency,
        "answer_by": local_day(sheet.answer_by_at, "UTC"),
        "check": check_code(partner.keys[0], partner.id, sheet.order),
    }
    content = new_file(ORDER, language, [row], partner.form, sheet_note(language))
    return File(_name("order", sheet.order, partner), content)


def planting_file(partner: SheetPartner, orders: Sequence[OrderFacts], names: Names) -> File:
    """A planting report for these orders, with numbers for reports that are not used yet."""
    language = partner.language
    rows: list[dict[str, Any]] = []
    for known in orders:
        used = set(known.batches)
        free = [str(number) for number in range(1, PLANTING_ROWS + len(used) + 1) if str(number) not in used]
        rows += [
            {
                "order_no": order_number(known.id),
                "line_no": 1,
                "report_no": report_no,
                "site": names.site(known.site, language),
                "species": names.scientific(known.species),
                "check": check_code(partner.keys[0], partner.id, known.id),
            }
            for report_no in free[:PLANTING_ROWS]
        ]
    content = new_file(PLANTING, language, rows, partner.form, sheet_note(language))
    return File(_name("planting", orders[0].id, partner), content)


def survival_file(partner: SheetPartner, known: OrderFacts) -> File:
    """A survival report for the batches of an order, with rows for plots."""
    row = {"check": check_code(partner.keys[0], partner.id, known.id)}
    rows = [
        row | {"batch_no": f"{order_number(known.id)}/{report_no}", "plot_no": f"P{plot}"}
        for report_no in known.batches
        for plot in range(1, SURVIVAL_PLOTS + 1)
    ]
    content = new_file(SURVIVAL, partner.language, rows, partner.form, sheet_note(partner.language))
    return File(_name("survival", known.id, partner), content)


def _name(kind: str, order: int, partner: SheetPartner) -> str:
    return f"{order_number(order)}-{_FILE_NAMES[kind][partner.language]}.{partner.form}"
