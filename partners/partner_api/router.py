"""The partner API, put together: one router under /v1/partner."""

from __future__ import annotations

from fastapi import APIRouter

from partners.api import Desk
from partners.partner_api.hooks import add_hooks
from partners.partner_api.keys import Gate
from partners.partner_api.orders import add_orders
from partners.partner_api.rates import Rates
from partners.partner_api.route import rated_route, refusing
from partners.partner_api.sandbox import add_sandbox

PREFIX = "/v1/partner"
TAG = "partner API"


def partner_router(desk: Desk, rates: Rates, allows_loopback: bool = False) -> APIRouter:
    """All routes that a partner calls with a key of its own. `allows_loopback`: webhooks to this machine may be had."""
    router = APIRouter(prefix=PREFIX, tags=[TAG], route_class=rated_route(rates), responses=refusing())
    gate = Gate(desk, rates)
    add_orders(router, desk, gate)
    add_hooks(router, desk, gate, allows_loopback)
    add_sandbox(router, desk, gate)
    return router
