"""Files for the sheet tests: as we send them, as people change them, and as attackers build them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import openpyxl

from partners.sheets.kinds import ORDER, PLANTING, SURVIVAL, FileKind
from partners.sheets.returning import new_file

ORDER_ROW: dict[str, Any] = {
    "order_no": "PO-000042-Z",
    "line_no": 1,
    "site": "内蒙古阿拉善",
    "species": "Haloxylon ammodendron",
    "species_local": "梭梭",
    "quantity": 20,
    "season": "2027-spring",
    "unit_price": Decimal("7.38"),
    "currency": "CNY",
    "answer_by": date(2026, 12, 10),
    "accepted": 12,
    "reason": "苗木不足",
    "check": "abcdefghijklmnopqrst",
}
PLANTING_ROW: dict[str, Any] = {
    "order_no": "PO-000042-Z",
    "line_no": 1,
    "report_no": "1",
    "date_from": date(2026, 3, 5),
    "date_to": date(2026, 3, 6),
    "site": "内蒙古阿拉善",
    "species": "Haloxylon ammodendron",
    "planted": 5,
    "planters": 3,
    "lat": Decimal("38.8"),
    "lon": Decimal("105.7"),
    "polygon_file": "plot.geojson",
    "photos": "a.jpg, b.jpg",
    "notes": "沙地",
    "all_planted": "no",
    "check": "abcdefghijklmnopqrst",
}
SURVIVAL_ROW: dict[str, Any] = {
    "batch_no": "PO-000042-Z/1",
    "visit_date": date(2027, 9, 10),
    "method": "plots",
    "plot_no": "P1",
    "plot_area_m2": Decimal(100),
    "planted_in_plot": 30,
    "alive": 25,
    "dead": 5,
    "cause": "干旱",
    "photo": "p1.jpg",
    "surveyor": "李",
    "check": "abcdefghijklmnopqrst",
}
ROWS: Mapping[str, dict[str, Any]] = {"order": ORDER_ROW, "planting": PLANTING_ROW, "survival": SURVIVAL_ROW}
KINDS: Sequence[FileKind] = (ORDER, PLANTING, SURVIVAL)


def made(kind: FileKind = PLANTING, form: Any = "xlsx", language: str = "zh", rows: Any = None) -> bytes:
    """A file as it would come back filled in."""
    return new_file(kind, language, rows if rows is not None else [ROWS[kind.id]], form)


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """A workbook after somebody worked on it."""
    book = openpyxl.load_workbook(BytesIO(content))
    change(book)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def zipped(parts: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_part(content: bytes, name: str, part: bytes | Callable[[bytes], bytes]) -> bytes:
    """The archive with one part exchanged or added."""
    parts = unzipped(content)
    parts[name] = part if isinstance(part, bytes) else part(parts[name])
    return zipped(parts)
