"""Editions of the rulebook: their numbers, their people, their journal, and that each act was decided by its own.

What was in force for a user at an instant follows from the editions alone, so that the trace of every activity can be
held against it: a process that decided by an old rulebook is found here.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from engine.check.findings import Findings, Progress
from engine.check.journal import BATCH_ROWS
from engine.core.canary import is_chosen
from engine.core.editions import (
    APPROVED,
    DESK,
    FOLDER,
    ROLLBACK,
    WITHDRAWN,
    Edition,
    canary_at,
    edition_facts,
    for_all_at,
    is_same_person,
)
from engine.core.units import rfc3339
from engine.publishing import editions
from engine.rulefiles.packing import digest_of
from engine.store.database import Reader

LAWS = (
    "Editions are numbered without a hole, and each has its rulebook, whole as it was stored.",
    "Each edition that counts was approved by a second person, unless it is a folder's or a rollback.",
    "At no instant two canaries run, and the journal says of editions what they say.",
    "Each activity was worked out by the rulebook that was in force for its user when it was accepted.",
)
MADE = ("PublishFolder", "ProposeRulebook", "PromoteCanary", "RollBackRulebook")
CHANGED = ("ApproveRulebook", "WithdrawEdition", *MADE)


class _Trace(msgspec.Struct):
    rules: str = ""


_trace = msgspec.json.Decoder(_Trace).decode
_files = msgspec.json.Decoder(dict[str, str]).decode


async def check_editions(view: Reader, findings: Findings, progress: Progress) -> None:
    """All laws of editions."""
    findings.laws += LAWS
    rows = (await editions(view))[::-1]
    findings.counts["editions"] = len(rows)
    await _check_numbers(view, rows, findings)
    await _check_rulebooks(view, rows, findings)
    for edition in rows:
        _check_people(edition, findings)
    _check_canaries(rows, findings)
    await _check_journal(view, rows, findings)
    await _check_activities(view, rows, findings, progress)


async def _check_numbers(view: Reader, rows: Sequence[Edition], findings: Findings) -> None:
    desk = await view.fetch("SELECT newest FROM edition_desk WHERE id = ?", DESK)
    newest = desk[0][0] if desk else 0
    numbers = [edition.number for edition in rows]
    findings.expect("edition_numbers", "editions", "numbers", list(range(1, newest + 1))[:50], numbers[:50])
    findings.expect("edition_numbers", "edition desk", "newest", len(rows), newest)


async def _check_rulebooks(view: Reader, rows: Sequence[Edition], findings: Findings) -> None:
    """One rulebook at a time: each may have megabytes."""
    kept = {rules_hash for (rules_hash,) in await view.fetch("SELECT hash FROM rulebooks")}
    for edition in rows:
        if edition.hash not in kept:
            place = f"edition {edition.number}"
            findings.tell("rulebook_missing", place, f"expected the rulebook {edition.hash[:12]} to be kept")
    for rules_hash in sorted(kept):
        [(text, digest)] = await view.fetch("SELECT files, digest FROM rulebooks WHERE hash = ?", rules_hash)
        place = f"rulebook {rules_hash[:12]}"
        try:
            found = digest_of(_files(text))
        except msgspec.MsgspecError as problem:
            findings.tell("rulebook_damaged", place, str(problem))
            continue
        findings.expect("rulebook_damaged", place, "digest, by its files", found, digest)


def _check_people(edition: Edition, findings: Findings) -> None:
    place = f"edition {edition.number}"
    if not edition.proposed_by or not edition.why:
        findings.tell("edition_people", place, "expected who proposed it and why")
    has_ended = edition.state == WITHDRAWN or edition.until_at is not None
    if has_ended and not (edition.ended_by and edition.ended_why):
        findings.tell("edition_people", place, "expected who ended it and why")
    if edition.state != APPROVED:
        return
    if not edition.approved_by or edition.approved_at is None or edition.from_at is None:
        findings.tell("edition_people", place, "expected who approved it, when, and from when it counts")
        return
    if edition.origin not in (FOLDER, ROLLBACK) and is_same_person(edition.approved_by, edition.proposed_by):
        findings.tell("edition_people", place, f"{edition.approved_by} proposed and approved it")
    if edition.number > 1 and edition.from_at <= edition.approved_at:
        findings.tell(
            "edition_backdated", place, f"approved {rfc3339(edition.approved_at)}, counts from before"
        )


def _check_canaries(rows: Sequence[Edition], findings: Findings) -> None:
    canaries = sorted(
        (one for one in rows if one.state == APPROVED and not one.is_for_all),
        key=lambda one: one.from_at or 0,
    )
    for before, after in pairwise(canaries):
        if before.until_at is None or before.until_at > (after.from_at or 0):
            place = f"edition {after.number}"
            findings.tell("two_canaries", place, f"it began before edition {before.number} had ended")


# --- the journal ----------------------------------------------------------------------------------


async def _check_journal(view: Reader, rows: Sequence[Edition], findings: Findings) -> None:
    """The last that the journal says of an edition is what its row says."""
    sql = "SELECT id, kind, reply FROM journal WHERE kind IN ? ORDER BY id"
    told: dict[int, dict[str, Any]] = {}
    for row_id, kind, text in await view.fetch(sql, list(CHANGED)):
        try:
            reply = msgspec.json.decode(text)
            number = reply["edition"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            findings.tell("edition_journal", f"journal row {row_id}", f"{kind} without an edition")
            continue
        told.setdefault(number, {}).update(reply)
    for edition in rows:
        said = told.pop(edition.number, {})
        for name, value in _lasting(edition, said).items():
            place = f"edition {edition.number}"
            findings.expect("edition_journal", place, f"{name}, by the journal", said.get(name), value)
    for number in told:
        findings.tell("edition_journal", f"edition {number}", "the journal names it; expected a row")


def _lasting(edition: Edition, said: dict[str, Any]) -> dict[str, object]:
    """What of an edition's facts is said once and never changes; a promotion ends its canary in its own row."""
    facts = edition_facts(edition, 0)
    names = ["rulebook", "origin", "share_pct", "proposed_by", "proposed_at", "why", "from_at", "approved_by"]
    if edition.ended_why and "ended_by" in said:
        names += ["ended_by", "ended_why", "until_at"]
    return {name: facts.get(name) for name in names}


# --- activities -----------------------------------------------------------------------------------


async def _check_activities(
    view: Reader, rows: Sequence[Edition], findings: Findings, progress: Progress
) -> None:
    """Hold the rulebook of every trace against the editions; what was accepted before there were any is left out."""
    counted = [edition for edition in rows if edition.state == APPROVED]
    if not counted:
        return
    first_at = counted[0].proposed_at
    sql = "SELECT id, user_id, accepted_at, trace FROM activities WHERE id > ? ORDER BY id LIMIT ?"
    after, known = -1, _InForce(counted)
    while batch := await view.fetch(sql, after, BATCH_ROWS):
        for activity, user, accepted_at, trace in batch:
            found = _trace(trace).rules
            if accepted_at < first_at or not found:
                continue
            findings.counts["activities held against editions"] += 1
            expected = known.of(user, accepted_at)
            if found != expected:
                about = f"rulebook, by the editions: expected {expected[:12]}, found {found[:12]}"
                findings.tell("other_rulebook", f"activity {activity}", about)
        after = batch[-1][0]
        progress("activities by edition", after, 0)


class _InForce:
    """What was in force for a user at an instant; the last stretch of time is kept."""

    def __init__(self, rows: Sequence[Edition]) -> None:
        self._rows = rows
        self._turns = sorted({at for row in rows for at in (row.from_at, row.until_at) if at is not None})
        self._low, self._high = 0, -1
        self._all = ""
        self._canary: Edition | None = None

    def of(self, user: int, at: int) -> str:
        if not self._low <= at < self._high:
            self._turn_to(at)
        canary = self._canary
        if canary is not None and is_chosen(canary.salt, canary.share, user):
            return canary.hash
        return self._all

    def _turn_to(self, at: int) -> None:
        self._low = max((turn for turn in self._turns if turn <= at), default=0)
        self._high = min((turn for turn in self._turns if turn > at), default=2**62)
        found = for_all_at(self._rows, at)
        self._all, self._canary = found.hash if found else "", canary_at(self._rows, at)
