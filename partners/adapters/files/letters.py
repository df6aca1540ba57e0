"""What partners read in our mails, in Chinese or English: short, what to do, by when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core.numbers import order_number
from engine.core.units import local_day

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a reply tells, by code."""

    code: str
    order: int = 0
    number: int = 0
    other: int = 0
    text: str = ""
    reason: str = ""


_LINES = {
    "accepted": {
        "zh": "{order}：已登记接受 {number} 株（订单 {other} 株），其余的树会交给别人种。"
        "种完后请填写附件中的种植报告并发回。",
        "en": "{order}: {number} of {other} trees are recorded as accepted; the others go elsewhere. "
        "When you have planted, fill in the attached planting report and send it back.",
    },
    "accepted_all": {
        "zh": "{order}：已登记接受全部 {number} 株。种完后请填写附件中的种植报告并发回。",
        "en": "{order}: all {number} trees are recorded as accepted. When you have planted, fill in the attached "
        "planting report and send it back.",
    },
    "rejected": {
        "zh": "{order}：已登记为不接受，这些树会交给别人种。谢谢您的答复。",
        "en": "{order}: recorded as declined; the trees go elsewhere. Thank you for answering.",
    },
    "reported": {
        "zh": "{order}：本次登记 {number} 份新报告，累计已登记种植 {other} 株。",
        "en": "{order}: {number} new reports are recorded; {other} trees are recorded as planted in all.",
    },
    "photos": {
        "zh": "{order}：已补登 {number} 张照片。",
        "en": "{order}: {number} more photos are recorded.",
    },
    "planted": {
        "zh": "{order}：已全部种完（{other} 株），现在由我们复核；结果会发邮件告诉您。",
        "en": "{order}: fully planted ({other} trees). We review it now; you get the result by mail.",
    },
    "shortfall": {
        "zh": "{order}：接受 {number} 株，种植 {other} 株；没有种的树会交给别人种。",
        "en": "{order}: {number} trees were accepted and {other} planted; what was not planted goes elsewhere.",
    },
    "nothing_new": {
        "zh": "{order}：这些内容以前已经登记，没有变化。",
        "en": "{order}: all of this was recorded before; nothing has changed.",
    },
    "held": {
        "zh": "{order}：您的答复与订单不一致，我们的工作人员会查看并联系您。在此之前订单暂停。",
        "en": "{order}: your answer differs from the order. A person here will look at it and write to you; "
        "the order is on hold until then.",
    },
    "waits_for_rows": {
        "zh": "{order}：还有未登记的行，所以暂不登记“全部种完”。改好后请再发一次整个文件。",
        "en": "{order}: some rows are not recorded, so it does not count as fully planted yet. "
        "Correct them and send the whole file again.",
    },
    "problems": {
        "zh": "有 {number} 处没有登记。附件就是您的文件，最后一列写明了原因，有问题的格子标成红色。"
        "请在附件中改正后发回；已登记的行不用改，重复发送没有关系。",
        "en": "{number} things are not recorded. Your file is attached: its last column says why, and the cells are "
        "marked red. Correct them there and send the file back; leave the recorded rows, sending them again does no "
        "harm.",
    },
    "notes": {
        "zh": "已登记的行中有 {number} 条提示，见附件最后一列。",
        "en": "There are {number} remarks on recorded rows: see the last column of the attached file.",
    },
    "refused": {
        "zh": "文件“{text}”没有登记。{reason}",
        "en": "The file “{text}” is not taken. {reason}",
    },
    "row": {
        "zh": "第 {number} 行：{text}",
        "en": "Row {number}: {text}",
    },
    "counted": {
        "zh": "{order} 报告 {text}：成活调查已登记，{number} 个样方，成活率 {reason}。",
        "en": "{order}, report {text}: the count of {number} plots is recorded; {reason} of the trees are alive.",
    },
    "counted_before": {
        "zh": "成活调查：有 {number} 行以前已经登记，没有变化。",
        "en": "Survival report: {number} rows were recorded before; nothing has changed.",
    },
    "too_large": {
        "zh": "邮件过大（超过 {number} 字节），没有读取。请把照片分成几封邮件发送。",
        "en": "The mail is too large (over {number} bytes) and was not read. Send the photos in several mails.",
    },
}

_FOOT = {
    "zh": "本邮件由程序自动处理表格。请直接回复本邮件并附上文件，不要改动标题方括号中的内容。",
    "en": "Tables are read by a program. Answer this mail with the file attached; leave the brackets in the subject.",
}
_HELLO = {"zh": "您好：", "en": "Hello,"}

_LETTERS = {
    "order": {
        "zh": (
            "种植订单 {number}，请在 {by} 前答复",
            (
                "请您种植 {trees} 株{species}，地点：{site}。{small}\n\n"
                "1. 打开附件，在黄色的格子里填写您接受的数量（可以少于 {trees}，不接受填 0）。\n"
                "2. 保存，并在 {by} 之前直接回复本邮件，附上文件。\n\n"
                "到期没有答复，这些树会交给别人种。"
            ),
        ),
        "en": (
            "Planting order {number}, please answer by {by}",
            (
                "please plant {trees} trees of {species} at {site}.{small}\n\n"
                "1. Open the attachment and write into the yellow cells how many you accept (fewer is fine, "
                "0 declines).\n"
                "2. Save it and answer this mail with the file attached by {by}.\n\n"
                "Without an answer by then the trees go elsewhere."
            ),
        ),
    },
    "cancel": {
        "zh": ("订单 {number} 已取消", "订单 {number} 已取消，请不要种植。\n原因：{reason}"),
        "en": (
            "Order {number} is cancelled",
            "order {number} is cancelled; please do not plant it.\nReason: {reason}",
        ),
    },
    "due": {
        "zh": (
            "提醒：订单 {number} 等待答复",
            "我们还没有收到订单 {number} 的答复或报告。\n请填写我们以前发给您的表，并回复本邮件。",
        ),
        "en": (
            "Reminder: order {number} waits for an answer",
            (
                "we have no answer or report for order {number} yet.\n"
                "Please fill in the sheet that we sent you and answer this mail."
            ),
        ),
    },
    "needs_info": {
        "zh": (
            "订单 {number} 需要补充资料",
            "复核订单 {number} 时需要补充：\n\n{asked}\n\n请补充后把种植报告（和照片）再发一次。",
        ),
        "en": (
            "Order {number}: more information is needed",
            (
                "the review of order {number} needs more:\n\n{asked}\n\n"
                "Please add it and send the planting report (and photos) again."
            ),
        ),
    },
    "verified": {
        "zh": ("订单 {number} 复核通过", "订单 {number} 的种植已复核，确认 {trees} 株。谢谢！"),
        "en": (
            "Order {number} is reviewed and verified",
            "the planting of order {number} is reviewed: {trees} trees are verified. Thank you!",
        ),
    },
}
_SMALL = {
    "zh": "\n这个订单少于通常的最小数量。如果您不接受，没有关系。",
    "en": "\nThe order is smaller than your usual minimum. You are free to decline it.",
}


def order_letter(
    language: Language,
    order: int,
    trees: int,
    species: str,
    site: str,
    answer_by_at: int,
    below_minimum: bool,
) -> tuple[str, str]:
    """(subject, text) of an order."""
    by, small = local_day(answer_by_at, "UTC").isoformat(), _SMALL[language] if below_minimum else ""
    return _letter("order", language, order, trees=trees, species=species, site=site, by=by, small=small)


def cancel_letter(language: Language, order: int, reason: str) -> tuple[str, str]:
    """(subject, text) that takes an order back."""
    return _letter("cancel", language, order, reason=reason or "-")


def due_letter(language: Language, order: int) -> tuple[str, str]:
    """(subject, text) of a reminder."""
    return _letter("due", language, order)


def info_letter(language: Language, order: int, asked: str) -> tuple[str, str]:
    """(subject, text) that asks for what a reviewer misses."""
    return _letter("needs_info", language, order, asked=asked)


def verified_letter(language: Language, order: int, trees: int) -> tuple[str, str]:
    """(subject, text) of a finished review."""
    return _letter("verified", language, order, trees=trees)


def _letter(code: str, language: Language, order: int, **fields: object) -> tuple[str, str]:
    subject, text = _LETTERS[code][language]
    number = order_number(order)
    body = text.format(number=number, **fields)
    whole = f"{_HELLO[language]}\n\n{body}\n\n{_FOOT[language]}\n"
    return subject.format(number=number, **fields), whole


def reply_text(language: Language, lines: Sequence[Line]) -> str:
    """The text of a reply to a partner's file."""
    told = [
        _LINES[line.code][language].format(
            order=order_number(line.order) if line.order else "",
            number=line.number,
            other=line.other,
            text=line.text,
            reason=line.reason,
        )
        for line in lines
    ]
    return "\n".join([_HELLO[language], "", *(f"- {one}" for one in told), "", _FOOT[language], ""])


_NOTE = {
    "zh": (
        "怎样填写",
        "只填黄色的格子，其他格子请不要改。",
        "日期写成 年-月-日，例如 2026-03-05。数量只写数字。",
        "有下拉列表的格子请从列表中选择。不要使用公式。",
        "每次种植写一行，报告号不要重复；没有用到的行请留空。",
        "照片作为附件与表格一起发送，并在“照片文件名”中写上文件名，用逗号分开。",
        "全部种完后，在最后一行的“本订单已全部种完？”选择“是”。",
        "重复发送同一个文件没有关系。",
    ),
    "en": (
        "How to fill it in",
        "Write into the yellow cells only.",
        "Dates are year-month-day, for example 2026-03-05. Numbers are digits only.",
        "Where there is a list, choose from it. Use no formulas.",
        "One row for each planting; never use a report number twice; leave rows that you do not need.",
        "Send photos as attachments with the table and write their file names into “photo file names”, with commas.",
        "When all is planted, choose “yes” in the last row of “all planted?”.",
        "Sending a file twice does no harm.",
    ),
}


def sheet_note(language: Language) -> str:
    """The page beside the table of an order sheet or a report."""
    return "\n".join(_NOTE[language])
