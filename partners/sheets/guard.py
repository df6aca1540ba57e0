"""What kind of file it is, told from its bytes, and whether it may be opened at all. Nothing is parsed here."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from io import BytesIO
from typing import Literal

from partners.sheets.limits import (
    FILE_BYTES_MAX,
    MERGED_CELLS_MAX,
    RATIO_COUNTS_FROM_BYTES,
    UNPACKED_BYTES_MAX,
    UNPACKED_RATIO_MAX,
    ZIP_PARTS_MAX,
)
from partners.sheets.problems import FileRefused

Form = Literal["xlsx", "csv"]

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x1f\x8b",
    b"{\\rtf",
    b"<",
)
_BROKEN = (  # what reading a damaged archive may raise, the library's own NotImplementedError among it
    *(zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, zlib.error, struct.error),
    *(EOFError, ValueError, OSError, IndexError),
)
_FAR_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*\br="[0-9]{8,}"')  # a spreadsheet has 1,048,576
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')


def form_of(data: bytes) -> Form:
    """xlsx or csv. Raises FileRefused for everything else, and for what would unpack to too much."""
    if not data.strip(b"\0 \r\n\t"):
        raise FileRefused("empty")
    if len(data) > FILE_BYTES_MAX:
        raise FileRefused("too_large", bytes_max=FILE_BYTES_MAX)
    if data.startswith(_OLE):
        is_locked = "EncryptedPackage".encode("utf-16-le") in data
        raise FileRefused("password_protected" if is_locked else "old_excel")
    if data.startswith(_ZIP):
        _check_zip(data)
        return "xlsx"
    if data.lstrip().startswith(_OTHERS) or (
        b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff"))
    ):
        raise FileRefused("wrong_kind")
    return "csv"


def _check_zip(data: bytes) -> None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
        _check_sizes(parts)
        _check_names([part.filename for part in parts])
        for part in parts:
            _check_part(part.filename, _unpacked(data, part))
    except _BROKEN as problem:
        raise FileRefused("broken") from problem


def _unpacked(data: bytes, part: zipfile.ZipInfo) -> bytes:
    """The part's content, if it is as long as the directory says: who reads it later trusts that figure, or worse,
    unpacks all there is before cutting it to that length."""
    if part.flag_bits & 1:
        raise FileRefused("password_protected")
    name_bytes, extra_bytes = struct.unpack_from("<HH", data, part.header_offset + 26)
    begins = part.header_offset + 30 + name_bytes + extra_bytes
    packed = data[begins : begins + part.compress_size]
    if part.compress_type == zipfile.ZIP_STORED:
        content, is_whole = packed, True
    elif part.compress_type == zipfile.ZIP_DEFLATED:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        content = inflating.decompress(packed, part.file_size + 1)
        is_whole = inflating.eof or not part.file_size
    else:
        raise FileRefused("broken")
    if not is_whole or len(content) != part.file_size or zlib.crc32(content) != part.CRC:
        raise FileRefused("broken")
    return content


def _check_sizes(parts: list[zipfile.ZipInfo]) -> None:
    """By the archive's own directory; that it tells the truth is checked part by part."""
    if len(parts) > ZIP_PARTS_MAX:
        raise FileRefused("unpacks_too_large", limit=f"{ZIP_PARTS_MAX} parts")
    if sum(part.file_size for part in parts) > UNPACKED_BYTES_MAX:
        raise FileRefused("unpacks_too_large", limit=f"{UNPACKED_BYTES_MAX} bytes")
    for part in parts:
        is_large = part.file_size > RATIO_COUNTS_FROM_BYTES
        if is_large and part.file_size > UNPACKED_RATIO_MAX * max(part.compress_size, 1):
            raise FileRefused("unpacks_too_large", limit=f"1:{UNPACKED_RATIO_MAX}")


def _check_names(names: list[str]) -> None:
    if any("vbaproject" in name.casefold() or "/macrosheets/" in name.casefold() for name in names):
        raise FileRefused("macros")
    if len(set(names)) < len(names):
        raise FileRefused("broken")
    if "[Content_Types].xml" not in names or "xl/workbook.xml" not in names:
        raise FileRefused("wrong_kind")


def _check_part(name: str, content: bytes) -> None:
    """No definitions of entities in whatever encoding, no macro types, no rows or merges beyond a sheet."""
    if not name.casefold().endswith((".xml", ".rels")):
        return
    bare = content.replace(b"\0", b"")
    if b"<!DOCTYPE" in bare or b"<!ENTITY" in bare:
        raise FileRefused("xml_entities")
    if name == "[Content_Types].xml" and b"macroEnabled" in bare:
        raise FileRefused("macros")
    if _FAR_ROW.search(content):
        raise FileRefused("broken")
    merged = 0
    for first, top, last, bottom in _MERGED.findall(content):
        merged += (_letters(last) - _letters(first) + 1) * (int(bottom) - int(top) + 1)
    if merged > MERGED_CELLS_MAX:
        raise FileRefused("unpacks_too_large", limit=f"{MERGED_CELLS_MAX} merged cells")


def _letters(name: bytes) -> int:
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number
