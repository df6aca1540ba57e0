"""The fixed list of reasons why evidence is doubted or asked about, in words; and how they come to a verdict.

A mark adds its weight to the score. A question never does: it asks the partner and suspects nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Effect = Literal["note", "weighs", "asks", "refuses"]
Verdict = Literal["passed", "needs_info", "refused"]
QUESTION, MARK = "question", "mark"


class Wording(NamedTuple):
    """What a code is (mark or question) and says."""

    kind: str
    zh: str
    en: str


REASONS: dict[str, Wording] = {
    # what the report itself says
    "dates_reversed": Wording(MARK, "种植结束日期早于开始日期。", "Planting ends before it begins."),
    "planted_in_future": Wording(MARK, "种植日期在未来。", "The planting lies in the future."),
    "outside_season": Wording(
        MARK, "种植日期不在订单的种植季内。", "The planting is outside the order's season."
    ),
    "site_differs": Wording(MARK, "种植地块与订单不同。", "The site is not the one of the order."),
    "report_copied": Wording(
        MARK,
        "本批的数字与同一订单的另一批完全相同。",
        "The figures are those of another report of the order.",
    ),
    "round_numbers": Wording(
        MARK, "订单的各批数量全是整百。", "All reports of the order have round figures."
    ),
    "planting_too_fast": Wording(
        MARK, "人均每日种植数量过高。", "More trees were planted per planter and day than people can plant."
    ),
    "too_dense": Wording(MARK, "单位面积株数过高。", "There are more trees on the ground than it can carry."),
    "impossibly_dense": Wording(
        MARK, "单位面积株数远超可能。", "There are many times more trees than the ground can carry."
    ),
    "too_sparse": Wording(
        MARK, "单位面积株数过低，边界可能画得过大。", "The ground is far larger than these trees need."
    ),
    # files
    "evidence_missing": Wording(QUESTION, "本批没有任何照片。", "The batch names no file."),
    "evidence_not_uploaded": Wording(
        QUESTION, "报告提到的照片尚未上传。", "A file that the report names was not uploaded."
    ),
    "evidence_reused": Wording(MARK, "同一文件已用于另一批。", "The same file was shown for another batch."),
    "photo_of_other_partner": Wording(
        MARK, "该文件由另一个合作伙伴上传。", "The file was uploaded by another partner."
    ),
    "alike_other_partner": Wording(
        MARK, "照片与另一合作伙伴的照片相同或经过处理。", "The photo looks like one of another partner's."
    ),
    "alike_other_order": Wording(
        MARK, "照片与另一订单的照片相同或经过处理。", "The photo looks like one of another order."
    ),
    "alike_other_batch": Wording(
        MARK, "照片与同一订单另一批的照片相同。", "The photo looks like one of another batch of the order."
    ),
    "alike_in_batch": Wording(
        MARK, "本批照片几乎是同一张。", "Nearly all photos of the batch are one and the same view."
    ),
    "edited": Wording(MARK, "照片经过图像软件处理。", "The photo was worked on with an image editor."),
    "screenshot": Wording(MARK, "照片是屏幕截图。", "The photo is a picture of a screen."),
    "exif_missing": Wording(
        QUESTION, "照片没有时间和位置信息。", "No photo of the batch has time or place in it."
    ),
    # time
    "clock_wrong": Wording(QUESTION, "拍摄设备的时钟不准。", "The device's clock was wrong."),
    "times_disagree": Wording(
        MARK, "拍摄时间与卫星时间相差数日。", "The photo's own times are days apart from each other."
    ),
    "taken_outside_dates": Wording(
        MARK, "多数照片不是在种植期间拍摄的。", "Most photos were not taken around the days of planting."
    ),
    "taken_long_before": Wording(
        MARK, "照片在种植之前很久就已拍摄。", "A photo is much older than the planting."
    ),
    # place
    "outside_site": Wording(MARK, "多数照片的位置在地块之外。", "Most photos were taken outside the site."),
    "one_outside_site": Wording(MARK, "有照片的位置在地块之外。", "A photo was taken outside the site."),
    "far_from_site": Wording(MARK, "照片的位置离地块很远。", "The photos were taken far away from the site."),
    "datum_mistake": Wording(
        QUESTION,
        "照片与地块之间的固定偏移可由坐标系转换解释，请确认坐标系。",
        "A conversion between coordinate systems explains the offset; please state which one was used.",
    ),
    "device_in_two_places": Wording(
        MARK,
        "同一设备在一小时内出现在相距很远的两地。",
        "One device was at two distant places within the hour.",
    ),
    "outline_missing": Wording(QUESTION, "尚无该地块的边界。", "The site has no outline yet."),
    "outline_overlaps": Wording(
        MARK, "地块与本季另一地块重叠。", "The site overlaps another one of the same season."
    ),
    "outline_copied": Wording(
        MARK, "地块与另一合作伙伴的地块几乎相同。", "The outline is nearly that of another partner."
    ),
}


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a reason counts, and what it does by itself."""

    weight: int
    effect: Effect


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, with what it is about (a photo, figures), and no weight yet."""

    code: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict, score, and reasons as [code, weight, about], weightiest first."""

    verdict: Verdict
    score: int
    reasons: list[list[Any]]


def judge(
    reasons: Iterable[Reason],
    weights: Mapping[str, Weight],
    needs_info_score: int,
    refused_score: int,
    dismissed: Sequence[str] = (),
) -> Judged:
    """The verdict. A code weighs once however often it is found; questions weigh nothing."""
    found = list(reasons)
    counted = {reason.code: weights[reason.code] for reason in found if reason.code not in dismissed}
    score = sum(one.weight for code, one in counted.items() if REASONS[code].kind == MARK)
    effects = {one.effect for one in counted.values()}
    verdict: Verdict = "passed"
    if "asks" in effects or score >= needs_info_score:
        verdict = "needs_info"
    if "refuses" in effects or score >= refused_score:
        verdict = "refused"
    listed = [
        [one.code, 0 if REASONS[one.code].kind == QUESTION else weights[one.code].weight, dict(one.about)]
        for one in found
    ]
    return Judged(verdict, score, sorted(listed, key=lambda entry: (-entry[1], entry[0])))


def is_suspected(judged_score: int, needs_info_score: int) -> bool:
    """Whether marks alone would stop it: what is only asked about is not suspected."""
    return judged_score >= needs_info_score


def told(reasons: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Stored reasons in words, both languages."""
    return [
        {
            "code": code,
            "kind": REASONS[code].kind,
            "weight": weight,
            "zh": REASONS[code].zh,
            "en": REASONS[code].en,
            "about": about,
        }
        for code, weight, about in reasons
        if code in REASONS
    ]
