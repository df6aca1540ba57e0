"""The open data's tables and features: each column with its type and its meaning in both languages, and the schemas
that follow (CSV on the Web for tables, JSON Schema for features). Pure; what is not declared here is not given out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BASE = "/v1/registry/data"
NOTE = {
    "en": "Nothing here names a person, a price or a test. Rows of simulated partners say so. A text that begins with"
    " = + - @ has an apostrophe before it, so that no spreadsheet takes it for a formula.",
    "zh": "不含个人信息、价格与测试数据；模拟伙伴的行均有标注。以 = + - @ 开头的文本前加撇号，以免被当作公式。",
}
_JSON_TYPES = {"date": "string", "anyURI": "string", "double": "number"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `kind` is a type of XML Schema; `maybe`: it may be empty."""

    name: str
    kind: str
    en: str
    zh: str
    maybe: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A file of the open data. `shape`: the kind of geometry of its features; none for a table."""

    name: str
    en: str
    zh: str
    columns: tuple[Column, ...]
    key: str
    shape: str = ""

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.geojson" if self.shape else f"{self.name}.csv"

    @property
    def schema(self) -> str:
        """The name of the file that describes it."""
        return f"{self.name}.schema.json" if self.shape else "tables.json"


def _text(name: str, en: str, zh: str, maybe: bool = False) -> Column:
    return Column(name, "string", en, zh, maybe)


def _count(name: str, en: str, zh: str, maybe: bool = False) -> Column:
    return Column(name, "integer", en, zh, maybe)


def _day(name: str, en: str, zh: str, maybe: bool = False) -> Column:
    return Column(name, "date", en, zh, maybe)


def _truth(name: str, en: str, zh: str) -> Column:
    return Column(name, "boolean", en, zh)


_SIMULATED = _truth("simulated", "no real trees: a simulated partner", "模拟伙伴，并非真实树木")
_PARTNER = _text("partner", "id of the partner", "伙伴编号")
_WHO = (_PARTNER, _text("partner_name", "what the partner is called", "伙伴名称"))
_WHAT = (
    _text("programme", "id of the programme", "项目编号"),
    _text("species", "id of the species", "树种编号"),
    _text("species_name", "scientific name", "学名", True),
    _text("site", "id of the site", "地点编号"),
    _text("season", "planting season", "种植季"),
)
_KIND = _text("kind", "standard, or replacement of lost trees", "standard 普通或 replacement 补植")

ORDERS = Layout(
    "orders",
    "Lines of planting orders that have gone out.",
    "已发出的种植订单行。",
    (
        _text("order", "number of the order", "订单号"),
        _count("line", "number of the line", "行号"),
        _KIND,
        *_WHO,
        *_WHAT,
        _text("state", "how far the order has come", "订单状态"),
        _truth("on_hold", "the order is stopped for now", "订单暂停"),
        _day("submitted_on", "when it went out", "发出日期"),
        _day("last_fact_on", "when it last moved", "最近事实日期"),
        _count("ordered", "trees asked for", "订购株数"),
        _count("accepted", "trees that the partner agreed to plant", "承诺株数"),
        _count("reported", "trees that the partner reports planted", "报告株数"),
        _count("verified", "trees that reviews found", "核验株数"),
        _text("replaces_order", "order whose lost trees it replaces", "所补植的订单", True),
        _SIMULATED,
    ),
    "order,line",
)
_BATCH = (
    _text("batch", "number of the batch: order and the partner's report number", "批次号"),
    _text("order", "number of the order", "订单号"),
    _KIND,
    *_WHO,
    *_WHAT,
    _text("granularity", "pooled: single trees are not told apart; individual: they are", "计数方式"),
    _day("planted_from_on", "first day of planting", "种植开始"),
    _day("planted_to_on", "last day of planting", "种植结束"),
    _day("reported_on", "when it was reported", "报告日期"),
    _count("reported", "trees reported planted", "报告株数"),
    _count("planters", "how many people planted, where told", "种植人数", True),
    _count("evidence_files", "files that speak for it", "证据文件数"),
    _text("review", "waiting, reported (in review), needs_info, verified or refused", "核验状态"),
    _text("review_levels", "1 partner, 2 platform, 3 independent", "核验级别", True),
    _count("verified", "trees that reviews found", "核验株数"),
    _count("written_down", "of these, trees that are not counted any more", "核减株数"),
    _count("claimed", "trees of users that it stands for", "被认领株数"),
    _text("replaces_order", "order whose lost trees it replaces", "所补植的订单", True),
    _count(
        "precision_m", "how exactly its place is shown, in metres; 0: as recorded", "位置精度（米）", True
    ),
    _SIMULATED,
    Column("url", "anyURI", "its page", "页面"),
)
BATCHES = Layout(
    "batches",
    "Planting reports with what their reviews came to.",
    "种植报告及核验结果。",
    (
        *_BATCH,
        Column("longitude", "double", "degrees east, WGS 84", "经度", True),
        Column("latitude", "double", "degrees north, WGS 84", "纬度", True),
    ),
    "batch",
)
AUDITS = Layout(
    "audits",
    "Counts of living trees, planned and made.",
    "成活与保存调查（计划与已完成）。",
    (
        _text("audit", "id: batch, stage and attempt", "调查编号"),
        _text("batch", "number of the batch", "批次号"),
        _text("stage", "which count it is", "阶段"),
        _text("figure", "survival or preservation", "成活率或保存率"),
        _count("attempt", "1, 2, … of the stage", "次数"),
        _day("opens_on", "first day on which it may be made", "最早日期"),
        _day("due_on", "last day on which it may be made", "截止日期"),
        _text("state", "planned or done", "计划或完成"),
        _day("visited_on", "when trees were counted", "调查日期", True),
        _text("method", "plots or census", "样地或全数清点", True),
        _count("plots", "plots that were counted", "样地数", True),
        _count("trees_counted", "trees looked at", "调查株数", True),
        _count("alive", "of these, alive", "存活株数", True),
        _count("rate_bp", "rate in hundredths of a per cent", "比率（万分比）", True),
        _count("low_bp", "lower end of the 95 % interval", "区间下限（万分比）", True),
        _count("high_bp", "upper end of the 95 % interval", "区间上限（万分比）", True),
        _count("band_bp", "what had to be reached", "达标线（万分比）"),
        _text("must_meet", "whether the estimate or its lower_bound must reach it", "达标依据"),
        _text("verdict", "in_band, below_band or inconclusive", "结论", True),
        _text("why", "why nothing could be concluded", "原因", True),
        _text("surveyor", "role and organisation of who counted", "调查方", True),
        _truth("has_conflict_of_interest", "who counted has an interest in the result", "调查方有利益关系"),
        _PARTNER,
        _SIMULATED,
    ),
    "audit",
)
COUNTERS = Layout(
    "counters",
    "The four counters of each programme, and nothing else.",
    "各项目的四项计数。",
    (
        _text("programme", "id of the programme", "项目编号"),
        _count("pledged", "trees redeemed and not withdrawn", "已认捐"),
        _count("funded", "of these, covered by a commitment", "已有资金"),
        _count("planted", "verified, as far as they are ours, less what was written down", "已种植并核验"),
        _count("written_down", "trees that are not counted any more", "已核减"),
        _count("alive", "estimate of living trees among those counted", "存活估计", True),
        _count("alive_low", "lower end of the 95 % interval", "存活下限", True),
        _count("alive_high", "upper end of the 95 % interval", "存活上限", True),
        _count("alive_of", "planted trees that the counts speak of", "调查覆盖株数", True),
        _count("trees_counted", "trees looked at", "调查株数", True),
        _day("first_count_on", "oldest of the last counts", "最早调查日期", True),
        _day("last_count_on", "newest of them", "最近调查日期", True),
        _count("not_yet_known", "planted trees that nobody has counted yet", "成活未知"),
        _SIMULATED,
    ),
    "programme",
)
SITES = Layout(
    "sites",
    "Sites, as exactly as their records allow.",
    "地点，精度以登记为准。",
    (
        _text("site", "id of the site", "地点编号"),
        _text("name_en", "name in English", "英文名"),
        _text("name_zh", "name in Chinese", "中文名"),
        *_WHO,
        _text("country", "ISO 3166-1 code", "国家"),
        _text("region", "ISO 3166-2 code", "地区"),
        _text("county", "county", "县", True),
        _text("township", "township", "乡镇", True),
        _text("compartment", "number of the forest compartment", "林班小班号", True),
        _text("ecosystem", "what grows there", "生态类型", True),
        _text("status", "draft, in_review, approved or retired", "状态"),
        _count("area_m2", "square metres on the ellipsoid, as recorded", "面积（平方米）", True),
        _count(
            "precision_m", "side of the square that is shown, in metres; 0: the outline", "位置精度（米）"
        ),
        _SIMULATED,
        Column("url", "anyURI", "its page", "页面"),
    ),
    "site",
    "MultiPolygon",
)
PLANTINGS = Layout("batches", BATCHES.en, BATCHES.zh, _BATCH, "batch", "Point")
LAYOUTS = {one.file: one for one in (SITES, PLANTINGS, ORDERS, BATCHES, AUDITS, COUNTERS)}


def tables_schema(licence: str) -> dict[str, Any]:
    """The CSV files, as CSV on the Web describes tables."""
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"language": "en"}],
        "dc:license": {"@id": licence},
        "dc:description": NOTE["en"],
        "tables": [_table(one) for one in LAYOUTS.values() if not one.shape],
    }


def _table(layout: Layout) -> dict[str, Any]:
    return {
        "url": layout.file,
        "dc:description": layout.en,
        "dialect": {"header": True, "encoding": "utf-8"},
        "tableSchema": {
            "columns": [
                {
                    "name": one.name,
                    "titles": {"en": one.name},
                    "dc:description": {"en": one.en, "zh": one.zh},
                    "datatype": one.kind,
                    "required": not one.maybe,
                }
                for one in layout.columns
            ],
            "primaryKey": layout.key.split(","),
        },
    }


def features_schema(layout: Layout, licence: str) -> dict[str, Any]:
    """A GeoJSON file, as JSON Schema."""
    properties = {one.name: _property(one) for one in layout.columns}
    feature = {
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"const": "Feature"},
            "id": {"type": "string"},
            "geometry": {
                "description": "WGS 84, longitude first (RFC 7946); null where no place is known",
                "anyOf": [
                    {"type": "null"},
                    {
                        "type": "object",
                        "required": ["type", "coordinates"],
                        "properties": {"type": {"const": layout.shape}, "coordinates": {"type": "array"}},
                    },
                ],
            },
            "properties": {
                "type": "object",
                "required": [one.name for one in layout.columns],
                "additionalProperties": False,
                "properties": properties,
            },
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{layout.en} {layout.zh}",
        "description": f"{NOTE['en']} Licence: {licence}",
        "type": "object",
        "required": ["type", "licence", "features"],
        "properties": {
            "type": {"const": "FeatureCollection"},
            "licence": {"type": "string"},
            "features": {"type": "array", "items": feature},
        },
    }


def _property(column: Column) -> dict[str, Any]:
    kind = _JSON_TYPES.get(column.kind, column.kind)
    told: dict[str, Any] = {"type": [kind, "null"] if column.maybe else kind}
    if column.kind == "date":
        told["format"] = "date"
    return told | {"description": f"{column.en} {column.zh}"}
