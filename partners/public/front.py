"""Kept pages answered before any route is looked for: finding the route costs more than the page.

A page lies under its address: path, query (where its route takes one) and what is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from starlette.types import ASGIApp, Receive, Scope, Send

from partners.public.answers import HTML, JSON, SVG, has_it, headers_with
from partners.public.kept import Kept, Page
from partners.public.reading import wants_html

BEGINNINGS = ("/v1/trees/", "/v1/registry", "/v1/programmes/", "/v1/certificates/")

Address = tuple[str, bytes, str]


def address_of(path: str, query: bytes, accept: str) -> Address:
    """Under what a page is kept."""
    media = SVG if path.endswith(".svg") else HTML if wants_html(accept) else JSON
    return path, query, media


def at_once(kept: Kept) -> Callable[[Scope], ASGIApp | None]:
    """What answers a GET with a kept page; None where none is kept."""

    def find(scope: Scope) -> ASGIApp | None:
        if not scope["path"].startswith(BEGINNINGS):
            return None
        accept, held = "", None
        for name, value in scope["headers"]:
            if name == b"accept":
                accept = value.decode("latin-1")
            elif name == b"if-none-match":
                held = value.decode("latin-1")
        address = address_of(scope["path"], scope["query_string"], accept)
        page = kept.found(address)
        if page is None:
            return None
        scope["route"] = SimpleNamespace(path=page.route)  # for the log and the counts
        return _sent(page, address[2], kept.kept_s, has_it(held, page.etag))

    return find


def _sent(page: Page, media: str, kept_s: float, is_held: bool) -> ASGIApp:
    body = b"" if is_held else page.body
    headers = headers_with(page, media, kept_s, is_hit=True)
    if not is_held:
        headers |= {"content-length": str(len(body)), "content-type": media}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send_page(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 304 if is_held else 200, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return send_page
