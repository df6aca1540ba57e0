"""The registry's documents to be read by people, in Chinese and English. Pure: only what is in a document is here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from partners.pages import count_text
from partners.public.look import HOME, SIMULATED, Html, facts, heading, join, link, note, page, table

DEFINITIONS = (
    (
        "Pledged 已认捐",
        "trees redeemed by users and not withdrawn 用户兑换且未撤回的树",
    ),
    ("Funded 已有资金", "of these, covered by a funder's commitment 其中有出资承诺的"),
    (
        "Planted 已种植",
        "verified by a reviewer; what a partner only reports does not count 经核验；仅伙伴自报不计入",
    ),
    (
        "Alive 存活",
        "planted × the rate of the last reliable count, else not yet known 已种植 × 最近一次可靠调查的比率，否则未知",
    ),
)
_COUNTERS = (
    ("Pledged 已认捐", "pledged"),
    ("Funded 已有资金", "funded"),
    ("Planted and verified 已种植并核验", "planted"),
    ("Written down 已核减", "written_down"),
)


def index_html(document: Mapping[str, Any]) -> bytes:
    """The front page: programmes with their counters, and how to find a tree."""
    rows = [
        (
            link(one["url"], both(one["names"])),
            *(one[name] for _, name in _COUNTERS),
            alive_text(one),
            "simulated 模拟" if one["simulated"] else "",
        )
        for one in document["programmes"]
    ]
    columns = ("Programme 项目", *(label for label, _ in _COUNTERS), "Alive 存活", "")
    find = Html(
        f'<form action="{HOME}/find" method="get"><label for="number">'
        f"{join(['Tree or certificate number 树木或证书编号'])}</label> "
        '<input id="number" name="number" required maxlength="40" placeholder="SX-000042-4" autocomplete="off">'
        f"<button>{join(['Find 查找'])}</button></form>"
    )
    parts = [find, heading("Programmes 项目"), table(columns, rows)]
    parts += [heading("What the counters mean 口径说明"), facts(DEFINITIONS)]
    return page("Public registry of trees 植树公开登记册", parts, foot=_foot(document, HOME))


def programme_html(document: Mapping[str, Any]) -> bytes:
    """A programme."""
    species, partner = document["species"], document["partner"]
    rows: list[tuple[str, object]] = [(label, document[name]) for label, name in _COUNTERS]
    rows.insert(3, ("Alive 存活", alive_text(document)))
    rows.append(("Survival not yet known 成活未知", document["not_yet_known"]))
    what = [
        ("Species 树种", species_text(species) if species else ""),
        ("Region 地区", document["region"]),
        ("Partner 伙伴", both(partner["names"]) if partner else ""),
    ]
    done = [
        ("Agreed by partners 伙伴已承诺", document["accepted"]),
        ("Reported planted 伙伴报告已种植", document["reported"]),
        ("Replanted 补植", document["replanted"] or ""),
    ]
    parts = [facts(what), heading("Proven 已证实"), facts(rows), heading("Promised and done 承诺与完成")]
    parts += [
        facts(done),
        _works(document["sites"], "site"),
        heading("Newest planting reports 最近的种植报告"),
    ]
    parts += [_batches(document["batches"])]
    if document["write_downs"]:
        columns = ("On 日期", "Batch 批次", "Trees 株数", "Why 原因")
        parts += [
            heading("Written down 核减"),
            table(
                columns,
                [(one["on"], one["batch"], one["trees"], one["note"]) for one in document["write_downs"]],
            ),
        ]
    return _framed(both(document["names"]), document, parts)


def site_html(document: Mapping[str, Any]) -> bytes:
    """A site."""
    area = document["area"]
    where = [document[name] for name in ("region", "county", "township", "compartment") if document[name]]
    rows: list[tuple[str, object]] = [
        ("Partner 伙伴", both(document["partner"]["names"])),
        ("Place 所在地", " · ".join([document["country"], *where])),
        ("Ecosystem 生态类型", document["ecosystem"]),
        ("Status 状态", f"{document['status']} ({document['status_on']})"),
        (
            "Area 面积",
            f"{area['ha']:,} ha 公顷 · {area['mu']:,} mu 亩" if area else "",
        ),
        ("Agreed to be planted 承诺种植", document["accepted"]),
        ("Reported planted 报告已种植", document["reported"]),
        ("Verified 已核验", document["verified"]),
        ("Replanted 补植", document["replanted"] or ""),
    ]
    parts = [facts(rows)]
    if document["map"]:
        names = document["names"]
        parts.append(
            Html(f'<p><img src="{document["map"]}" width="480" height="320" alt="{join_plain(names)}"></p>')
        )
        parts.append(note(_precision(document["precision_m"])))
    parts += [heading("What is planted here 种植内容"), _works(document["programmes"], "programme")]
    parts += [heading("Planting reports 种植报告"), _batches(document["batches"])]
    if document["disturbances"]:
        columns = ("On 日期", "What 灾害", "Area m² 面积")
        befell = [(one["happened_on"], one["kind"], one["area_m2"]) for one in document["disturbances"]]
        parts += [heading("Disturbances 灾害"), table(columns, befell)]
    return _framed(both(document["names"]), document, parts)


def batch_html(document: Mapping[str, Any]) -> bytes:
    """A batch."""
    first, last = document["planted_from_on"], document["planted_to_on"]
    site, point = document["site"], document["point"]
    promised = [
        ("Order 订单", f"{document['order']} ({document['order_state']})"),
        ("Replaces trees of 补植自", document["replaces_order"]),
        ("Programme 项目", link(document["programme"]["url"], both(document["programme"]["names"]))),
        ("Species 树种", species_text(document["species"])),
        ("Site 地点", link(site["url"], both(site["names"])) if site["url"] else both(site["names"])),
        ("Season 种植季", document["season"]),
        ("Agreed in the order's line 订单行承诺", document["accepted_in_order"]),
    ]
    done = [
        ("Reported by 报告方", both(document["partner"]["names"])),
        ("Planted 种植日期", first if first == last else f"{first} – {last}"),
        ("Trees reported 报告株数", document["reported"]),
        ("Reported on 报告日期", document["reported_on"]),
        ("Planters 种植人数", document["planters"]),
        ("Files of evidence 证据文件", document["evidence_files"]),
        ("Point 位置", f"{point[1]}, {point[0]}" if point else ""),
    ]
    levels = "; ".join(f"{one['names']['en']} {one['names']['zh']}" for one in document["reviewed_by"])
    proven: list[tuple[str, object]] = [
        ("Review 核验", f"{document['review_text']['en']} {document['review_text']['zh']}"),
        ("Trees verified 核验株数", document["verified"]),
        ("Reviewed by 核验方", levels),
        ("Reviewed on 核验日期", document["reviewed_on"]),
        *(("Count 调查", count_text(one)) for one in document["counts"]),
        ("Next count from 下次调查", document["next_count_from"]),
        ("Replanted 补植", document["replanted"] or ""),
        ("Written down 核减", document["written_down"] or ""),
        ("Public note 公开说明", document["public_note"]),
        *(
            ("Disturbance 灾害", f"{one['kind']} {one['happened_on']}, {one['area_m2']:,} m²")
            for one in document["disturbances"]
        ),
    ]
    parts = [heading("Promised 承诺"), facts(promised), heading("Done 完成"), facts(done)]
    parts += [heading("Proven 已证实"), facts(proven)]
    return _framed(f"Planting report 种植报告 {document['batch']}", document, parts)


def data_html(document: Mapping[str, Any]) -> bytes:
    """The open data: files, their schema, the licence."""
    rows = [
        (
            link(one["url"], one["name"]),
            f"{one['about']['en']} {one['about']['zh']}",
            link(one["schema"], "schema 结构"),
        )
        for one in document["files"]
    ]
    parts = [
        table(("File 文件", "What 内容", ""), rows),
        note(f"{document['note']['en']} {document['note']['zh']}"),
    ]
    return page("Open data 开放数据", parts, foot=_foot(document, f"{HOME}/data"))


# --- what pages share -----------------------------------------------------------------------------


def both(names: Mapping[str, str]) -> str:
    """A name in both languages; once where they are the same."""
    return names["en"] if names["en"] == names["zh"] else f"{names['en']} {names['zh']}"


def join_plain(names: Mapping[str, str]) -> str:
    """A name for an attribute, escaped and without marks."""
    from html import escape

    return escape(both(names))


def species_text(species: Mapping[str, Any]) -> str:
    """A species with its scientific name."""
    return both(species["names"]) + (f" ({species['scientific']})" if species["scientific"] else "")


def alive_text(document: Mapping[str, Any]) -> str:
    """How many live, as far as anybody has counted."""
    alive = document["alive"]
    if alive is None:
        return "not yet known 尚未调查"
    return (
        f"{alive['trees']:,} of {alive['of_trees']:,} (95 %: {alive['low']:,}–{alive['high']:,}); "
        f"{alive['trees_counted']:,} trees counted 已调查株数, {alive['first_count_on']} – {alive['last_count_on']}"
    )


def _framed(title: str, document: Mapping[str, Any], parts: Iterable[Html]) -> bytes:
    warning = SIMULATED if document["simulated"] else ""
    return page(title, parts, warning, _foot(document, document["url"]))


def _foot(document: Mapping[str, Any], address: str) -> Sequence[object]:
    licence = document["licence"]
    return (
        f"Facts at most {document['age_max_s']} s old 数据延迟不超过 {document['age_max_s']} 秒",
        join(["Licence of the data 数据许可: ", link(licence, licence)]),
        f"The same as JSON: {address}, Accept: application/json",
    )


def _precision(shown_m: int) -> str:
    if shown_m == 0:
        return "The outline as it was recorded. 边界按登记显示。"
    return (
        f"Its record allows no more than a square of {shown_m:,} m to be shown. "
        f"登记仅允许以 {shown_m:,} 米方格显示位置。"
    )


def _works(works: Sequence[Mapping[str, Any]], named: str) -> Html:
    columns = (
        "Site 地点" if named == "site" else "Programme 项目",
        "Season 种植季",
        "Species 树种",
        "Agreed 承诺",
        "Reported 报告",
        "Verified 核验",
    )
    rows = [
        (
            link(one[named]["url"], both(one[named]["names"]))
            if one[named]["url"]
            else both(one[named]["names"]),
            one["season"],
            both(one["species"]["names"]),
            one["accepted"],
            one["reported"],
            one["verified"],
        )
        for one in works
    ]
    return table(columns, rows)


def _batches(batches: Sequence[Mapping[str, Any]]) -> Html:
    columns = (
        "Batch 批次",
        "Planted 种植日期",
        "Site 地点",
        "Reported 报告",
        "Verified 核验",
        "Review 核验状态",
    )
    rows = [
        (
            link(one["url"], one["batch"]),
            one["planted_to_on"],
            both(one["site"]["names"]),
            one["reported"],
            one["verified"],
            f"{one['review_text']['en']} {one['review_text']['zh']}",
        )
        for one in batches
    ]
    return table(columns, rows)
