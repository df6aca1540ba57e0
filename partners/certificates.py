"""Pledge cards (认捐卡) and certificates of trees: facts, wording, number and hash. Pure; the PDF is made elsewhere.

A certificate is a function of a tree's facts and never stored, so it can't be out of date: its number is the tree's,
its edition the hash of what it says. Whoever holds one asks the public page whether that edition still is what the
facts say (valid), was overtaken (updated), or nothing stands behind it any more (withdrawn). Wording states facts only:
what was planted, verified and counted, by whom and when; nothing is compensated, neutral or owned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.numbers import number_of, tree_number
from partners.public.shown import surveyor_shown
from partners.store.stands import Stand

WORDING = "2026-11"
KIND = "CT"
LANGUAGES = ("zh", "en")
EDITION_CHARACTERS = 12
CERTIFIED = ("verified", "established")

_TITLES: Mapping[str, tuple[str, str]] = {
    "pledge": ("认捐卡", "Pledge card"),
    "certificate": ("种植证书", "Planting certificate"),
    "withdrawn": ("已撤销", "Withdrawn"),
}
_STATEMENTS: Mapping[str, tuple[str, str]] = {
    "pledge": (
        "这棵树已认捐，尚未核验种植。本卡不证明树木已经种下。",
        "This tree is pledged. Its planting is not verified yet; this card does not prove that it stands.",
    ),
    "pooled": (
        "这棵树是该地块成片种植中的一棵，单株不作区分；成活情况按地块抽样统计。",
        "It is one of the trees planted together on this plot; single trees are not told apart. Plots are counted.",
    ),
    "individual": (
        "这棵树单株编号。",
        "This tree is told apart by its number.",
    ),
    "withdrawn": (
        "这棵树的认领已撤销，原因见公开页面。",
        "The claim of this tree was withdrawn; the public page says why.",
    ),
    "ownership": (
        "本证书不赋予对树木、土地或碳汇的任何权利。",
        "This paper gives no title to the tree, its land or its carbon.",
    ),
    "simulated": (
        "模拟伙伴：并没有真实的树。",
        "Simulated partner: there is no real tree.",
    ),
}
_LABELS: Mapping[str, tuple[str, str]] = {
    "tree": ("树木编号", "Tree"),
    "species": ("树种", "Species"),
    "programme": ("项目", "Programme"),
    "site": ("地点", "Site"),
    "partner": ("种植伙伴", "Planted by"),
    "funder": ("出资方", "Funded by"),
    "granularity": ("计数方式", "Counted as"),
    "season": ("种植季", "Season"),
    "planted": ("种植日期", "Planted"),
    "trees": ("地块核验株数", "Trees verified on the plot"),
    "levels": ("核验", "Verified by"),
    "survival": ("成活率", "Survival"),
    "preservation": ("保存率", "Preservation"),
    "count": ("最近一次调查", "Last count"),
    "replanted": ("补植株数", "Trees replanted"),
    "facts": ("事实截至", "Facts as of"),
}
_GRANULARITY: Mapping[str, tuple[str, str]] = {
    "pooled": ("成片（一片中的一棵）", "pooled: one of many on a plot"),
    "individual": ("单株", "a single tree"),
}
_LEVELS: Mapping[int, tuple[str, str]] = {
    1: ("伙伴自查", "the partner"),
    2: ("平台核验", "the platform"),
    3: ("独立第三方", "an independent party"),
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a card or certificate says: lines of label and text by language, and the hash of all of it."""

    number: str
    tree: str
    kind: str  # pledge | certificate | withdrawn
    edition: str
    facts_on: str
    content: dict[str, Any]

    def title(self, language: str) -> str:
        """The heading."""
        return _said(_TITLES[self.kind], language)

    def lines(self, language: str) -> list[tuple[str, str]]:
        """Label and text of each fact."""
        place = LANGUAGES.index(language)
        return [(_said(_LABELS[name], language), texts[place]) for name, texts in self.content["facts"]]

    def statements(self, language: str) -> list[str]:
        """The sentences below the facts."""
        return [_said(_STATEMENTS[name], language) for name in self.content["statements"]]


def certificate(page: Mapping[str, Any], unit: int, stand: Stand) -> Certificate:
    """The card or certificate of a tree, by its public page and what stands on its plot."""
    kind = "certificate" if page["state"] in CERTIFIED else "pledge"
    if page["state"] == "withdrawn":
        kind = "withdrawn"
    facts = [*_facts(page, stand, kind == "certificate"), ("facts", _both(_facts_on(page, stand)))]
    content: dict[str, Any] = {
        "wording": WORDING,
        "kind": kind,
        "tree": tree_number(unit),
        "facts": [[name, texts] for name, texts in facts if all(texts)],
        "statements": _statements(page, kind),
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    edition = hashlib.sha256(text.encode()).hexdigest()
    return Certificate(
        number_of(KIND, unit), tree_number(unit), kind, edition, _facts_on(page, stand), content
    )


def told(found: Certificate, shown: str | None) -> dict[str, Any]:
    """A certificate as data; `shown` is the edition that somebody holds: what has become of it."""
    return {
        "number": found.number,
        "tree": found.tree,
        "kind": found.kind,
        "wording": WORDING,
        "content_sha256": found.edition,
        "edition": found.edition[:EDITION_CHARACTERS],
        "state": state_of(found, shown),
        **{
            language: {
                "title": found.title(language),
                "facts": [{"label": label, "text": text} for label, text in found.lines(language)],
                "statements": found.statements(language),
            }
            for language in LANGUAGES
        },
    }


def state_of(found: Certificate, shown: str | None) -> str:
    """valid, updated (the facts say more or other now) or withdrawn."""
    if found.kind == "withdrawn":
        return "withdrawn"
    return "valid" if shown is None or found.edition.startswith(shown.lower()) else "updated"


def _facts(page: Mapping[str, Any], stand: Stand, is_certified: bool) -> list[tuple[str, tuple[str, str]]]:
    species, site = page["species"], page["site"]
    names = page["programme"].get("names") or {}
    facts: list[tuple[str, tuple[str, str]]] = [
        ("tree", _both(page["number"])),
        ("species", _species(species)),
        ("programme", (names.get("zh", page["programme"]["id"]), names.get("en", page["programme"]["id"]))),
        ("site", (site["names"]["zh"], site["names"]["en"]) if site else ("", "")),
        ("partner", _both(str(page["partner"] or ""))),
        ("funder", _both(stand.funder)),
        ("granularity", _GRANULARITY.get(page["granularity"] or "", ("", ""))),
        ("season", _both((page["season"] or {}).get("id", ""))),
    ]
    if not is_certified:
        return facts
    report = next((one for one in page["proof"] if one["kind"] == "planting_report"), None)
    if report is not None:
        first, last = report["planted_from_on"], report["planted_to_on"]
        facts.append(("planted", _both(first if first == last else f"{first} – {last}")))
    facts.append(("trees", _both(f"{stand.verified:,}" if stand.verified else "")))
    levels = [_LEVELS[level] for level in stand.levels]
    facts.append(("levels", ("、".join(one[0] for one in levels), ", ".join(one[1] for one in levels))))
    facts += _counts(stand)
    if stand.replanted:
        facts.append(("replanted", _both(f"{stand.replanted:,}")))
    return facts


def _facts_on(page: Mapping[str, Any], stand: Stand) -> str:
    """The day of the newest fact."""
    return max([str(page["last_fact_at"])[:10], *(one.visited_on for one in stand.counts)])


def _counts(stand: Stand) -> list[tuple[str, tuple[str, str]]]:
    """The two figures, each with its last count; what was never counted is said to be unknown."""
    facts: list[tuple[str, tuple[str, str]]] = []
    for figure in ("survival", "preservation"):
        counts = [one for one in stand.counts if one.figure == figure]
        if counts:
            facts.append((figure, rate_text(counts[-1])))
    if not stand.counts:
        next_on = stand.next_count_from
        planned = (f"，计划于 {next_on} 起", f", planned from {next_on}") if next_on else ("", "")
        facts.append(("count", (f"尚未调查{planned[0]}", f"none yet{planned[1]}")))
    return facts


def rate_text(count: Any) -> tuple[str, str]:
    """A rate with its day, sample, method, surveyor and interval, in Chinese and English."""
    rate, span = percent(count.rate_bp), ""
    if count.low_bp is not None and count.high_bp is not None:
        span = f"{percent(count.low_bp)}–{percent(count.high_bp)}"
    plots = len(count.plots)
    is_census = count.method == "census"
    zh_how = "全数清点" if is_census else f"{plots} 个样地"
    en_how = "all trees" if is_census else f"{plots} plots"
    zh_span, en_span = (f"（95% 区间 {span}）", f" (95 % interval {span})") if span else ("", "")
    doubt = ("；结论不确定", "; inconclusive") if count.verdict == "inconclusive" else ("", "")
    conflict = ("；调查方有利益关系", "; the surveyor has an interest") if count.is_conflicted else ("", "")
    ends = (f"{doubt[0]}{conflict[0]}", f"{doubt[1]}{conflict[1]}")
    by = surveyor_shown(count.surveyor)
    return (
        f"{rate}{zh_span}，{count.visited_on}，{zh_how} {count.n:,} 株，{by}{ends[0]}",
        f"{rate}{en_span}, {count.visited_on}, {count.n:,} trees in {en_how}, by {by}{ends[1]}",
    )


def percent(bp: int | None) -> str:
    """Hundredths of a percent as text, one decimal, rounded half up."""
    if bp is None:
        return "?"
    tenths = (bp + 5) // 10
    return f"{tenths // 10}.{tenths % 10} %"


def _statements(page: Mapping[str, Any], kind: str) -> list[str]:
    if kind == "withdrawn":
        return ["withdrawn"]
    statements = ["pledge"] if kind == "pledge" else []
    if page["granularity"] in ("pooled", "individual"):
        statements.append(page["granularity"])
    statements.append("ownership")
    return [*statements, "simulated"] if page["simulated"] else statements


def _species(species: Mapping[str, Any] | None) -> tuple[str, str]:
    if species is None:
        return ("", "")
    names, scientific = species["names"], species["scientific"]
    return (f"{names['zh']} {scientific}", f"{names['en']} ({scientific})")


def _both(text: str) -> tuple[str, str]:
    return (text, text)


def _said(texts: tuple[str, str], language: str) -> str:
    return texts[LANGUAGES.index(language)]
