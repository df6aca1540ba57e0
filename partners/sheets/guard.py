"""What kind of file it is, told from its bytes, and whether it may be opened at all. Nothing is parsed here."""

from __future__ import annotations

import re
import zipfile
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
            names = [part.filename for part in parts]
            _check_names(names)
            for part in parts:
                _check_part(part.filename, archive.read(part))
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        EOFError,
        ValueError,
        OSError,
    ) as problem:
        raise FileRefused("broken") from problem
    except RuntimeError as problem:  # what zipfile raises for an encrypted part
        raise FileRefused("password_protected") from problem
    except Exception as problem:
        if type(problem).__module__ in ("zlib", "_lzma", "_bz2"):
            raise FileRefused("broken") from problem
        raise


def _check_sizes(parts: list[zipfile.ZipInfo]) -> None:
    """By the archive's own directory; more than it says can't come out, as reading stops there."""
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
    """No definitions of entities in whatever encoding, no macro types, no merges over the whole sheet."""
    if not name.casefold().endswith((".xml", ".rels")):
        return
    bare = content.replace(b"\0", b"")
    if b"<!DOCTYPE" in bare or b"<!ENTITY" in bare:
        raise FileRefused("xml_entities")
    if name == "[Content_Types].xml" and b"macroEnabled" in bare:
        raise FileRefused("macros")
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
