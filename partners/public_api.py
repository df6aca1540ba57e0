"""Public pages of what follows `planted`: certificates of trees, the four counters of programmes. They only read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from time import monotonic
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from engine.api.fields import SlugPath
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.numbers import parse_number, parse_tree_number
from partners.api import HTML_HEADERS, JSON_HEADERS, Desk, NumberPath, place_of, reading, wants_html
from partners.certificates import KIND, Certificate, certificate, told
from partners.pages import tree_page
from partners.printing import pdf
from partners.store import queries, stands
from partners.store.counters import Counters, counters, facts

PRINTS_WAITING_MAX = 16
ADDRESS_CHARACTERS_MAX = 300
PROGRAMMES_KEPT_MAX = 1000

LanguageQuery = Annotated[Literal["zh", "en"], Query(description="Language of the PDF.")]
EditionQuery = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-fA-F]{8,64}$", description="The edition that somebody holds: is it still valid?"),
]


class Press:
    """Prints one page at a time, beside the loop: a page takes a quarter of a second of a processor."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def print(self, found: Certificate, language: str, address: str) -> bytes:
        """The page. Raises Rejected(overloaded) where too many wait already."""
        if len(address) > ADDRESS_CHARACTERS_MAX:
            raise Rejected("bad_request", field="host", characters_max=ADDRESS_CHARACTERS_MAX)
        if self._waiting >= PRINTS_WAITING_MAX:
            raise Rejected("overloaded")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(pdf, found, language, address)
        finally:
            self._waiting -= 1


class Kept:
    """Counters that were worked out a moment ago, so that a popular page does not count all trees each time."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._kept: dict[str, tuple[float, Counters | None]] = {}

    async def of(self, desk: Desk, programme: str) -> Counters | None:
        """The counters of a programme, at most `kept_s` old; None: no tree of it."""
        until, found = self._kept.get(programme, (0.0, None))
        if monotonic() >= until:
            async with reading(desk) as reader:
                found = (await counters(reader, programme)).get(programme)
            if len(self._kept) >= PROGRAMMES_KEPT_MAX:
                self._kept.clear()
            self._kept[programme] = (monotonic() + self._kept_s, found)
        return found


def public_router(desk: Desk, kept_s: float = 5.0) -> APIRouter:
    """Certificates of trees and counters of programmes, under /v1, for anybody."""
    router = APIRouter(prefix="/v1", tags=["trees"])
    press, kept = Press(), Kept(kept_s)

    @router.get(
        "/trees/{number}/certificate",
        response_model=None,
        responses=refusals("bad_number", "unknown_tree", "overloaded", "bad_request"),
    )
    async def tree_certificate(
        number: NumberPath,
        request: Request,
        lang: LanguageQuery = "zh",
        edition: EditionQuery = None,
        as_: Annotated[Literal["pdf", "json"], Query(alias="format")] = "pdf",
    ) -> Response:
        """The pledge card or certificate of a tree: a PDF, or its facts with the state of an edition."""
        found = await _certificate(desk, parse_tree_number(number))
        if as_ == "json":
            return JSONResponse(told(found, edition), headers={"cache-control": "no-cache"})
        address = (
            f"{str(request.base_url).rstrip('/')}/v1/certificates/{found.number}?edition={found.edition[:12]}"
        )
        body = await press.print(found, lang, address)
        name = f"{found.number}-{lang}.pdf"
        headers = {"content-disposition": f'inline; filename="{name}"', "cache-control": "no-cache"}
        return Response(body, media_type="application/pdf", headers=headers)

    @router.get(
        "/certificates/{number}",
        response_model=None,
        responses=refusals("bad_number", "unknown_tree"),
    )
    async def check_certificate(
        number: NumberPath, request: Request, edition: EditionQuery = None
    ) -> Response:
        """What has become of a certificate that somebody holds: valid, updated or withdrawn."""
        found = await _certificate(desk, parse_number(KIND, number))
        document = told(found, edition)
        if wants_html(request.headers.get("accept", "")):
            return HTMLResponse(_certificate_html(document), headers=HTML_HEADERS)
        return JSONResponse(document, headers=JSON_HEADERS)

    @router.get(
        "/programmes/{programme}",
        response_model=None,
        responses=refusals("unknown_programme"),
    )
    async def programme_counters(programme: SlugPath, request: Request) -> Response:
        """The four counters of a programme: pledged, funded, planted, alive; JSON, or a page for a browser."""
        known = desk.rules().programmes.get(programme)
        found = await kept.of(desk, programme)
        if known is None and found is None:
            raise Rejected("unknown_programme")
        names = dict(known.names) if known is not None else {"zh": programme, "en": programme}
        is_live = known is not None and desk.registry.is_live(known.partner)
        document = {
            "programme": programme,
            "names": names,
            "simulated": not is_live,
            **facts(found or Counters()),
        }
        if wants_html(request.headers.get("accept", "")):
            return HTMLResponse(_programme_html(document), headers=HTML_HEADERS)
        return JSONResponse(document, headers=JSON_HEADERS)

    return router


async def _certificate(desk: Desk, unit: int) -> Certificate:
    async with reading(desk) as reader:
        tree = await queries.tree_facts(reader, unit)
        if tree is None:
            raise Rejected("unknown_tree")
        stand = await stands.stand_facts(reader, unit, tree.batch.id if tree.batch else None, tree.order)
    page = tree_page(tree, place_of(desk, tree), desk.writer.clock.now_ms())
    return certificate(page, unit, stand)


_COUNTER_TEXTS = {
    "pledged": "Pledged 已认捐",
    "funded": "Funded 已有资金",
    "planted": "Planted and verified 已种植并核验",
    "written_down": "Written down 已核减",
    "not_yet_known": "Survival not yet known 成活未知",
}


def _programme_html(document: Mapping[str, Any]) -> str:
    rows = [(text, f"{document[name]:,}") for name, text in _COUNTER_TEXTS.items()]
    alive = document["alive"]
    if alive is not None:
        days = f"{alive['first_count_on']} – {alive['last_count_on']}"
        text = f"{alive['trees']:,} of {alive['of_trees']:,} (95 %: {alive['low']:,}–{alive['high']:,}); "
        rows.insert(4, ("Alive 存活", f"{text}{alive['trees_counted']:,} trees counted 已调查株数, {days}"))
    else:
        rows.insert(4, ("Alive 存活", "not yet known 尚未调查"))
    warning = "Simulated partner: no real trees. 模拟伙伴，并非真实树木。" if document["simulated"] else ""
    return _html(f"{document['names']['en']} {document['names']['zh']}", rows, warning)


def _certificate_html(document: Mapping[str, Any]) -> str:
    states = {"valid": "valid 有效", "updated": "updated since 已更新", "withdrawn": "withdrawn 已撤销"}
    rows = [("State 状态", states[document["state"]]), ("Edition 版本", document["edition"])]
    for language in ("zh", "en"):
        rows += [(fact["label"], fact["text"]) for fact in document[language]["facts"]]
        rows += [("", text) for text in document[language]["statements"]]
    return _html(f"{document['zh']['title']} {document['en']['title']} {document['number']}", rows, "")


def _html(title: str, rows: list[tuple[str, str]], warning: str) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    told_first = f"<p class=warn>{escape(warning)}</p>" if warning else ""
    return (
        '<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>body{{font:1rem/1.5 sans-serif;max-width:40rem;margin:2rem auto;"
        "padding:0 1rem}th{text-align:left;padding-right:1rem;vertical-align:top}.warn{border:2px solid;padding:.5rem}"
        f"</style><h1>{escape(title)}</h1>{told_first}<table>{cells}</table></html>"
    )
