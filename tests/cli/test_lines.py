"""Files that are broken in every way keep their good lines, and say of the bad ones where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.commands import ReportActivity
from engine.ingest.formats import BadLine, Found, read_file
from engine.ingest.lines import LINE_BYTES_MAX, UnreadableFile, read_lines

HEADER = "id,subject,behaviour,on,quantity,unit,revision\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(folder: Path, format_name: str, content: str | bytes) -> list[Found | BadLine]:
    return list(read_file(format_name, write(folder, content), "s"))


def found(all_rows: list[Found | BadLine]) -> list[ReportActivity]:
    return [row.command for row in all_rows if isinstance(row, Found)]


def bad(all_rows: list[Found | BadLine]) -> dict[int, str]:
    return {row.line: row.problem for row in all_rows if isinstance(row, BadLine)}


GOOD = "a1,p,walking,2026-11-20,100,step,1"


@pytest.mark.parametrize(
    "row",
    [
        "a2,p,walking,2026-11-20,NaN,step,1",
        "a2,p,walking,2026-11-20,Infinity,step,1",
        "a2,p,walking,2026-11-20,many,step,1",
        "a2,p,walking,2026-11-20," + "9" * 500 + ",step,1",
        "a2,p,walking,2026-11-20,1e400,step,1",
        "a2,p,walking,2026-13-45,100,step,1",
        "a2,p,walking,yesterday,100,step,1",
        "a2,p,walking,2026-11-20,100,step,-1",
        "a2,p,walking,2026-11-20,100,step,1.5",
        "a2,p,walking,2026-11-20,100,step,99999999999999999999",
        "a2,p,Walking!,2026-11-20,100,step,1",
        ",p,walking,2026-11-20,100,step,1",
        "a2,,walking,2026-11-20,100,step,1",
        "a2,p,walking,2026-11-20,100",
        "a2,p,walking,2026-11-20,100,step,1,more",
        'a2,p,walking,2026-11-20,"100,step,1',
        "a2,p,walking,2026-11-20,100,step\0,1",
        "a" * 300 + ",p,walking,2026-11-20,100,step,1",
        "x" * (2 << 20),
        "a2,p,walking,2026-11-20,100," + "y" * (10 << 20) + ",1",
    ],
    ids=range(20),
)
def test_a_bad_row_in_the_middle_is_told_and_the_rest_goes_on(tmp_path: Path, row: str) -> None:
    seen = rows(tmp_path, "csv", HEADER + GOOD + "\n" + row + "\n" + GOOD.replace("a1", "a3") + "\n")
    assert [command.activity for command in found(seen)] == ["a1", "a3"]
    assert list(bad(seen)) == [3]
    assert len(bad(seen)[3]) < 400


def test_bytes_that_are_no_text_are_one_bad_line(tmp_path: Path) -> None:
    seen = rows(tmp_path, "csv", HEADER.encode() + b"\xff\xfe\xfa,p\n" + GOOD.encode())
    assert list(bad(seen)) == [2] and len(found(seen)) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_delimiters_and_line_ends_do_not_matter(
    tmp_path: Path, delimiter: str, end: str, mark: str
) -> None:
    text = (HEADER + GOOD + "\n\n").replace(",", delimiter).replace("\n", end)
    [command] = found(rows(tmp_path, "csv", mark + text))
    [plain] = found(rows(tmp_path, "csv", HEADER + GOOD))
    assert command == plain


def test_the_same_act_has_the_same_content_whatever_its_format(tmp_path: Path) -> None:
    line = '{"id":"a1","subject":"p","behaviour":"walking","on":"2026-11-20","quantity":100.0,"unit":"step"'
    line += ',"revision":1}'
    [from_json] = found(rows(tmp_path, "ndjson", line))
    [from_csv] = found(rows(tmp_path, "csv", HEADER + GOOD))
    assert from_json.content == from_csv.content


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "{}",
        "[1, 2]",
        "null",
        '{"id":"a","subject":"p","behaviour":"bus","quantity":NaN,"unit":"ride"}',
        '{"id":"a","subject":"p","behaviour":"bus","quantity":"NaN","unit":"ride"}',
        '{"id":"a","subject":"p","behaviour":"bus","quantity":1e999999,"unit":"ride"}',
        '{"id":"a","subject":"p","behaviour":"bus","quantity":true,"unit":"ride"}',
        '{"id":"a","subject":"p","behaviour":"bus","quantity":1,"unit":"ride","at":"2026-11-20T08:00:00"}',
        '{"id":"a","subject":"p","behaviour":"bus","quantity":1,"unit":"ride","revison":1}',
        '{"id":7,"subject":"p","behaviour":"bus","quantity":1,"unit":"ride"}',
        "[" * 50_000,
    ],
    ids=range(12),
)
def test_lines_of_json_that_are_no_activity(tmp_path: Path, line: str) -> None:
    good = '{"id":"b","subject":"p","behaviour":"bus","quantity":1,"unit":"ride","at":"2026-11-20T08:00:00+08:00"}'
    seen = rows(tmp_path, "ndjson", f"{good}\n{line}\n{good}\n")
    assert len(found(seen)) == 2 and list(bad(seen)) == [2]


@pytest.mark.parametrize(
    ("format_name", "content", "words"),
    [
        ("csv", "", "empty"),
        ("csv", "id,subject\n", "lacks behaviour"),
        ("csv", HEADER.replace("unit", "unit,unit"), "twice"),
        ("csv", HEADER.replace("unit", "unit,revison"), "unknown columns"),
        ("fitbit", "Id,ActivityDate\n", "lacks TotalSteps"),
        ("csv", HEADER.encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_is_none_says_what_it_lacks(
    tmp_path: Path, format_name: str, content: str | bytes, words: str
) -> None:
    with pytest.raises(UnreadableFile, match=words):
        rows(tmp_path, format_name, content)


def test_memory_stays_small_whatever_the_line(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path, b"z" * (40 << 20) + b"\nshort\n")
    tracemalloc.start()
    lines = list(read_lines(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [line.problem is None for line in lines] == [False, True]
    assert peak < 40 * LINE_BYTES_MAX


def test_fitbit_rows(tmp_path: Path) -> None:
    text = (
        "Id,ActivityDate,TotalSteps,Calories\n"
        "7,4/12/2016,100,1\n"
        "7,4/12/2016 12:00:00 AM,100,1\n"
        "7,13/13/2016,100,1\n"
        "x,4/13/2016,100,1\n"
        "7,4/13/2016,12.x,1\n"
    )
    seen = rows(tmp_path, "fitbit", text)
    first, again = found(seen)
    assert first.activity == again.activity == "7:2016-04-12"
    assert first.content != again.content, "the whole row is the content"
    assert sorted(bad(seen)) == [4, 5, 6]
