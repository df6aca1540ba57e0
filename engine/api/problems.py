"""Refusals as problem details (RFC 9457), and the one map from a code to its HTTP status.

`type` is `/problems/<code>`, which this server explains. A problem never repeats what was sent.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from engine.core.errors import CODES, Rejected

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
ERRORS_TOLD_MAX = 20

# What only an HTTP edge says; everything else is told by engine.core.errors.CODES.
EDGE_CODES: dict[str, str] = {
    "unauthorised": "The request carries no key or token that this server knows.",
    "token_invalid": "The token is forged, foreign or broken.",
    "token_expired": "The token has expired; get a new one.",
    "invalid": "Some values are missing, unknown or outside their limits.",
    "body_too_large": "The body is larger than this server takes.",
    "head_too_large": "The request's line and headers are larger than this server takes.",
    "too_many": "The request holds more items than one call may.",
    "unsupported_media_type": "The body must be JSON (Content-Type: application/json), a photo a picture (image/jpeg).",
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "This address does not take this method.",
    "rate_limited": "Too many requests; try again shortly.",
    "rulebook_broken": "The rulebook has problems; each is named with its place and a fix.",
    "too_costly": "Working this out takes more time or memory than this server spends on one request.",
    "unknown_study": "There is no such simulation or report: it was taken away, or its time is over.",
    "study_lost": "Another process of the engine worked on it, or this one before it was started anew; begin it again.",
    "study_unfinished": "It has no result, or not yet; `state` says which.",
    "charts_missing": "The page needs the extra `charts` where the engine runs: pip install 'saxaul[charts]'.",
    "nothing_to_report": "Nothing happened in those days.",
    "bad_trace": "A file of real acts can't be read, or no rulebook has its behaviour.",
}

STATUS: dict[str, int] = {
    # the edge
    "unauthorised": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "invalid": 422,
    "body_too_large": 413,
    "head_too_large": 431,
    "too_many": 413,
    "unsupported_media_type": 415,
    "not_found": 404,
    "method_not_allowed": 405,
    "rate_limited": 429,
    "rulebook_broken": 422,
    "too_costly": 422,
    "unknown_study": 404,
    "study_lost": 410,
    "study_unfinished": 409,
    "charts_missing": 404,
    "nothing_to_report": 404,
    "bad_trace": 422,
    # every command
    "key_reused": 422,
    "bad_request": 400,
    "forbidden": 403,
    "overloaded": 503,
    "unavailable": 503,
    "internal": 500,
    # accounts, links and sources
    "unknown_user": 404,
    "account_exists": 409,
    "account_suspended": 403,
    "account_closed": 410,
    "bad_zone": 422,
    "unknown_source": 404,
    "source_exists": 409,
    "source_not_allowed": 403,
    "not_linked": 404,
    "bad_source": 422,
    "subject_taken": 409,
    "behaviours_missing": 422,
    # activities
    "unknown_behaviour": 422,
    "not_in_force": 422,
    "wrong_unit": 422,
    "quantity_out_of_range": 422,
    "missing_attribute": 422,
    "bad_attribute": 422,
    "unknown_evidence": 422,
    "day_missing": 422,
    "instant_missing": 422,
    "in_future": 422,
    "activity_conflict": 409,
    "unknown_activity": 404,
    "activity_reversed": 409,
    "wrong_evidence": 422,
    "too_many_acts": 409,
    # acts that users show
    "photo_invalid": 422,
    "photo_too_large": 413,
    "too_many_photos": 429,
    "photo_reused": 409,
    "unknown_photo": 404,
    "not_shown": 422,
    "too_many_shown": 409,
    "unknown_review": 404,
    "review_decided": 409,
    # balls
    "unknown_ball": 404,
    "not_ripe": 409,
    "head_start": 409,
    "expired": 410,
    "already_collected": 409,
    "nothing_left": 409,
    # friends
    "not_friends": 403,
    "self_friend": 422,
    "already_friends": 409,
    "already_asked": 409,
    "not_asked": 409,
    "not_available": 403,
    "too_many_friends": 409,
    # offers
    "unknown_offer": 404,
    "unknown_programme": 404,
    "coming": 409,
    "sold_out": 409,
    "energy_lacking": 409,
    "not_funded": 409,
    "unknown_tree": 404,
    "unknown_campaign": 404,
    "bad_campaign": 422,
    "not_waiting": 409,
    # public numbers and planting orders
    "bad_number": 404,
    "bad_signature": 401,
    "season_missing": 409,
    "unknown_partner": 404,
    "unknown_order": 404,
    "order_ended": 409,
    "order_held": 409,
    "already_reported": 409,
    "message_reused": 409,
    "not_planted": 409,
    "own_review": 403,
    "over_verified": 409,
    "nothing_verified": 422,
    "evidence_missing": 409,
    "evidence_reused": 409,
    "unknown_batch": 404,
    "batch_decided": 409,
    "not_watched": 409,
    "unknown_audit": 404,
    "audit_done": 409,
    "bad_audit": 422,
    "replacement_open": 409,
    "nothing_proposed": 409,
    "bad_closing": 422,
    "unknown_dispute": 404,
    "dispute_decided": 409,
    "milestone_open": 409,
    "over_invoiced": 409,
    "invoice_known": 409,
    "unknown_invoice": 404,
    "invoice_settled": 409,
    "payments_held": 409,
    "over_repaid": 422,
    "evidence_not_uploaded": 409,
    "evidence_refused": 409,
    # evidence: uploads and outlines
    "unknown_upload": 404,
    "upload_offset": 409,
    "upload_checksum": 460,  # the protocol's own
    "upload_version": 412,
    "upload_locked": 423,
    "too_many_uploads": 429,
    "storage_full": 507,
    "outlines_changed": 409,
    "outline_invalid": 422,
    "not_draft": 409,
    "not_ready": 409,
    "test_order_live": 403,
    "partner_blocked": 409,
    # records of partners
    "bad_record": 422,
    "bad_agreement": 422,
    "bad_move": 409,
    "not_vetted": 409,
    "agreement_fixed": 409,
    "unknown_agreement": 404,
    "no_agreement": 409,
    "no_price": 409,
    "unknown_site": 404,
    "site_taken": 409,
    "unknown_season": 422,
    "quota_in_use": 409,
    "not_accepted": 409,
    "unknown_key": 404,
    "key_over": 409,
    "too_many_keys": 409,
    "scope_missing": 403,
    "batch_known": 409,
    "too_many_test_orders": 409,
    "unknown_webhook": 404,
    "bad_webhook": 422,
    "too_many_webhooks": 409,
    "webhook_disabled": 409,
    "unknown_message": 404,
    "message_old": 410,
    "unknown_delivery": 404,
    "lease_lost": 409,
    "unknown_staff": 404,
    "not_stuck": 409,
    "not_polled": 409,
    "bad_statement": 422,
    # rulebooks and their editions
    "rulebook_missing": 404,
    "unknown_edition": 404,
    "already_in_force": 409,
    "rules_moved": 409,
    "own_proposal": 403,
    "not_proposed": 409,
    "not_running": 409,
    "edited_in_place": 409,
    "over_budget": 409,
    "bad_population": 422,
    "too_many_proposals": 409,
    "canary_running": 409,
    "canary_programmes": 409,
    "edition_planned": 409,
    "nothing_earlier": 409,
}

_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_MEMBERS = {"type", "title", "status", "code", "instance", "detail"}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class FieldProblem(BaseModel):
    """What is wrong with one value; the value itself is not repeated."""

    field: str = Field(description="Where: body, header, path or query, then the names down to the value.")
    problem: str = Field(description="What was expected.")


class Problem(BaseModel):
    """Problem details (RFC 9457). Some codes carry further members that explain them."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="/problems/<code>; this server explains it there.")
    title: str = Field(description="The code as a sentence.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="For programs: never changes its meaning.")
    errors: list[FieldProblem] | None = Field(None, description="With code `invalid`: each value's problem.")


def sentence(code: str) -> str:
    """The code as a sentence for people."""
    return CODES.get(code) or EDGE_CODES.get(code) or CODES["internal"]


def problem_of(code: str, fields: Mapping[str, object] | None = None) -> Response:
    """The response of a refusal."""
    status = STATUS.get(code, 500)
    body: dict[str, object] = {
        "type": f"/problems/{code}",
        "title": sentence(code),
        "status": status,
        "code": code,
    }
    body |= {name: value for name, value in (fields or {}).items() if name not in _MEMBERS}
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return Response(_encode(body), status, headers, MEDIA_TYPE)


def refusals(*codes: str) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the responses that these codes come to, by status."""
    by_status: dict[int, list[str]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(STATUS[code], []).append(code)
    return {
        status: {
            "description": " ".join(f"`{code}`: {sentence(code)}" for code in found),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, found in sorted(by_status.items())
    }


def install(app: FastAPI) -> None:
    """Answer every exception that reaches the app with a problem."""
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)


async def response_of(request: Request, problem: Exception) -> Response:
    """The response of a refusal, for routes that add headers to it. Raises what is no refusal."""
    if isinstance(problem, Rejected):
        return await _rejected(request, problem)
    if isinstance(problem, RequestValidationError):
        return await _not_valid(request, problem)
    raise problem


async def _rejected(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Rejected)
    return problem_of(problem.code, problem.fields)


async def _not_valid(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)
    errors = problem.errors()
    if any(error["type"] == "json_invalid" for error in errors):
        return problem_of("bad_request", {"expected": "a body of JSON"})
    told = [
        {"field": ".".join(str(part) for part in error["loc"])[:200], "problem": str(error["msg"])[:200]}
        for error in errors[:ERRORS_TOLD_MAX]
    ]
    return problem_of("invalid", {"errors": told})


async def _http(request: Request, problem: Exception) -> Response:
    """What the framework itself refuses: routes, methods, bodies that it can't read."""
    assert isinstance(problem, HTTPException)
    code = _BY_STATUS.get(problem.status_code, "bad_request" if problem.status_code < 500 else "internal")
    response = problem_of(code)
    if problem.headers and "allow" in {name.lower() for name in problem.headers}:
        response.headers["Allow"] = dict(problem.headers).get("Allow", "")
    return response
