"""Acts that users have shown: each by a photo of its own, none that was refused still counting."""

from engine.check.findings import Findings
from engine.core.shown import OWN_SOURCE
from engine.store.database import Reader

TOLD_MAX = 100


async def check_shown(view: Reader, findings: Findings) -> None:
    """Photos and reviews against the activities."""
    findings.laws.append("A shown act has a photo that shows no other; one that was refused is reversed.")
    sql = (
        "SELECT a.id FROM activities a LEFT JOIN photos p ON p.sha256 = a.content AND p.activity_id = a.id"
        " WHERE a.source = ? AND p.sha256 IS NULL ORDER BY a.id LIMIT ?"
    )
    for (activity,) in await view.fetch(sql, OWN_SOURCE, TOLD_MAX):
        findings.tell("photo_missing", f"activity {activity}", "expected a photo of its own, found none")
    sql = (
        "SELECT r.activity_id, a.status FROM shown_reviews r LEFT JOIN activities a ON a.id = r.activity_id"
        " WHERE a.id IS NULL OR (r.state = 'refused' AND a.status <> 'reversed') ORDER BY r.activity_id LIMIT ?"
    )
    for activity, status in await view.fetch(sql, TOLD_MAX):
        place = f"review of activity {activity}"
        findings.tell("refused_counted", place, f"expected a reversed activity, found {status or 'none'}")
    [(findings.counts["shown acts to look at"],)] = await view.fetch("SELECT count(*) FROM shown_reviews")
