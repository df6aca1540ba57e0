"""The open data over HTTP: what files there are, their schemas, and the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse

from engine.api.problems import refusals
from engine.core.errors import Rejected
from partners.desk import Desk
from partners.public import columns, html
from partners.public.answers import answer, has_it
from partners.public.exports import Exports
from partners.public.kept import Page, etag_of
from partners.public.routes import Told, shown

FilePath = Annotated[
    str, Path(max_length=40, pattern=r"^[a-z.]+$", description="As `/v1/registry/data` names it.")
]
MEDIA = {"csv": "text/csv; charset=utf-8; header=present", "geojson": "application/geo+json"}
SCHEMA_MEDIA = {"tables.json": "application/csvm+json"}


def add_data(router: APIRouter, desk: Desk) -> None:
    """Put the routes of the open data on the router."""
    exports = Exports(desk)
    schemas = _schemas(desk.licence)

    @router.get("/registry/data", tags=["registry"], response_model=None)
    async def data(request: Request) -> Response:
        """The files of the open data, each with its schema, and their licence."""

        async def build() -> Told:
            return _catalogue(desk.licence), ()

        return await shown(desk, request, build, html.data_html)

    @router.get(
        "/registry/data/{file}",
        tags=["registry"],
        response_model=None,
        responses=refusals("not_found", "unavailable"),
    )
    async def file(file: FilePath, request: Request) -> Response:
        """A file of the open data, or the schema of one. At most a minute old."""
        schema = schemas.get(file)
        if schema is not None:
            return _schema(desk, request, file, schema)
        layout = columns.LAYOUTS.get(file)
        if layout is None:
            raise Rejected("not_found")
        made = await exports.of(layout)
        links = f'<{desk.licence}>; rel="license", <{columns.BASE}/{layout.schema}>; rel="describedby"'
        headers = {
            "etag": made.etag,
            "cache-control": f"public, max-age={int(exports.kept_s)}",
            "age": str(int(made.age_s)),
            "access-control-allow-origin": "*",
            "link": links,
        }
        if has_it(request.headers.get("if-none-match"), made.etag):
            return Response(status_code=304, headers=headers)
        headers["content-length"] = str(made.bytes)
        headers["content-disposition"] = f'attachment; filename="saxaul-{layout.file}"'
        media = MEDIA[layout.file.rpartition(".")[2]]
        return StreamingResponse(made.chunks(), media_type=media, headers=headers)


def _schema(desk: Desk, request: Request, file: str, schema: bytes) -> Response:
    page = Page(schema, etag_of(schema), monotonic(), frozenset())
    return answer(page, request, SCHEMA_MEDIA.get(file, "application/schema+json"), desk.kept.kept_s, True)


def _schemas(licence: str) -> Mapping[str, bytes]:
    found = {"tables.json": msgspec.json.encode(columns.tables_schema(licence))}
    for one in columns.LAYOUTS.values():
        if one.shape:
            found[one.schema] = msgspec.json.encode(columns.features_schema(one, licence))
    return found


def _catalogue(licence: str) -> dict[str, Any]:
    files = [
        {
            "name": one.file,
            "url": f"{columns.BASE}/{one.file}",
            "schema": f"{columns.BASE}/{one.schema}",
            "about": {"en": one.en, "zh": one.zh},
        }
        for one in columns.LAYOUTS.values()
    ]
    return {"files": files, "note": columns.NOTE, "licence": licence}
