"""The portal's domain as the writer wants it: its own rows, joined with the partners' audit log alone."""

from __future__ import annotations

from engine.domain import Domain
from engine.store.mapping import shelf_table
from partners.core.portal import decide
from partners.core.portal.events import EVOLVE
from partners.core.portal.rows import PORTAL_SHELVES
from partners.store.portal_tables import PORTAL_MODELS

PORTAL = Domain(
    "portal",
    PORTAL_SHELVES,
    {kind.name: shelf_table(kind, PORTAL_MODELS[kind.name]) for kind in PORTAL_SHELVES},
    decide.RULES,
    EVOLVE,
)
