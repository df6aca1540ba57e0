"""A partner's statement of its orders, XLSX or CSV, in Chinese or English: read like every other file of a partner.

It is only compared. What is in it moves no order and no money.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from partners.adapters.files.judging import minor
from partners.core.reconciling import TheirLine, TheirOrder
from partners.sheets.kinds import Column, FileKind
from partners.sheets.problems import CellProblem
from partners.sheets.reading import Table, TableRow, read_table

AMOUNT_MAX = 10**12

_STATES: Mapping[str, Mapping[str, str]] = {
    "received": {"zh": "已收到", "en": "received"},
    "accepted": {"zh": "已接受", "en": "accepted"},
    "in_planting": {"zh": "种植中", "en": "in planting"},
    "planted": {"zh": "已种植", "en": "planted"},
    "rejected": {"zh": "已拒绝", "en": "rejected"},
    "cancelled": {"zh": "已取消", "en": "cancelled"},
}

STATEMENT = FileKind(
    "statement",
    {"zh": "对账单", "en": "statement"},
    (
        Column("order_no", {"zh": "订单号", "en": "order no."}, "order", True, is_required=True, width=18),
        Column("line_no", {"zh": "行号", "en": "line no."}, "whole", True, least=1, most=999, width=8),
        Column("state", {"zh": "状态", "en": "state"}, "choice", True, choices=_STATES),
        Column("accepted", {"zh": "接受数量（株）", "en": "accepted quantity (trees)"}, "whole", True),
        Column("planted", {"zh": "种植数量（株）", "en": "planted (trees)"}, "whole", True),
        Column("unit_price", {"zh": "单价", "en": "price each"}, "decimal", True, most=AMOUNT_MAX),
        Column("currency", {"zh": "币种", "en": "currency"}, "text", True, characters_max=3, width=8),
        Column("invoiced", {"zh": "已开票金额（含税）", "en": "invoiced (with tax)"}, "decimal", True, most=AMOUNT_MAX),
    ),
    telling=("state", "accepted", "planted", "invoiced"),
)  # fmt: skip


def read_statement(
    data: bytes, language: str, currencies: Mapping[int, str]
) -> tuple[dict[int, TheirOrder], list[CellProblem]]:
    """What the partner says of its orders, and the cells that can't be understood; their rows are left out.

    `currencies`: that of each of our orders, for amounts beside which none is named. Raises FileRefused.
    """
    table = read_table(data, language, (STATEMENT,))
    found: dict[int, TheirOrder] = {}
    invoiced: dict[int, int] = {}
    for row in _usable(table):
        values = row.values
        number = values["order_no"]
        currency = values["currency"] or currencies.get(number, "")
        their = found.setdefault(number, TheirOrder(number))
        their.state = values["state"] or their.state
        their.lines[values["line_no"] or 1] = TheirLine(
            values["accepted"],
            values["planted"],
            _minor(values["unit_price"], currency),
            values["currency"] or None,
        )
        amount = _minor(values["invoiced"], currency)
        if amount is not None:
            invoiced[number] = invoiced.get(number, 0) + amount
    for number, amount in invoiced.items():
        found[number].invoiced_minor = amount
    return found, table.problems


def _usable(table: Table) -> Iterator[TableRow]:
    """Rows without a problem; a line that is there twice, or whose state is another one in the same order, gets one."""
    seen: dict[tuple[int, int], int] = {}
    states: dict[int, tuple[str, int]] = {}
    for row in table.rows:
        if row.problems:
            continue
        number, line_no, state = row.values["order_no"], row.values["line_no"] or 1, row.values["state"]
        first = seen.setdefault((number, line_no), row.number)
        if first != row.number:
            row.problems.append(
                CellProblem(row.number, "line_no", "row_twice", {"other": first, "value": line_no})
            )
            continue
        if state is not None and states.setdefault(number, (state, row.number))[0] != state:
            told = {"other": states[number][1], "value": state}
            row.problems.append(CellProblem(row.number, "state", "row_twice", told))
            continue
        yield row


def _minor(amount: Decimal | None, currency: str) -> int | None:
    return None if amount is None else minor(amount, currency)
