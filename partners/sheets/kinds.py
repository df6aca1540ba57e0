"""The kinds of file and their columns: one definition for writing, reading, checking and the how-to page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

LANGUAGES = ("zh", "en")
VERSION = 1
MARK = "saxaul"
"""The cell after the last column id reads `saxaul:<kind>:<version>:<language>`."""

PROBLEMS = "problems"
"""Id of the column in which a file comes back with what is wrong; what stands there is never read."""

FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2100, 12, 31)
TREES_MAX = 10_000_000

ColumnType = Literal["text", "names", "whole", "decimal", "day", "order", "choice"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `is_answer`: the partner fills it, so its cells are not locked. `least` and `most` bound
    numbers, `characters_max` text; `choices` are ids, with their words per language."""

    id: str
    names: Mapping[str, str]
    type: ColumnType
    is_answer: bool = False
    is_required: bool = False
    least: int = 0
    most: int = TREES_MAX
    characters_max: int = 200
    choices: Mapping[str, Mapping[str, str]] | None = None
    other_names: tuple[str, ...] = ()
    width: int = 14


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file. `telling`: columns of which at least one must be there for a table to be of this kind;
    `numbered`: answers that are filled in beforehand and make no row an answer by themselves."""

    id: str
    names: Mapping[str, str]
    columns: tuple[Column, ...]
    telling: tuple[str, ...]
    numbered: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """The column of that id."""
        return next(column for column in self.columns if column.id == name)


def _both(zh: str, en: str) -> Mapping[str, str]:
    return {"zh": zh, "en": en}


YES_NO = {"yes": _both("是", "yes"), "no": _both("否", "no")}
METHODS = {
    "census": _both("全部清点", "all trees counted"),
    "plots": _both("样方", "plots"),
    "transect": _both("样线", "transect"),
}

_ORDER_NO = Column("order_no", _both("订单号", "order no."), "order", is_required=True, width=18)
_LINE_NO = Column("line_no", _both("行号", "line no."), "whole", is_required=True, least=1, most=999, width=8)
_SITE = Column("site", _both("地点", "site"), "text", width=24)
_CHECK = Column("check", _both("校验码", "check code"), "text", characters_max=64, width=30)
_PHOTOS = _both("照片文件名", "photo file names")


ORDER = FileKind(
    "order",
    _both("订单", "order sheet"),
    (
        _ORDER_NO,
        _LINE_NO,
        _SITE,
        Column("species", _both("树种（学名）", "species (scientific)"), "text", width=26),
        Column("species_local", _both("树种（俗名）", "species (local name)"), "text"),
        Column("quantity", _both("数量（株）", "quantity (trees)"), "whole", least=1),
        Column("season", _both("季节", "season"), "text"),
        Column("unit_price", _both("单价", "price each"), "decimal"),
        Column("currency", _both("币种", "currency"), "text", characters_max=3, width=8),
        Column("answer_by", _both("请在此日期前答复", "answer by"), "day"),
        Column(
            "accepted", _both("接受数量（株）", "accepted quantity (trees)"), "whole", True, True, width=18
        ),
        Column("reason", _both("原因（未全部接受时）", "reason (if not all)"), "text", True, width=30),
        _CHECK,
    ),
    telling=("accepted",),
)

PLANTING = FileKind(
    "planting",
    _both("种植报告", "planting report"),
    (
        _ORDER_NO,
        _LINE_NO,
        Column("report_no", _both("报告号", "report no."), "text", True, True, characters_max=20, width=10),
        Column("date_from", _both("开始日期", "date from"), "day", True, True),
        Column("date_to", _both("结束日期", "date to"), "day", True, True),
        _SITE,
        Column("species", _both("树种", "species"), "text", width=26),
        Column("planted", _both("种植数量（株）", "planted (trees)"), "whole", True, True, least=1),
        Column("planters", _both("种植人数", "planters"), "whole", True, most=100_000),
        Column("lat", _both("纬度（WGS84）", "latitude (WGS84)"), "decimal", True, least=-90, most=90),
        Column("lon", _both("经度（WGS84）", "longitude (WGS84)"), "decimal", True, least=-180, most=180),
        Column("polygon_file", _both("地块文件名", "polygon file name"), "text", True),
        Column("photos", _PHOTOS, "names", True, characters_max=1000, width=30),
        Column("notes", _both("备注", "notes"), "text", True, characters_max=500, width=30),
        Column("all_planted", _both("本订单已全部种完？", "all planted?"), "choice", True, choices=YES_NO),
        _CHECK,
    ),
    telling=("planted",),
    numbered=("report_no",),
)

SURVIVAL = FileKind(
    "survival",
    _both("成活调查", "survival report"),
    (
        Column(
            "batch_no", _both("批次号", "batch no."), "text", is_required=True, characters_max=60, width=24
        ),
        Column("visit_date", _both("调查日期", "visit date"), "day", True, True),
        Column("method", _both("调查方法", "method"), "choice", True, True, choices=METHODS),
        Column("plot_no", _both("样方号", "plot no."), "text", True, True, characters_max=20, width=10),
        Column(
            "plot_area_m2", _both("样方面积（平方米）", "plot area (m²)"), "decimal", True, most=10_000_000
        ),
        Column("planted_in_plot", _both("样方内种植数", "planted in plot"), "whole", True, True, least=1),
        Column("alive", _both("成活数", "alive"), "whole", True, True),
        Column("dead", _both("死亡数", "dead"), "whole", True, True),
        Column("cause", _both("死亡原因", "cause"), "text", True, width=24),
        Column("photo", _both("照片", "photo"), "names", True, characters_max=1000, width=24),
        Column("surveyor", _both("调查人", "surveyor"), "text", True, True, characters_max=100),
        _CHECK,
    ),
    telling=("alive", "planted_in_plot"),
    numbered=("plot_no",),
)

KINDS = {kind.id: kind for kind in (ORDER, PLANTING, SURVIVAL)}
