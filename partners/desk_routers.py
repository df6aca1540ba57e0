"""The operators' routes of the partners' domain beyond single orders, joined for whoever builds the app."""

from __future__ import annotations

from fastapi import APIRouter

from partners.after_api import after_router
from partners.campaign_api import campaigns_router
from partners.desk import Desk
from partners.planning_api import planning_files, planning_router


def desk_routers(desk: Desk) -> tuple[APIRouter, ...]:
    """What follows `planted`, planning, campaigns."""
    return after_router(desk), planning_router(desk), campaigns_router(desk)


def desk_files() -> dict[str, tuple[int, tuple[str, ...]]]:
    """What their paths take in place of JSON: where they begin, the largest body, the media types."""
    return planning_files()
