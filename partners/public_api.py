"""Public pages for anybody, under /v1: the registry, and certificates of trees. They only read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.numbers import parse_number, parse_tree_number
from partners.certificates import KIND, Certificate, certificate, told
from partners.desk import Desk
from partners.pages import tree_page
from partners.printing import pdf
from partners.public.answers import has_it
from partners.public.data_routes import add_data
from partners.public.look import facts, link, page
from partners.public.reading import asking, place_of
from partners.public.routes import NumberPath, Told, add_registry, shown
from partners.store import queries, stands

PRINTS_WAITING_MAX = 16
ADDRESS_CHARACTERS_MAX = 300

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
        if self._waiting >= PRINTS_WAITING_MAX:
            raise Rejected("overloaded")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(pdf, found, language, address)
        finally:
            self._waiting -= 1


def public_router(desk: Desk) -> APIRouter:
    """The registry and certificates of trees."""
    router = APIRouter(prefix="/v1", tags=["trees"])
    press = Press()

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
        unit = parse_tree_number(number)
        if as_ == "json":
            return await _told(desk, request, unit, edition, "application/json")
        found, _ = await _certificate(desk, unit)
        address = (
            f"{str(request.base_url).rstrip('/')}/v1/certificates/{found.number}?edition={found.edition[:12]}"
        )
        return await _printed(press, request, found, lang, address)

    @router.get(
        "/certificates/{number}",
        response_model=None,
        responses=refusals("bad_number", "unknown_tree", "overloaded"),
    )
    async def check_certificate(
        number: NumberPath, request: Request, edition: EditionQuery = None
    ) -> Response:
        """What has become of a certificate that somebody holds: valid, updated or withdrawn."""
        accept = request.headers.get("accept", "")
        return await _told(desk, request, parse_number(KIND, number), edition, accept)

    add_registry(router, desk)
    add_data(router, desk)
    return router


async def _certificate(desk: Desk, unit: int) -> tuple[Certificate, tuple[str, ...]]:
    """The certificate, and the names of what it tells of."""
    async with asking(desk) as reader:
        tree = await queries.tree_facts(reader, unit)
        if tree is None:
            raise Rejected("unknown_tree")
        stand = await stands.stand_facts(
            reader, tree.funder, tree.batch.id if tree.batch else None, tree.order
        )
    facts_shown = tree_page(tree, place_of(desk, tree), desk.writer.clock.now_ms(), stand)
    return certificate(facts_shown, unit, stand), (f"tree:{unit}", f"order:{tree.order}", f"site:{tree.site}")


async def _told(desk: Desk, request: Request, unit: int, edition: str | None, accept: str) -> Response:
    query = request.scope["query_string"]

    async def build() -> Told:
        found, of = await _certificate(desk, unit)
        return told(found, edition), of

    return await shown(desk, request, build, _certificate_html, query, accept)


async def _printed(
    press: Press, request: Request, found: Certificate, language: str, address: str
) -> Response:
    """The PDF; not printed again for whoever has it. It may be kept, but must be asked about each time."""
    if len(address) > ADDRESS_CHARACTERS_MAX:
        raise Rejected("bad_request", field="host", characters_max=ADDRESS_CHARACTERS_MAX)
    of = hashlib.sha256(f"{found.edition} {language} {address}".encode()).hexdigest()
    headers = {"etag": f'W/"{of[:24]}"', "cache-control": "no-cache"}
    if has_it(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    body = await press.print(found, language, address)
    headers["content-disposition"] = f'inline; filename="{found.number}-{language}.pdf"'
    return Response(body, media_type="application/pdf", headers=headers)


def _certificate_html(document: Mapping[str, Any]) -> bytes:
    states = {"valid": "valid 有效", "updated": "updated since 已更新", "withdrawn": "withdrawn 已撤销"}
    rows: list[tuple[str, object]] = [
        ("State 状态", states[document["state"]]),
        ("Edition 版本", document["edition"]),
        ("Tree 树", link(f"/v1/trees/{document['tree']}", document["tree"])),
    ]
    for language in ("zh", "en"):
        rows += [(fact["label"], fact["text"]) for fact in document[language]["facts"]]
        rows += [("", text) for text in document[language]["statements"]]
    return page(f"{document['zh']['title']} {document['en']['title']} {document['number']}", [facts(rows)])
