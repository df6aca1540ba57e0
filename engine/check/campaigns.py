"""Campaigns against the trees that they paid for."""

from datetime import date, timedelta

from engine.check.findings import Findings
from engine.core.units import local_instant
from engine.store.database import Reader

_PAID = "(t.state <> 'withdrawn' OR t.note LIKE 'withdrawn:%')"


async def check_campaigns(view: Reader, findings: Findings) -> None:
    """Each has its commitment; what users have used of its energy is what its trees were made of."""
    findings.laws.append(
        "A campaign's trees were made of as much of its energy as its users have used of it."
    )
    rows = await view.fetch(
        "SELECT g.id, g.programme, g.redeem_until_on, c.programme FROM campaigns g"
        " LEFT JOIN commitments c ON c.id = g.id ORDER BY g.id"
    )
    for campaign, programme, until_on, of_commitment in rows:
        place = f"campaign {campaign}"
        findings.expect("campaign_commitment", place, "programme of its commitment", programme, of_commitment)
        ends_at = local_instant(date.fromisoformat(until_on) + timedelta(days=1), 0, "UTC")
        [(trees, grams)] = await view.fetch(
            f"SELECT count(*), coalesce(sum(t.energy_g), 0) FROM trees t WHERE t.commitment_id = ? AND {_PAID}"
            " AND t.redeemed_at < ?",
            campaign,
            ends_at,
        )
        [(used, used_g)] = await view.fetch(
            "SELECT coalesce(sum(trees), 0), coalesce(sum(used_g), 0) FROM campaign_uses WHERE campaign = ?",
            campaign,
        )
        findings.expect("campaign_trees", place, "trees, by its uses", int(trees), int(used))
        findings.expect("campaign_energy", place, "grams, by its trees", int(grams), int(used_g))
        findings.counts["campaigns"] += 1
