"""The public facts of a tree, as data and as a small page. Pure; nothing about a person, and no claim that
is not a fact: what is not known yet is said to be unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.numbers import order_number, tree_number
from engine.core.rules import Programme, RuleBook
from engine.core.units import local_day, rfc3339
from engine.facts import WAITING_STATES
from partners.public.look import SIMULATED, Html, facts, link, page
from partners.public.shown import batch_url, programme_url, site_url, surveyor_shown
from partners.store.queries import BatchFacts, TreeFacts
from partners.store.stands import Stand

STATES: Mapping[str, tuple[str, str]] = {
    "pledged": ("Waiting for a planting order", "等待种植订单"),
    "allocated": ("Gathered in a draft order; a place is held for it", "已列入订单草稿，名额已预留"),
    "ordered": ("Ordered; the partner has not answered yet", "已下单，等待伙伴答复"),
    "confirmed": ("The partner has agreed to plant it", "伙伴已确认种植"),
    "planted": ("The partner reports it planted; not verified yet", "伙伴报告已种植，尚未核验"),
    "verified": ("Planting verified by a reviewer", "种植已核验"),
    "established": ("Its plot was found in band by all counts", "所在地块历次调查均达标"),
    "withdrawn": ("Withdrawn; it is not counted any more", "已撤回，不再计入"),
}
NOTES: Mapping[str, tuple[str, str]] = {
    "asked_below_minimum": (
        "The order is below the partner's minimum; the partner was asked.",
        "订单低于伙伴最低数量，已询问伙伴。",
    ),
    "waits_again": ("It waits for another order.", "等待新的订单。"),
    "rerouted": (
        "Another place with the same species and region was asked.",
        "已转到同地区同树种的另一地点。",
    ),
    "waits_for_next_season": ("It waits for the next planting season.", "等待下一个种植季。"),
    "replaced": ("It was planted anew under its number.", "已按原编号补植。"),
    "moved": ("It stands on another plot now.", "已转到另一地块。"),
    "withdrawn": ("It was written down.", "已核减。"),
    "waits_for_place": ("No place takes orders now; it waits.", "目前没有可下单的地点，等待中。"),
    "no_place": ("There is no place for it now; it waits.", "目前没有名额，等待中。"),
    "energy_back": ("The energy went back to its user.", "能量已退还给用户。"),
    "switched": ("Its user has switched to another tree.", "用户已改选另一棵树。"),
}
REASONS: Mapping[str, tuple[str, str]] = {
    "rolled": ("Too few trees for an order this season.", "本季树木不足以成单。"),
    "below_minimum": ("The partner declined the small order.", "伙伴未接受小额订单。"),
    "declined": ("The partner declined.", "伙伴未接受。"),
    "no_answer": ("The partner did not answer in time.", "伙伴未按时答复。"),
    "cancelled": ("The order was cancelled.", "订单已取消。"),
    "shortfall": ("Fewer trees were planted than agreed.", "实际种植少于约定。"),
    "not_verified": ("The reviewer could not verify it.", "核验未通过。"),
    "closed_short": ("What was lost there can't be made good.", "该处损失无法补救。"),
    "hold_expired": ("The place was held only for a time.", "预留名额已到期。"),
    "agreement_over": ("The agreement with the partner is over.", "与伙伴的协议已到期。"),
    "no_quota": ("No partner offers places for this species.", "没有伙伴提供该树种的名额。"),
    "other_region": ("There are places only in other regions.", "仅其他地区有名额。"),
    "no_record": ("The partner is not registered yet.", "伙伴尚未登记。"),
    "no_agreement": ("There is no agreement with the partner yet.", "尚无与伙伴的协议。"),
    "partner_applied": ("The partner is still being looked at.", "伙伴尚在审核。"),
    "partner_vetting": ("The partner is still being looked at.", "伙伴尚在审核。"),
    "partner_suspended": ("The partner is suspended.", "伙伴已被暂停。"),
    "partner_left": ("The partner has left.", "伙伴已退出。"),
    "document_expired": ("A document of the partner has run out.", "伙伴的证明文件已过期。"),
    "site_not_approved": ("The site is not approved yet.", "地块尚未批准。"),
    "offer_withdrawn": ("The partner no longer plants this species.", "伙伴不再种植该树种。"),
    "no_price": ("No price is agreed.", "尚未约定价格。"),
    "other_currency": ("The price is in another currency.", "价格币种不同。"),
    "price_above_funding": ("The price is above what is funded.", "价格高于已筹资金。"),
    "season_closed": ("The season takes no more orders.", "本季已截止下单。"),
    "full": ("All places are taken.", "名额已满。"),
    "no_place": ("It had waited too long for a place.", "等待名额时间过长。"),
    "chosen": ("Its user chose so.", "由用户选择。"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tree is to stand, by the rulebook in force."""

    programme: Programme
    rules: RuleBook
    is_live: bool


def tree_page(tree: TreeFacts, place: Place | None, now: int, stand: Stand | None = None) -> dict[str, Any]:
    """The public facts of a tree. `place` None: its programme is not in the rulebook any more; `stand`: of its plot."""
    note, _, reason = tree.note.partition(":")
    english, chinese = STATES[tree.state]
    return {
        "number": tree_number(tree.unit),
        "state": tree.state,
        "state_text": {"en": english, "zh": chinese},
        "note": tree.note,
        "note_text": _note_text(note, reason),
        "waiting": _waiting(tree),
        "last_fact_at": rfc3339(tree.fact_at),
        **_place(tree, place, now),
        "order": order_number(tree.order) if tree.order is not None else None,
        "batch": batch_url(tree.batch.id) if tree.batch is not None else None,
        "granularity": tree.granularity or (place.programme.granularity if place else None),
        "pooled": _pooled(tree),
        "proof": [*_proof(tree), *(counts_told(stand) if stand is not None else ())],
        "plot": _plot_facts(stand) if stand is not None and stand.verified else None,
        "certificate": f"/v1/trees/{tree_number(tree.unit)}/certificate",
    }


def _waiting(tree: TreeFacts) -> dict[str, Any] | None:
    """Since when it waits and why, and when its energy goes back by itself; None where it does not wait."""
    if tree.state not in WAITING_STATES:
        return None
    since_at = tree.fact_at if tree.unplaced_at is None else tree.unplaced_at
    return {
        "since": rfc3339(since_at),
        "why": tree.note or "for_order",
        "energy_back_at": None if tree.back_at is None else rfc3339(tree.back_at),
    }


def tree_html(tree: Mapping[str, Any]) -> bytes:
    """The same facts to be read by a person."""
    warning = SIMULATED if tree["simulated"] else ""
    address = f"/v1/trees/{tree['number']}"
    foot = (f"The same as JSON: {address}, Accept: application/json",)
    return page(f"Tree 树 {tree['number']}", [facts(_lines(tree))], warning, foot)


def _place(tree: TreeFacts, place: Place | None, now: int) -> dict[str, Any]:
    if place is None:
        return {
            "species": None,
            "programme": {"id": tree.programme},
            "site": None,
            "partner": tree.partner,
            "simulated": True,
            "season": _season(tree, None, now),
        }
    programme = place.programme
    species = place.rules.species[programme.species]
    return {
        "species": {"id": species.id, "scientific": species.scientific, "names": dict(species.names)},
        "programme": {
            "id": programme.id,
            "names": dict(programme.names),
            "url": programme_url(programme.id),
        },
        "site": {
            "url": site_url(tree.site) if tree.site and tree.site_names else None,
            "names": tree.site_names or dict(programme.site),
            "region": programme.region,
            "latitude": float(programme.latitude),
            "longitude": float(programme.longitude),
        },
        "partner": tree.partner or programme.partner,
        "simulated": not place.is_live,
        "season": _season(tree, programme, now),
    }


def _season(tree: TreeFacts, programme: Programme | None, now: int) -> dict[str, Any] | None:
    """The season in which it is expected to be planted (or was)."""
    if tree.season_opens_at is not None and tree.season_closes_at is not None:
        opens_on, closes_on = local_day(tree.season_opens_at, "UTC"), local_day(tree.season_closes_at, "UTC")
        return {"id": tree.season, "opens_on": opens_on.isoformat(), "closes_on": closes_on.isoformat()}
    if tree.season:
        return {"id": tree.season}
    if programme is None:
        return None
    window = programme.next_season(local_day(now, "UTC"))
    return {
        "id": f"{window.year}-{window.id}",
        "opens_on": window.opens_on.isoformat(),
        "closes_on": window.closes_on.isoformat(),
    }


def _pooled(tree: TreeFacts) -> dict[str, Any] | None:
    """Of how many trees on which plot it is one, where single trees are not told apart."""
    if tree.granularity != "pooled":
        return None
    if tree.batch is not None:
        return {"one_of": tree.batch.reported, "plot": f"{tree.site} / {_plot(tree.batch)}"}
    return {"one_of": tree.accepted, "plot": tree.site} if tree.accepted else None


def _plot(batch: BatchFacts) -> str:
    order, _, report_no = batch.id.partition("/")
    return f"{order_number(int(order))} {report_no}"


def _proof(tree: TreeFacts) -> list[dict[str, Any]]:
    if tree.batch is None:
        return []
    found: list[dict[str, Any]] = [
        {
            "kind": "planting_report",
            "by": tree.partner,
            "planted_from_on": tree.batch.planted_from_on,
            "planted_to_on": tree.batch.planted_to_on,
            "trees": tree.batch.reported,
            "evidence_files": tree.batch.evidence,
        }
    ]
    if tree.batch.verified:
        found.append({"kind": "review", "trees_verified": tree.batch.verified})
    return found


def counts_told(stand: Stand) -> list[dict[str, Any]]:
    """Counts of living trees on the plot: a pooled tree is never said to be dead, its plot's rate is told."""
    return [
        {
            "kind": "survival_count",
            "figure": count.figure,
            "rate_bp": count.rate_bp,
            "low_bp": count.low_bp,
            "high_bp": count.high_bp,
            "trees_counted": count.n,
            "plots": len(count.plots),
            "method": count.method,
            "visited_on": count.visited_on,
            "by": surveyor_shown(count.surveyor),
            "has_conflict_of_interest": count.is_conflicted,
            "verdict": count.verdict,
            "why": count.why,
        }
        for count in stand.counts
    ]


def _plot_facts(stand: Stand) -> dict[str, Any]:
    return {
        "trees_verified": stand.verified,
        "trees_written_down": stand.written_down,
        "trees_replanted": stand.replanted,
        "review_levels": list(stand.levels),
        "next_count_from": stand.next_count_from or None,
        "public_note": stand.public_note,
        "disturbances": [
            {"kind": one.kind, "area_m2": one.area_m2, "happened_on": one.happened_on}
            for one in stand.disturbances
        ],
    }


def _note_text(note: str, reason: str) -> dict[str, str]:
    texts = [table[code] for table, code in ((REASONS, reason), (NOTES, note)) if code in table]
    return {"en": " ".join(text[0] for text in texts), "zh": "".join(text[1] for text in texts)}


def _lines(page: Mapping[str, Any]) -> list[tuple[str, object]]:
    species, site, season, pooled = (page[name] for name in ("species", "site", "season", "pooled"))
    programme = page["programme"]
    lines: list[tuple[str, object]] = [
        ("State 状态", f"{page['state_text']['en']} {page['state_text']['zh']}"),
        ("Waiting since 等待自", page["waiting"]["since"] if page["waiting"] else ""),
        ("Energy back at 能量退还时间", (page["waiting"] or {}).get("energy_back_at") or ""),
        ("Note 说明", f"{page['note_text']['en']} {page['note_text']['zh']}".strip()),
        (
            "Species 树种",
            f"{species['names']['en']} {species['names']['zh']} ({species['scientific']})" if species else "",
        ),
        ("Programme 项目", link(programme["url"], _both(programme["names"])) if "url" in programme else ""),
        ("Site 地点", link(site["url"] or "", _both(site["names"])) if site else ""),
        ("Partner 伙伴", str(page["partner"] or "")),
        ("Season 种植季", _season_text(season)),
        ("One of 其中之一", f"{pooled['one_of']:,} · {pooled['plot']}" if pooled else ""),
        ("Planting report 种植报告", link(page["batch"], page["order"]) if page["batch"] else ""),
        ("Last fact 最近事实", str(page["last_fact_at"])),
    ]
    proofs = [_proof_text(proof) for proof in page["proof"]] or ["none yet 暂无"]
    plot = page["plot"]
    if plot is not None:
        lines += _plot_lines(plot)
    paper = page["certificate"]
    papers = [
        link(f"{paper}?lang={language}", shown) for language, shown in (("zh", "中文"), ("en", "English"))
    ]
    lines.append(("Certificate 证书", Html(" · ".join(papers))))
    return lines + [("Proof 证明", text) for text in proofs]


def _both(names: Mapping[str, str]) -> str:
    return f"{names['en']} {names['zh']}"


def _plot_lines(plot: Mapping[str, Any]) -> list[tuple[str, object]]:
    befell = "; ".join(f"{one['kind']} {one['happened_on']}" for one in plot["disturbances"])
    return [
        ("Replanted 补植", f"{plot['trees_replanted']:,}" if plot["trees_replanted"] else ""),
        ("Written down 核减", f"{plot['trees_written_down']:,}" if plot["trees_written_down"] else ""),
        ("Public note 公开说明", plot["public_note"]),
        ("Disturbances 灾害", befell),
        ("Next count from 下次调查", plot["next_count_from"] or ""),
    ]


def _season_text(season: Mapping[str, str] | None) -> str:
    if not season:
        return ""
    return season["id"] + (f" ({season['opens_on']} – {season['closes_on']})" if "opens_on" in season else "")


def _proof_text(proof: Mapping[str, Any]) -> str:
    if proof["kind"] == "review":
        return f"review: {_counted(proof['trees_verified'], 'tree')} verified 核验"
    if proof["kind"] == "survival_count":
        return count_text(proof)
    first, last = proof["planted_from_on"], proof["planted_to_on"]
    days = f"on {first}" if first == last else f"from {first} to {last}"
    return (
        f"{proof['by']} reports {_counted(proof['trees'], 'tree')} planted {days}, "
        f"with {_counted(proof['evidence_files'], 'file')} of evidence"
    )


def count_text(proof: Mapping[str, Any]) -> str:
    """A count of living trees in a line: rate, interval, day, sample, who counted, what follows."""
    figure = "survival 成活率" if proof["figure"] == "survival" else "preservation 保存率"
    span = "" if proof["low_bp"] is None else f" ({proof['low_bp'] / 100:.1f}–{proof['high_bp'] / 100:.1f} %)"
    return (
        f"{figure} of the plot: {proof['rate_bp'] / 100:.1f} %{span} on {proof['visited_on']}, "
        f"{_counted(proof['trees_counted'], 'tree')} counted by {proof['by']}: {proof['verdict']} {proof['why']}"
    ).strip()


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
