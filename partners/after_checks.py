"""`saxaul check` for what follows `planted`: claims, books, counts, endings, and the chain of the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from engine.store.database import Reader
from partners.core.after_rows import AuditEvent
from partners.core.audit_log import START, link
from partners.core.money import BALANCES

LINES_PER_QUERY = 1000
BROKEN_MAX = 100

Finding = tuple[str, str, str]

AFTER_CHECKED: tuple[str, ...] = (
    "A verified batch has a verdict; its claims are those of its trees, one a tree, and no more than is ours.",
    "Every fund's balances are the sums of its entries, and no commitment pays more than it holds.",
    "Invoices add up to what their milestones say was invoiced.",
    "A watched order has counts; a completed one has none open; what is closed short was approved and written down.",
    "The audit log's chain is whole: every line is what it was when it was sealed, in its place.",
)


class Law(NamedTuple):
    """A query whose rows break a law; `says` is filled with a row."""

    code: str
    place: str
    sql: str
    says: str


# what a partner owes is on its way back to the fund
_COMING_BACK = """(CASE WHEN f.owed_minor = 0 THEN 0
                   WHEN f.currency = f.price_currency THEN f.owed_minor ELSE f.cost_minor END)"""


def _balance_law(account: str, field: str) -> Law:
    return Law(
        "fund_balance",
        "fund",
        f"""SELECT f.id, f.{field}, COALESCE(e.booked, 0)
            FROM order_funds f LEFT JOIN (SELECT fund_id, SUM(CASE WHEN debit = '{account}' THEN amount_minor
                   WHEN credit = '{account}' THEN -amount_minor ELSE 0 END) AS booked
                   FROM budget_entries GROUP BY fund_id) e ON e.fund_id = f.id
            WHERE f.{field} <> COALESCE(e.booked, 0) ORDER BY f.id""",
        f"expected {account} {{2}} as its entries say, found {{1}}",
    )


AFTER_LAWS: tuple[Law, ...] = (
    Law(
        "standing_and_batch_differ",
        "batch",
        """SELECT s.id, s.verified, b.verified FROM standings s LEFT JOIN batches b ON b.id = s.id
           WHERE b.id IS NULL OR b.verified <> s.verified ORDER BY s.id""",
        "expected {1} verified trees, found {2}",
    ),
    Law(
        "batch_without_verdict",
        "batch",
        """SELECT b.id, b.verified FROM batches b LEFT JOIN standings s ON s.id = b.id
           WHERE b.verified > 0 AND (s.id IS NULL OR s.state <> 'verified' OR (s.reviews > 0 AND NOT EXISTS
             (SELECT 1 FROM batch_reviews r WHERE r.batch_id = b.id AND r.verdict = 'verified'))) ORDER BY b.id""",
        "expected a verdict for its {1} verified trees, found none",
    ),
    Law(
        "claims_miscounted",
        "batch",
        """SELECT s.id, s.claimed, (SELECT count(*) FROM claims c WHERE c.batch_id = s.id AND c.status = 'active')
           FROM standings s WHERE s.claimed <>
             (SELECT count(*) FROM claims c WHERE c.batch_id = s.id AND c.status = 'active') ORDER BY s.id""",
        "expected {2} claims as its trees hold, found {1}",
    ),
    Law(
        "claimed_too_much",
        "batch",
        """SELECT id, claimed, verified, written_down, own_share_pct FROM standings
           WHERE claimed * 100 > (verified - written_down) * own_share_pct ORDER BY id""",
        "expected claims on at most {4} % of {2} − {3} trees, found {1}",
    ),
    Law(
        "claim_of_another_batch",
        "claim",
        """SELECT c.id, c.batch_id, u.batch_id, u.state FROM claims c LEFT JOIN tree_units u ON u.id = c.unit
           WHERE c.status = 'active' AND (u.id IS NULL OR u.batch_id IS NULL OR u.batch_id <> c.batch_id
             OR u.state NOT IN ('verified', 'established')) ORDER BY c.id""",
        "expected a verified tree of batch {1}, found {3} in {2}",
    ),
    Law(
        "verified_without_claim",
        "unit",
        """SELECT u.id, u.batch_id FROM tree_units u LEFT JOIN claims c ON c.unit = u.id AND c.status = 'active'
           WHERE u.state IN ('verified', 'established') AND c.id IS NULL ORDER BY u.id""",
        "expected a claim on batch {1}, found none",
    ),
    *(_balance_law(account, field) for account, field in BALANCES.items()),
    Law(
        "fund_price",
        "fund",
        """SELECT f.id, f.trees * f.price_minor, f.committed_minor + f.payable_minor + f.paid_minor - f.excess_minor
           FROM order_funds f JOIN partner_orders o ON o.id = f.order_id
           WHERE o.state <> 'closed_short' AND f.trees * f.price_minor
             <> f.committed_minor + f.payable_minor + f.paid_minor - f.excess_minor ORDER BY f.id""",
        "expected {1}, the price of its trees, found {2} committed, payable and paid",
    ),
    Law(
        "commitment_overdrawn",
        "commitment",
        f"""SELECT f.commitment_id, c.amount_minor,
                  SUM(f.held_minor + f.cost_minor - {_COMING_BACK})
           FROM order_funds f JOIN commitments c ON c.id = f.commitment_id
           GROUP BY f.commitment_id, c.amount_minor
           HAVING SUM(f.held_minor + f.cost_minor - {_COMING_BACK}) > c.amount_minor
           ORDER BY f.commitment_id""",
        "expected at most {1}, found {2} held and spent",
    ),
    Law(
        "milestone_invoices",
        "milestone",
        """SELECT m.id, m.invoiced_minor, COALESCE(SUM(i.net_minor + i.tax_minor), 0)
           FROM milestones m LEFT JOIN invoices i ON i.milestone = m.id AND i.state <> 'rejected'
           GROUP BY m.id, m.invoiced_minor
           HAVING m.invoiced_minor <> COALESCE(SUM(i.net_minor + i.tax_minor), 0) ORDER BY m.id""",
        "expected {2} as its invoices say, found {1}",
    ),
    Law(
        "watched_without_counts",
        "order",
        """SELECT o.id, o.state FROM partner_orders o WHERE o.state IN ('monitoring', 'replanting', 'completed')
           AND o.kind <> 'test' AND NOT EXISTS (SELECT 1 FROM audits a WHERE a.order_id = o.id) ORDER BY o.id""",
        "expected counts of an order that is {1}, found none",
    ),
    Law(
        "completed_too_early",
        "order",
        """SELECT o.id, a.id FROM partner_orders o JOIN audits a ON a.order_id = o.id
           WHERE o.state = 'completed' AND (a.state = 'planned' OR (a.verdict = 'below_band' AND NOT EXISTS
             (SELECT 1 FROM replacements r JOIN partner_orders c ON c.id = r.id
              WHERE r.audit_id = a.id AND c.state = 'completed'))) ORDER BY o.id""",
        "expected every count in band or made good, found {1}",
    ),
    Law(
        "closed_without_approval",
        "order",
        """SELECT o.id FROM partner_orders o LEFT JOIN closings c ON c.id = o.id AND c.state = 'approved'
           WHERE o.state = 'closed_short' AND (c.id IS NULL OR NOT EXISTS
             (SELECT 1 FROM write_downs w WHERE w.order_id = o.id)) ORDER BY o.id""",
        "expected an approval and a write-down, found none",
    ),
    Law(
        "write_down_of_nothing",
        "write-down",
        """SELECT w.id, w.trees, s.written_down FROM write_downs w LEFT JOIN standings s ON s.id = w.id
           WHERE s.id IS NULL OR s.written_down <> w.trees ORDER BY w.id""",
        "expected {1} trees written down in its batch, found {2}",
    ),
)


async def check_chain(view: Reader) -> AsyncIterator[Finding]:
    """Go along the chain from its start; each line that is altered, moved or gone is named."""
    columns = ("id", "at", "actor", "entity", "what", "was", "became", "reason", "place", "previous", "hash")
    sql = f"SELECT {', '.join(columns)} FROM audit_events WHERE place > ? ORDER BY place LIMIT ?"
    place, previous, found = 0, START, 0
    while rows := await view.fetch(sql, place, LINES_PER_QUERY):
        for row in rows:
            line = AuditEvent(*row)
            assert line.place is not None
            if line.place != place + 1:
                yield (
                    "audit_line_missing",
                    f"audit line {place + 1}",
                    f"expected a line, found place {line.place}",
                )
                found += 1
            elif line.previous != previous:
                yield _altered(line, f"the hash {previous[:12]}… before it", line.previous)
                found += 1
            if line.hash != (own := link(line.place, line.previous, line)):
                yield _altered(line, f"the hash {own[:12]}…", line.hash)
                found += 1
            if found >= BROKEN_MAX:
                return
            place, previous = line.place, line.hash
    heads = await view.fetch("SELECT place, hash FROM chain_heads")
    if heads != [(place, previous)]:
        head = heads[0][0] if heads else "no head"
        yield (
            "audit_chain_cut",
            f"audit line {place}",
            f"expected the end of the chain, found its head at {head}",
        )


def _altered(line: AuditEvent, expected: str, found: str) -> Finding:
    return (
        "audit_line_altered",
        f"audit line {line.place} ({line.id})",
        f"expected {expected}, found {found[:12]}…",
    )
