"""Builds the HTTP app from the engine's parts. Knows the routers and nothing of what they do."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from engine.api import (
    activities,
    game,
    health,
    operator,
    photos,
    problems,
    reviews,
    rules,
    studies,
    users,
    workbench,
)
from engine.api.edge import Edge
from engine.api.parts import Parts
from engine.api.problems import Problem, refusals
from engine.metrics import make_registry

VERSION = "1"
_ABOUT = """The HTTP side of Saxaul. Refusals are problem details (RFC 9457) whose `type` ends in a code; the codes
are the same as those of the socket's rpc methods. Energy is in grams (`*_g`), avoided emissions in milligrams CO2e
(`*_mg`): one gram of energy is not one gram of CO2. Ids are decimal text, instants RFC 3339 UTC."""
_COMMON = refusals(
    "bad_request",
    "invalid",
    "body_too_large",
    "unsupported_media_type",
    "unauthorised",
    "forbidden",
    "internal",
    "overloaded",
    "unavailable",
)
_OPEN_PATHS = ("/healthz", "/readyz", "/metrics", "/problems/{code}")


def make_app(parts: Parts) -> FastAPI:
    """The app of a running engine. `main` serves it beside the socket front."""
    app = FastAPI(
        title="Saxaul",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        responses=_COMMON,
        redirect_slashes=False,
    )
    app.state.parts = parts
    problems.install(app)
    app.include_router(users.router)
    app.include_router(activities.make_router(parts.settings.signature_tolerance_s))
    app.include_router(operator.router)
    app.include_router(rules.router)
    app.include_router(workbench.make_router())
    app.include_router(studies.make_router())
    app.include_router(game.router)
    app.include_router(photos.make_router())
    app.include_router(reviews.router)
    for router in parts.routers:
        app.include_router(router)
    app.include_router(health.make_router(parts, make_registry(parts)))
    app.add_middleware(
        Edge,
        body_bytes_max=parts.settings.body_bytes_max,
        tally=parts.http,
        is_draining=lambda: parts.is_draining,
        pictures={photos.PATH: parts.settings.photo_bytes_max},
        files={**parts.files, studies.SIMULATIONS_PATH: (studies.TRACED_BYTES_MAX, ())},
        at_once=parts.at_once,
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The description of all routes, with problem details in place of the framework's own errors."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs", {})
        schemas["Problem"] = problem
        for path in _OPEN_PATHS:
            for operation in described["paths"].get(path, {}).values():
                _only_own_refusals(operation)
        app.openapi_schema = described
    return app.openapi_schema


def _only_own_refusals(operation: dict[str, Any]) -> None:
    """Routes without a body and without a key do not refuse for these."""
    for status in ("400", "401", "403", "413", "415"):
        operation["responses"].pop(status, None)
