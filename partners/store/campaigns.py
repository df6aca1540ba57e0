"""What became of campaigns: budget, spending, energy used, trees by state, what a tree that stands has cost."""

from __future__ import annotations

import json
from typing import Any

from engine.store.database import Reader
from partners.store import funders

CAMPAIGNS_MAX = 500


async def report(reader: Reader, campaign: int | None = None) -> list[dict[str, Any]]:
    """One campaign, or all by id. Figures of money and trees are those of its commitment; see `funders.report`."""
    where, params = ("WHERE id = ?", (campaign,)) if campaign is not None else ("", ())
    rows = await reader.fetch(
        "SELECT id, name, programme, from_on, until_on, redeem_until_on, started_by, started_at, behaviours"
        f" FROM campaigns {where} ORDER BY id LIMIT {CAMPAIGNS_MAX}",
        *params,
    )
    uses = await reader.fetch(
        "SELECT campaign, count(*), sum(used_g), sum(trees) FROM campaign_uses WHERE trees > 0 GROUP BY campaign"
    )
    used = {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in uses}
    money = await funders.by_commitment(reader, [row[0] for row in rows])
    told = []
    for number, name, programme, from_on, until_on, redeem_until_on, by, at, behaviours in rows:
        users, energy_g, trees = used.get(number, (0, 0, 0))
        told.append(
            {
                "campaign": str(number),
                "name": name,
                "behaviours": json.loads(behaviours),
                "from_on": from_on,
                "until_on": until_on,
                "redeem_until_on": redeem_until_on,
                "started_by": by,
                "started_at": at,
                "users": users,
                "energy_g": energy_g,
                "trees_of_its_energy": trees,
                **money[number],
                "programme": programme,
            }
        )
    return told
