"""A certificate as a PDF of one page, with a QR code to its public page; one embedded font has Latin and Chinese."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files

import paperang_p2_fonts_cjk
import segno
from fpdf import FPDF

from partners.certificates import EDITION_CHARACTERS, Certificate, state_of

PAGE_MM = (210.0, 148.0)
MARGIN_MM = 14.0
QR_MM = 34.0
FONT = "wqy"
_GREY = (90, 90, 90)
_GREEN = (38, 94, 60)
_EDITION = {"zh": "版本", "en": "edition"}
_CHECK = {"zh": "扫码查看最新事实", "en": "scan for the facts as they are now"}
_STATES = {"withdrawn": {"zh": "已撤销", "en": "withdrawn"}}


def pdf(found: Certificate, language: str, address: str) -> bytes:
    """The page; `address` is what the QR code leads to. The same facts give the same bytes."""
    return _pdf(_Printed(found), language, address)


class _Printed:
    """A certificate that is equal to another of the same edition, so that pages are kept by edition."""

    def __init__(self, found: Certificate) -> None:
        self.found = found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Printed) and self.found.edition == other.found.edition

    def __hash__(self) -> int:
        return hash(self.found.edition)


@lru_cache(maxsize=256)
def _pdf(printed: _Printed, language: str, address: str) -> bytes:
    found = printed.found
    page = FPDF(orientation="landscape", unit="mm", format=(PAGE_MM[1], PAGE_MM[0]))
    page.set_creation_date(datetime.fromisoformat(found.facts_on).replace(tzinfo=UTC))
    page.set_auto_page_break(auto=False)
    page.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
    page.add_font(FONT, fname=str(files(paperang_p2_fonts_cjk).joinpath("fonts/wqy-microhei.ttc")))
    page.add_page()
    page.set_title(f"{found.title(language)} {found.number}")
    page.set_lang("zh-CN" if language == "zh" else "en")
    _head(page, found, language)
    _facts(page, found, language)
    _foot(page, found, language, address)
    return bytes(page.output())


def _head(page: FPDF, found: Certificate, language: str) -> None:
    page.set_draw_color(*_GREEN)
    page.set_line_width(0.8)
    page.rect(6, 6, PAGE_MM[0] - 12, PAGE_MM[1] - 12)
    page.set_text_color(*_GREEN)
    page.set_font(FONT, size=22)
    page.cell(text=found.title(language), new_x="LMARGIN", new_y="NEXT")
    page.set_text_color(*_GREY)
    page.set_font(FONT, size=9)
    parts = [
        found.number,
        f"{_EDITION[language]} {found.edition[:EDITION_CHARACTERS]}",
        found.content["wording"],
    ]
    if state_of(found, None) == "withdrawn":
        parts.append(_STATES["withdrawn"][language])
    page.cell(text=" · ".join(parts), new_x="LMARGIN", new_y="NEXT")
    page.ln(3)


def _facts(page: FPDF, found: Certificate, language: str) -> None:
    for label, text in found.lines(language):
        page.set_font(FONT, size=9)
        page.set_text_color(*_GREY)
        page.cell(w=42, h=5.2, text=label)
        page.set_text_color(0, 0, 0)
        page.multi_cell(
            w=PAGE_MM[0] - 2 * MARGIN_MM - 42, h=5.2, text=text, align="L", new_x="LMARGIN", new_y="NEXT"
        )


def _foot(page: FPDF, found: Certificate, language: str, address: str) -> None:
    top = PAGE_MM[1] - MARGIN_MM - QR_MM
    page.set_font(FONT, size=8)
    statements = found.statements(language)
    page.set_y(max(page.get_y() + 2, PAGE_MM[1] - MARGIN_MM - (len(statements) + 2) * 4.4))
    page.set_text_color(*_GREY)
    width = PAGE_MM[0] - 2 * MARGIN_MM - QR_MM - 6
    for text in statements:
        page.multi_cell(w=width, h=4.4, text=text, align="L", new_x="LMARGIN", new_y="NEXT")
    page.multi_cell(
        w=width, h=4.4, text=f"{_CHECK[language]}: {address}", align="L", new_x="LMARGIN", new_y="NEXT"
    )
    code = io.BytesIO()
    segno.make(address, error="m", micro=False).save(code, kind="png", scale=8, border=2)
    page.image(code, x=PAGE_MM[0] - MARGIN_MM - QR_MM, y=top, w=QR_MM)
