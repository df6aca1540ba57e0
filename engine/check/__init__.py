"""`saxaul check`: audits a whole database against the ledger laws, on one snapshot and in constant memory.

Each problem is named by a code, a place, and what was expected there. It changes nothing and may run beside a
serving engine.
"""

from collections.abc import AsyncIterator, Callable, Sequence

from engine.check.balances import check_balances
from engine.check.balls import check_activities, check_balls
from engine.check.campaigns import check_campaigns
from engine.check.editions import check_editions
from engine.check.findings import Finding, Findings, Progress, Totals
from engine.check.journal import kinds_of, read_journal
from engine.check.occasions import check_occasions
from engine.check.records import check_caps, check_keys, check_trees, check_users
from engine.check.scratch import open_scratch
from engine.check.shown import check_shown
from engine.core.rules import RuleBook
from engine.publishing import books
from engine.store.database import Database, Reader

__all__ = ["Extra", "Finding", "Findings", "Totals", "audit"]

Extra = tuple[Sequence[str], Callable[[Reader], AsyncIterator[tuple[str, str, str]]]]
"""Another domain's laws in words, and a function that yields (code, place, what was expected and found)."""


_COUNTED = (
    "journal rows",
    "transfers",
    "publications",
    "users",
    "activities",
    "balls",
    "takes",
    "caps",
    "occasions",
    "shown acts to look at",
    "commitments",
    "trees",
    "campaigns",
    "editions",
    "activities held against editions",
)


async def audit(
    db: Database,
    rules: RuleBook,
    extras: Sequence[Extra] = (),
    progress: Progress = lambda what, done, total: None,
) -> Findings:
    """Go through the whole database. Raises DatabaseAway."""
    findings = Findings()
    findings.counts.update(dict.fromkeys(_COUNTED, 0))
    with open_scratch() as scratch:
        async with db.snapshot() as view:
            kinds = await kinds_of(view)
            await read_journal(view, scratch, kinds, findings, progress)
            await check_keys(view, findings)
            await check_balances(view, scratch, kinds, findings, progress)
            await check_activities(view, scratch, findings, progress)
            await check_balls(view, scratch, findings, progress)
            await check_caps(view, scratch, [rules, *await books(view)], findings, progress)
            await check_occasions(view, scratch, findings, progress)
            await check_shown(view, findings)
            await check_users(view, scratch, findings, progress)
            await check_trees(view, findings)
            await check_campaigns(view, findings)
            await check_editions(view, findings, progress)
            for laws, look in extras:
                findings.laws += laws
                async for code, place, about in look(view):
                    findings.tell(code, place, about)
    return findings
