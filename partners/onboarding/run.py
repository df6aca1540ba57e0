"""Carries an onboarding file out: one command after the other, up to the first that is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.errors import CODES
from engine.rulefiles.reading import Document
from engine.store.database import Reader
from engine.writer import Outcome
from partners.core.records.rows import agreement_id
from partners.onboarding.file import OnboardingFile, Standing, wishes

SubmitAll = Callable[[Sequence[Any]], Awaitable[list[Outcome]]]


@dataclass(frozen=True, slots=True)
class Onboarded:
    """How far it went: commands that were carried out, and the one that was refused (empty if none was)."""

    partner: str
    done: int
    refused: str = ""


async def standing_of(view: Reader, file: OnboardingFile) -> Standing:
    """How the records of the file stand in the database."""
    version = file.agreement.version if file.agreement is not None else 0
    partner = await view.fetch("SELECT status FROM partner_records WHERE id = ?", file.partner.id)
    agreement = await view.fetch(
        "SELECT status FROM agreements WHERE id = ?", agreement_id(file.partner.id, version)
    )
    sites = await view.fetch("SELECT id, status FROM sites WHERE partner = ?", file.partner.id)
    return Standing(
        partner[0][0] if partner else "", agreement[0][0] if agreement else "", dict(map(tuple, sites))
    )


async def onboard(
    file: OnboardingFile,
    document: Document,
    operator: str,
    standing: Standing,
    submit_all: SubmitAll,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Onboarded:
    """Carry it out. What was done before the refusal stays; mended, the file goes on from there."""
    planned = list(wishes(file, document, operator, standing))
    for done, wish in enumerate(planned):
        progress("records", done, len(planned))
        [outcome] = await submit_all([wish.command])
        if outcome.error is not None:
            error = outcome.error
            fields = ", ".join(f"{name}: {value}" for name, value in error.fields.items())
            where = f"{document.file}:{wish.line}:{wish.path}"
            about = CODES.get(error.code, error.code)
            return Onboarded(file.partner.id, done, f"{where}: {error.code} ({fields}): {about}")
    progress("records", len(planned), len(planned))
    return Onboarded(file.partner.id, len(planned))
