"""How a public page leaves: for how long it may be kept, by which validator it is known, what a browser may do."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import Response

from partners.public.kept import Page

HTML = "text/html; charset=utf-8"
JSON = "application/json"
SVG = "image/svg+xml"
CSS = "text/css; charset=utf-8"
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
STYLE_S = 86_400  # how long the look may be kept; its address changes with it


def answer(page: Page, request: Request, media: str, kept_s: float, is_hit: bool) -> Response:
    """The page, or 304 to whoever has it."""
    headers = headers_with(page, media, kept_s, is_hit)
    if has_it(request.headers.get("if-none-match"), page.etag):
        return Response(status_code=304, headers=headers)
    return Response(page.body, media_type=media, headers=headers)


def headers_with(page: Page, media: str, kept_s: float, is_hit: bool) -> dict[str, str]:
    """What is said with a page: how old it is, so that nobody on the way keeps it for longer than this process would;
    and whether it was kept (RFC 9211)."""
    return {
        "etag": page.etag,
        "cache-control": f"public, max-age={int(kept_s)}",
        "age": str(int(page.age_s)),
        "cache-status": "saxaul; hit" if is_hit else "saxaul; fwd=miss",
        **headers_of(media),
    }


def headers_of(media: str) -> Mapping[str, str]:
    """What goes with a media type. JSON and page have one address, so what is kept depends on what was accepted."""
    if media == HTML:
        return {"vary": "accept", "content-security-policy": CSP, "referrer-policy": "no-referrer"}
    if media == JSON:
        return {"vary": "accept", "access-control-allow-origin": "*"}
    if media == SVG:  # also opened by itself
        return {"content-security-policy": "default-src 'none'", "access-control-allow-origin": "*"}
    return {"access-control-allow-origin": "*"}


def has_it(if_none_match: str | None, etag: str) -> bool:
    """Whether the client names the page that it would get (weak comparison, RFC 9110)."""
    if if_none_match is None:
        return False
    held = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in held or etag.removeprefix("W/") in held
