"""What every request passes on its way in: a size limit, a media type, a last resort, an access line in the log.

Plain ASGI, outside the framework, so that nothing can answer around it. Logs the route's template, never a path
with ids, a query, a header or a body.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.api.problems import problem_of
from engine.pictures import MEDIA_TYPES
from engine.tally import HttpTally

log = structlog.get_logger(__name__)
_levels = logging.getLogger(
    __name__
)  # asked first: a line that nobody wants costs as much as one that is written

_QUIET = ("/healthz", "/readyz", "/metrics")
_NO_BODY = ("GET", "HEAD", "OPTIONS")
_METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}


class Edge:
    """Wraps the app. `body_bytes_max`: a larger body is refused by its head, or as soon as it has grown so far.

    `pictures`: the paths that take pictures in place of JSON, each with its own limit in bytes. `files`: what paths
    begin with that take other things, each with its limit and its media types. `at_once`: what may answer a GET without
    its route.
    """

    def __init__(
        self,
        app: ASGIApp,
        body_bytes_max: int,
        tally: HttpTally,
        is_draining: Callable[[], bool],
        pictures: Mapping[str, int],
        files: Mapping[str, tuple[int, tuple[str, ...]]] = MappingProxyType({}),
        at_once: Callable[[Scope], ASGIApp | None] | None = None,
    ) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._takes = {path: (limit, MEDIA_TYPES) for path, limit in pictures.items()}
        self._files = files
        self._at_once = at_once
        self._tally = tally
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the app's lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        request_id = os.urandom(16).hex()
        answered: list[int] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])
                message["headers"] = self._with_ours([*message.get("headers", ())], request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._pass(scope, receive, sending)
            except ClientDisconnect:
                log.info("client_gone", route=_route(scope))
            except Exception:
                log.exception("request_failed", route=_route(scope))
                if not answered:
                    await problem_of("internal", {"request": request_id})(scope, receive, sending)
            finally:
                self._note(scope, answered[0] if answered else 499, time.perf_counter() - begun)

    def _with_ours(self, headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
        """The headers of every answer; nothing is kept by caches but what says itself for how long."""
        named = {name.lower() for name, _ in headers}
        return headers + [one for one in self._headers(request_id) if one[0] not in named]

    def _headers(self, request_id: str) -> list[tuple[bytes, bytes]]:
        found = [
            (b"request-id", request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        return [*found, (b"connection", b"close")] if self._is_draining() else found

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._at_once is not None and scope["method"] == "GET":
            answer = self._at_once(scope)
            if answer is not None:
                await answer(scope, receive, send)
                return
        headers = {name.lower(): value for name, value in scope["headers"]}
        length = headers.get(b"content-length", b"")
        has_body = (length.isdigit() and int(length[:20]) > 0) or b"transfer-encoding" in headers
        bytes_max, kinds = self._taken_at(scope["path"])
        if length.isdigit() and int(length[:20]) > bytes_max:
            limit = {"body_bytes_max": bytes_max}
            await problem_of("body_too_large", limit)(scope, receive, _closing(send))
        elif (
            has_body
            and scope["method"] not in _NO_BODY
            and not _fits(headers.get(b"content-type", b""), kinds)
        ):
            await problem_of("unsupported_media_type")(scope, receive, _closing(send))
        else:
            await self._app(scope, self._bounded(receive, bytes_max), send)

    def _taken_at(self, path: str) -> tuple[int, tuple[str, ...]]:
        """The limit and the media types of a path; none of these: JSON."""
        if path in self._takes:
            return self._takes[path]
        for start, taken in self._files.items():
            if path.startswith(start):
                return taken
        return self._body_bytes_max, ()

    def _bounded(self, receive: Receive, bytes_max: int) -> Receive:
        """The body as it comes, until it is more than the limit: whoever sends no length is counted."""
        taken = 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > bytes_max:
                    raise HTTPException(413)
            return message

        return receiving

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        self._tally.requests[method, route, status] += 1
        self._tally.seconds.add(seconds)
        if route not in _QUIET and _levels.isEnabledFor(logging.INFO):
            log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


def _route(scope: Scope) -> str:
    """The template of the route, so that no id of a person is logged or counted."""
    return getattr(scope.get("route"), "path", None) or "none"


def _is_json(content_type: bytes) -> bool:
    kind = content_type.split(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


def _fits(content_type: bytes, kinds: tuple[str, ...]) -> bool:
    if not kinds:
        return _is_json(content_type)
    return content_type.split(b";")[0].strip().lower().decode("latin-1") in kinds


def _closing(send: Send) -> Any:
    """A body that is not read leaves the connection unusable."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
        await send(message)

    return sending
