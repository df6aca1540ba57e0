"""The registry over HTTP: programmes, sites, batches and trees, as JSON or, for a browser, as pages. For anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from engine.api.fields import SlugPath
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_number, parse_order_number, parse_tree_number, tree_number
from partners.core.model import batch_id
from partners.desk import Desk
from partners.pages import tree_html, tree_page
from partners.public import documents, html
from partners.public.answers import CSS, HTML, JSON, STYLE_S, SVG, answer, has_it
from partners.public.front import Address, address_of
from partners.public.ground import Ground, ground_of, point_shown
from partners.public.kept import Made, etag_of
from partners.public.look import STYLE, STYLE_PATH
from partners.public.map import site_map
from partners.public.reading import asking, place_of
from partners.public.shown import Book
from partners.store import public_queries, queries, stands
from partners.store.counters import Counters, counters

NumberPath = Annotated[str, Path(max_length=40, description="The public number with its check character.")]
ReportPath = Annotated[str, Path(max_length=200, description="The partner's own number of its report.")]
CERTIFICATE_KIND = "CT"

Told = tuple[dict[str, Any], Iterable[str]]
Build = Callable[[], Awaitable[Told]]
Shape = Callable[[dict[str, Any]], bytes]
_encode = msgspec.json.Encoder().encode


def add_registry(router: APIRouter, desk: Desk) -> None:
    """Put the registry's routes on the router of everything under /v1."""
    _add_front(router, desk)
    _add_programme(router, desk)
    _add_site(router, desk)
    _add_batch(router, desk)


def add_tree(router: APIRouter, desk: Desk) -> None:
    """The page of a tree."""

    @router.get(
        "/trees/{number}",
        tags=["trees"],
        response_model=None,
        responses=refusals("bad_number", "unknown_tree", "overloaded"),
    )
    async def tree(number: NumberPath, request: Request) -> Response:
        """The public facts of a tree, as JSON or, for a browser, as a page. Nothing about a person."""
        unit = parse_tree_number(number)

        async def build() -> Told:
            async with asking(desk) as reader:
                facts = await queries.tree_facts(reader, unit)
                if facts is None:
                    raise Rejected("unknown_tree")
                stand = await stands.stand_facts(
                    reader, facts.funder, facts.batch.id if facts.batch else None, facts.order
                )
            told = tree_page(facts, place_of(desk, facts), desk.writer.clock.now_ms(), stand)
            return told, (f"tree:{unit}", f"order:{facts.order}", f"site:{facts.site}")

        return await shown(desk, request, build, tree_html)


async def shown(
    desk: Desk,
    request: Request,
    build: Build,
    shape: Shape,
    query: bytes = b"",
    accept: str | None = None,
) -> Response:
    """A document as what the client accepts of the two. Both are kept, and the page is made of the data.

    `query`: what of the address its facts depend on.
    """
    kept, route = desk.kept, request.scope["route"].path
    accept = request.headers.get("accept", "") if accept is None else accept
    address = address_of(request.scope["path"], query, accept)
    path, _, media = address

    async def data() -> Made:
        read_at = monotonic()
        document, of = await build()
        return _encode(document), of, read_at

    async def page() -> Made:
        found = await kept.page((path, query, JSON), data, route)
        document = {**msgspec.json.decode(found.body), "age_max_s": int(kept.kept_s)}
        return shape(document), found.of, found.made_at

    return await _answered(desk, request, address, page if media == HTML else data, route)


async def _answered(
    desk: Desk, request: Request, address: Address, make: Callable[[], Awaitable[Made]], route: str
) -> Response:
    kept = desk.kept
    found = kept.found(address)
    is_hit = found is not None
    if found is None:
        found = await kept.page(address, make, route)
    return answer(found, request, address[2], kept.kept_s, is_hit)


async def _book(desk: Desk, reader: Any) -> Book:
    return Book(desk.rules(), await public_queries.names(reader), desk.registry.is_live)


def _add_front(router: APIRouter, desk: Desk) -> None:
    @router.get("/registry", tags=["registry"], response_model=None, responses=refusals("overloaded"))
    async def registry(request: Request) -> Response:
        """All programmes with their four counters, and where the open data is."""

        async def build() -> Told:
            async with asking(desk) as reader:
                book, found = await _book(desk, reader), await counters(reader)
            every = sorted({*desk.rules().programmes, *found})
            programmes = [
                documents.counters_document(book, name, found.get(name) or Counters()) for name in every
            ]
            return {"programmes": programmes, "data": "/v1/registry/data", "licence": desk.licence}, ()

        return await shown(desk, request, build, html.index_html)

    @router.get(
        "/registry/find",
        tags=["registry"],
        status_code=303,
        response_class=RedirectResponse,
        responses=refusals("bad_number"),
    )
    async def find(number: Annotated[str, Query(max_length=40)]) -> Response:
        """From a number that somebody holds to its page: a tree's, or that of a certificate's tree."""
        try:
            unit = parse_tree_number(number)
        except Rejected:
            unit = parse_number(CERTIFICATE_KIND, number)
        return RedirectResponse(f"/v1/trees/{tree_number(unit)}", status_code=303)

    @router.get(STYLE_PATH.removeprefix("/v1"), include_in_schema=False)
    async def style(request: Request) -> Response:
        """The look of all pages; its address changes with it."""
        body = STYLE.encode()
        headers = {"etag": etag_of(body), "cache-control": f"public, max-age={STYLE_S}, immutable"}
        if has_it(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=CSS, headers=headers)


def _add_programme(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/programmes/{programme}",
        tags=["registry"],
        response_model=None,
        responses=refusals("unknown_programme", "overloaded"),
    )
    async def programme(programme: SlugPath, request: Request) -> Response:
        """A programme: its four counters (pledged, funded, planted, alive), what is promised and done where, and its
        newest planting reports."""

        async def build() -> Told:
            async with asking(desk) as reader:
                found = (await counters(reader, programme)).get(programme)
                if found is None and programme not in desk.rules().programmes:
                    raise Rejected("unknown_programme")
                told = documents.programme_document(
                    await _book(desk, reader),
                    programme,
                    found or Counters(),
                    await public_queries.work(reader, "programme", programme),
                    await public_queries.newest_batches(reader, "programme", programme),
                    await public_queries.write_downs(reader, programme),
                )
            return {**told, "licence": desk.licence}, ()

        return await shown(desk, request, build, html.programme_html)


def _add_site(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/registry/sites/{site}",
        tags=["registry"],
        response_model=None,
        responses=refusals("unknown_site", "overloaded"),
    )
    async def site(site: SlugPath, request: Request) -> Response:
        """A site: its place as exactly as its record allows, what is planted there, what befell it."""

        async def build() -> Told:
            async with asking(desk) as reader:
                found = await public_queries.site(reader, site)
                if found is None:
                    raise Rejected("unknown_site")
                told = documents.site_document(
                    await _book(desk, reader),
                    found,
                    await drawn(found),
                    await public_queries.site_versions(reader, site),
                    await public_queries.work(reader, "site", site),
                    await public_queries.newest_batches(reader, "site", site),
                    await public_queries.disturbances(reader, site),
                )
            return {**told, "licence": desk.licence}, (f"site:{site}", f"partner:{found.partner}")

        return await shown(desk, request, build, html.site_html)

    @router.get(
        "/registry/sites/{site}/map.svg",
        tags=["registry"],
        response_model=None,
        responses=refusals("unknown_site", "overloaded"),
    )
    async def map_of_site(site: SlugPath, request: Request) -> Response:
        """A small map of the site as SVG, as exact as its record allows."""

        async def make() -> Made:
            read_at = monotonic()
            async with asking(desk) as reader:
                found = await public_queries.site(reader, site)
                ground = await drawn(found) if found is not None else None
                if found is None or ground is None:
                    raise Rejected("unknown_site")
                batches = await public_queries.newest_batches(reader, "site", site)
            places = [point_shown(one.longitude_e6, one.latitude_e6, found.shown_m) for one in batches]
            dots = [place for place in places if place is not None]
            body = site_map(ground, dots, found.name_zh or found.name_en, found.name_en or found.name_zh)
            return body, (f"site:{site}",), read_at

        address = (request.scope["path"], b"", SVG)
        return await _answered(desk, request, address, make, request.scope["route"].path)


def _add_batch(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/registry/batches/{order}/{report_no:path}",
        tags=["registry"],
        response_model=None,
        responses=refusals("bad_number", "unknown_batch", "overloaded"),
    )
    async def batch(order: NumberPath, report_no: ReportPath, request: Request) -> Response:
        """A planting report: the promise it belongs to, what was reported, reviewed and counted."""
        number = parse_order_number(order)
        name = batch_id(number, report_no)

        async def build() -> Told:
            async with asking(desk) as reader:
                found = await public_queries.batch(reader, name)
                if found is None:
                    raise Rejected("unknown_batch", order=order_number(number))
                stand = await stands.stand_facts(reader, "", name, number)
                book = await _book(desk, reader)
            told = documents.batch_document(book, found, stand)
            return {**told, "licence": desk.licence}, (f"order:{number}", f"site:{found.site}")

        return await shown(desk, request, build, html.batch_html)


async def drawn(site: public_queries.SiteFacts) -> Ground | None:
    """The ground of a site, drawn beside the loop: outlines may have thousands of points."""
    return await asyncio.to_thread(ground_of, site.geometry, site.datum, site.shown_m)
