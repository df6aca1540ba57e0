"""What a partner reads in and about a file, in Chinese and English: what is wrong, what was expected, the fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partners.sheets.kinds import PROBLEMS, FileKind
from partners.sheets.problems import CellProblem, FileRefused, shown

OK = {"zh": "已登记", "en": "recorded"}
PROBLEMS_NAME = {"zh": "问题（请勿填写）", "en": "problems (leave empty)"}

_CELL: Mapping[str, Mapping[str, str]] = {
    "missing": {
        "zh": "没有填写。请填写这一格。",
        "en": "is empty. Please fill it in.",
    },
    "not_whole": {
        "zh": "“{value}”不是整数。请只写数字，例如 120。",
        "en": "“{value}” is no whole number. Write digits only, for example 120.",
    },
    "ambiguous_number": {
        "zh": "“{value}”看不出是 {first} 还是 {second}。请不要写千位分隔符，例如 1000。",
        "en": "“{value}” may be {first} or {second}. Write it without a thousands separator, for example 1000.",
    },
    "out_of_range": {
        "zh": "“{value}”不在 {least} 到 {most} 之间。请改正。",
        "en": "“{value}” is not between {least} and {most}. Please correct it.",
    },
    "not_decimal": {
        "zh": "“{value}”不是数字。请写成小数，例如 38.8000。",
        "en": "“{value}” is no number. Write decimal figures, for example 38.8000.",
    },
    "not_a_day": {
        "zh": "“{value}”不是日期。请写成 年-月-日，例如 2026-03-05。",
        "en": "“{value}” is no date. Write year-month-day, for example 2026-03-05.",
    },
    "ambiguous_day": {
        "zh": "“{value}”看不出是 {first} 还是 {second}。请写成这两种中的一种。",
        "en": "“{value}” may be {first} or {second}. Write it as one of these two.",
    },
    "day_out_of_range": {
        "zh": "日期 {value} 不在 {least} 到 {most} 之间。请改正年份。",
        "en": "The date {value} is not between {least} and {most}. Please correct the year.",
    },
    "not_a_choice": {
        "zh": "“{value}”不在列表中。请从列表中选择：{choices}。",
        "en": "“{value}” is not in the list. Choose one of: {choices}.",
    },
    "too_long": {
        "zh": "超过 {characters_max} 个字符。请写短一些。",
        "en": "is longer than {characters_max} characters. Please shorten it.",
    },
    "too_many_names": {
        "zh": "超过 {names_max} 个文件名。请分成几行报告。",
        "en": "names more than {names_max} files. Report them in several rows.",
    },
    "control_characters": {
        "zh": "含有看不见的控制字符。请重新输入这一格。",
        "en": "holds invisible control characters. Please type the cell anew.",
    },
    "formula": {
        "zh": "是公式。请复制后“选择性粘贴 → 数值”。",
        "en": "is a formula. Copy it and paste it as a value.",
    },
    "error_value": {
        "zh": "是错误值 {value}。请填写数值。",
        "en": "is the error {value}. Please write the value itself.",
    },
    "bad_number": {
        "zh": "“{value}”不是我们的订单号。请从我们发出的表中复制。",
        "en": "“{value}” is no order number of ours. Copy it from the sheet that we sent.",
    },
    "dates_reversed": {
        "zh": "结束日期 {last} 早于开始日期 {first}。请改正其中一个。",
        "en": "The end {last} is before the beginning {first}. Please correct one of them.",
    },
    "half_a_place": {
        "zh": "纬度和经度要一起填写。请补上另一格。",
        "en": "Latitude and longitude go together. Please fill in the other one.",
    },
    "more_than_planted": {
        "zh": "成活 {alive} 加死亡 {dead} 多于种植 {planted}。请改正。",
        "en": "{alive} alive and {dead} dead are more than the {planted} planted. Please correct them.",
    },
    "row_twice": {
        "zh": "与第 {other} 行重复（{value}）。请删去一行，或换一个号。",
        "en": "is there already in row {other} ({value}). Delete one of the two, or give it another number.",
    },
    "unknown_order": {
        "zh": "您没有这个订单（{value}）。请从我们发出的表中复制订单号。",
        "en": "You have no such order ({value}). Copy the number from the sheet that we sent.",
    },
    "unknown_line": {
        "zh": "订单中没有第 {value} 行。请从我们发出的表中复制行号。",
        "en": "The order has no line {value}. Copy the line number from the sheet that we sent.",
    },
    "unknown_batch": {
        "zh": "没有批次“{value}”。批次号写成 订单号/报告号。",
        "en": "There is no batch “{value}”. Write order number/report number.",
    },
    "wrong_check": {
        "zh": "校验码缺失或不属于这个订单。请使用我们发出的表，不要改动最后一列。",
        "en": "The check code is missing or belongs to another order. Use the sheet that we sent, code included.",
    },
    "over_ordered": {
        "zh": "接受 {value} 株，多于订单的 {most} 株。最多可填 {most}。",
        "en": "{value} accepted are more than the {most} ordered. Write {most} at most.",
    },
    "answered_before": {
        "zh": "此订单已登记为接受 {known} 株，不能在表中改为 {value}。如需更改，请直接回复邮件说明。",
        "en": "{known} trees are recorded as accepted; a sheet can't make that {value}. Answer this mail in words.",
    },
    "not_accepted_yet": {
        "zh": "此订单还没有接受。请先填好并发回订单表。",
        "en": "The order is not accepted yet. Fill in and send the order sheet first.",
    },
    "over_accepted": {
        "zh": "连同已登记的共 {total} 株，多于可登记的 {most} 株。请改正数量。",
        "en": "With what is recorded this makes {total} trees; at most {most} can be. Please correct the number.",
    },
    "reported_before": {
        "zh": "报告号 {report_no} 已登记为另外的内容（{known}）。新的种植请用新的报告号；"
        "如需更正，请直接回复邮件说明。",
        "en": "Report {report_no} is recorded with other values ({known}). Give new planting a new report number; "
        "to have a recorded one corrected, answer this mail in words.",
    },
    "unknown_species": {
        "zh": "不认识的树种“{value}”。订单的树种是 {expected}。",
        "en": "The species “{value}” is not known here. The order is for {expected}.",
    },
    "in_future": {
        "zh": "日期 {value} 还没有到。请填写实际种植日期。",
        "en": "The date {value} is still to come. Write the day of the planting.",
    },
    "order_held": {
        "zh": "此订单暂停，正在由我们的工作人员查看。之后请再发一次，或等我们联系您。",
        "en": "The order is on hold until a person here has looked at it. Send the file again later.",
    },
    "order_ended": {
        "zh": "此订单已结束（{state}），不能再登记。",
        "en": "The order has ended ({state}); nothing more can be recorded.",
    },
    "declared_planted": {
        "zh": "此订单已报告全部种完，不能再加新的种植。如需更正，请直接回复邮件说明。",
        "en": "The order was declared fully planted, so new planting can't be added. Answer this mail in words.",
    },
    "photo_not_attached": {
        "zh": "没有收到照片 {names}。请把照片和这一行再发一次，会补登。",
        "en": "The photos {names} were not attached. Send them with this row again and they are added.",
    },
    "no_count_planned": {
        "zh": "目前没有计划中的调查。如需补报，请直接回复邮件说明。",
        "en": "No count of this batch is planned now. Answer this mail in words if one should be.",
    },
    "count_incomplete": {
        "zh": "同一批次还有错误的行，整次调查尚未登记。请改正后把全部行一起再发一次。",
        "en": "Another row of this count is wrong, so none of it is recorded yet. Correct it and send all rows again.",
    },
    "count_differs": {
        "zh": "与第 {other} 行不同（{value}）。一次调查只能有一种方法和一名调查人。",
        "en": "“{value}” differs from row {other}. One count has one method and one surveyor.",
    },
    "count_refused": {
        "zh": "这次调查未登记，应为：{expected}。",
        "en": "The count is not recorded; expected: {expected}.",
    },
    "photo_unreadable": {
        "zh": "照片 {names} 无法读取（{reason}），不能作为证据。请用原始照片再发一次。",
        "en": "The photos {names} can't be read ({reason}) and prove nothing. Send the originals again.",
    },
    "not_taken": {
        "zh": "未登记（{reason}）。",
        "en": "Not recorded ({reason}).",
    },
}

_FILE: Mapping[str, Mapping[str, str]] = {
    "empty": {"zh": "文件是空的。", "en": "The file is empty."},
    "too_large": {
        "zh": "文件超过 {bytes_max} 字节。请删去图片，只留表格，或分成几个文件。",
        "en": "The file is over {bytes_max} bytes. Take pictures out of it, or split it.",
    },
    "wrong_kind": {
        "zh": "这不是 XLSX 或 CSV 表格。请另存为“Excel 工作簿 (*.xlsx)”。",
        "en": "This is no XLSX or CSV table. Save it as “Excel Workbook (*.xlsx)”.",
    },
    "old_excel": {
        "zh": "这是旧的 .xls 格式。请另存为“Excel 工作簿 (*.xlsx)”。",
        "en": "This is the old .xls format. Save it as “Excel Workbook (*.xlsx)”.",
    },
    "macros": {
        "zh": "文件含有宏，不能接收。请另存为“Excel 工作簿 (*.xlsx)”。",
        "en": "The file carries macros and is not taken. Save it as “Excel Workbook (*.xlsx)”.",
    },
    "password_protected": {
        "zh": "文件有打开密码。请去掉密码后再发。",
        "en": "The file asks for a password to open it. Take the password off and send it again.",
    },
    "unpacks_too_large": {
        "zh": "文件解开后过大（{limit}），不能接收。请把表格复制到新的工作簿。",
        "en": "The file unpacks to more than is taken ({limit}). Copy the table into a new workbook.",
    },
    "xml_entities": {
        "zh": "文件内部含有不允许的定义，不能接收。请把表格复制到新的工作簿。",
        "en": "The file holds definitions that are not allowed. Copy the table into a new workbook.",
    },
    "broken": {
        "zh": "文件已损坏，读不出来。请重新保存后再发。",
        "en": "The file is damaged and can't be read. Save it again and send it anew.",
    },
    "encoding": {
        "zh": "看不出文件的编码。请另存为“CSV UTF-8”或 XLSX。",
        "en": "The encoding of the file can't be told. Save it as “CSV UTF-8” or as XLSX.",
    },
    "no_header": {
        "zh": "找不到表头。请使用我们发出的表，不要删去第一、二行。",
        "en": "There is no header. Use the sheet that we sent and leave its first two rows.",
    },
    "columns_missing": {
        "zh": "缺少列：{columns}。请使用我们发出的表。",
        "en": "Columns are missing: {columns}. Use the sheet that we sent.",
    },
    "column_twice": {
        "zh": "列“{column}”出现两次。请删去一列。",
        "en": "The column “{column}” is there twice. Delete one.",
    },
    "too_many_rows": {
        "zh": "超过 {rows_max} 行。请分成几个文件。",
        "en": "There are over {rows_max} rows. Split the file.",
    },
    "too_many_orders": {
        "zh": "超过 {orders_max} 个订单。请分成几个文件。",
        "en": "It names over {orders_max} orders. Split the file.",
    },
    "newer_version": {
        "zh": "此表由更新的版本制作（{version}）。请使用我们最近发出的表。",
        "en": "The sheet is of a newer version ({version}). Use the sheet that we sent last.",
    },
    "nothing_filled": {
        "zh": "表中没有填写任何答复。",
        "en": "Nothing is filled in.",
    },
}


def cell_text(problem: CellProblem, kind: FileKind, language: str) -> str:
    """A problem as its row shows it: the column's name, what is wrong, the fix."""
    fields = {name: _value(value, language) for name, value in problem.fields.items()}
    text = _CELL[problem.code][language].format_map(fields)
    if not problem.column:
        return text
    colon = "：" if language == "zh" else ": "
    return f"{column_name(kind, problem.column, language)}{colon}{text}"


def file_text(refusal: FileRefused, language: str) -> str:
    """Why nothing of a file was taken, with the fix."""
    fields = {name: _value(value, language) for name, value in refusal.fields.items()}
    return _FILE[refusal.code][language].format_map(fields)


def column_name(kind: FileKind, column: str, language: str) -> str:
    """A column's name as its header shows it."""
    if column == PROBLEMS:
        return PROBLEMS_NAME[language]
    return kind.column(column).names[language]


def codes() -> dict[str, list[str]]:
    """Every code with the languages that have words for it."""
    return {code: sorted(texts) for code, texts in [*_CELL.items(), *_FILE.items()]}


def _value(value: Any, language: str) -> str:
    if isinstance(value, list | tuple):
        return ("、" if language == "zh" else ", ").join(shown(one) for one in value)
    return shown(value)
