"""Templates into responses: escaped, in two languages, compressed, under a policy that runs no foreign script.

Nothing on a page is inline; the style sheet and the script are fetched once and kept by the browser.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML
from starlette.requests import Request
from starlette.responses import Response

from engine.core.units import local_day, rfc3339
from partners.adapters.files.judging import major
from partners.portal.desk import LANGUAGE_COOKIE, PortalDesk, Visitor

PATH = "/portal"
STATIC_MAX_AGE_S = 31_536_000
YEAR_S = 31_536_000
COMPRESSED_FROM_BYTES = 600
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_MEDIA = {
    "portal.css": "text/css; charset=utf-8",
    "portal.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Everything that pages say, by key and language."""
    raw = files("partners.portal").joinpath("texts.yaml").read_text("utf-8")
    found: dict[str, Mapping[str, str]] = YAML(typ="safe", pure=True).load(raw)
    return found


def text(key: str, language: str, **fields: object) -> str:
    """One text with its fields filled in."""
    said = texts()[key][language]
    return said.format(**fields) if fields else said


def has_text(key: str) -> bool:
    """Whether pages have words for it."""
    return key in texts()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("partners.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["day"] = lambda at: local_day(at, "UTC").isoformat()
    environment.filters["instant"] = lambda at: rfc3339(at)[:16].replace("T", " ")
    environment.filters["money"] = lambda minor, currency: f"{major(minor, currency):,} {currency}"
    environment.globals["asset"] = lambda name: f"{PATH}/static/{asset(name)[0]}/{name}"
    return environment


@cache
def asset(name: str) -> tuple[str, bytes, str]:
    """(fingerprint, bytes, media type) of a file that pages use. Raises KeyError."""
    media = _MEDIA[name]
    data = files("partners.portal").joinpath("static", name).read_bytes()
    return hashlib.sha256(data).hexdigest()[:12], data, media


def render(template: str, language: str, **context: Any) -> str:
    """A page as HTML."""

    def say(key: str, **fields: object) -> str:
        return text(key, language, **fields)

    found = _environment().get_template(f"{template}.html")
    return found.render(t=say, has_text=has_text, language=language, path=PATH, **context)


def page(
    desk: PortalDesk, request: Request, visitor: Visitor, template: str, status: int = 200, **context: Any
) -> Response:
    """A response with a page, for this visitor."""
    other = "zh" if visitor.language == "en" else "en"
    html = render(
        template,
        visitor.language,
        visitor=visitor,
        other_language=other,
        here=request.url.path,
        form_token=desk.seals.form_token(visitor.browser) if visitor.browser else "",
        **context,
    )
    headers = {
        "content-security-policy": POLICY,
        "referrer-policy": "same-origin",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "geolocation=(self), camera=(), microphone=()",
        "content-language": visitor.language,
        "vary": "cookie, accept-encoding, accept-language",
    }
    response = compressed(request, html.encode(), "text/html; charset=utf-8", headers, status)
    if request.query_params.get("lang") in ("zh", "en"):
        keep(desk, response, LANGUAGE_COOKIE, request.query_params["lang"], YEAR_S)
    return response


def compressed(
    request: Request, body: bytes, media: str, headers: Mapping[str, str], status: int = 200
) -> Response:
    """The bytes, packed where the browser can unpack them and it is worth it."""
    packed = dict(headers)
    if len(body) > COMPRESSED_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 6)
        packed["content-encoding"] = "gzip"
    return Response(body, status, packed, media)


def keep(desk: PortalDesk, response: Response, name: str, value: str, life_s: int | None) -> None:
    """A cookie of the portal: for us alone, never read by scripts; 0 takes it away."""
    response.set_cookie(
        name, value, max_age=life_s, path=PATH, secure=desk.is_secure, httponly=True, samesite="lax"
    )
