"""Strict YAML: hostile documents are refused with place and fix, quickly; the rest stays the text it was."""

from __future__ import annotations

import time

import pytest

from engine.rulefiles.reading import DEPTH_MAX, FILE_BYTES_MAX, parse_document, path_text

HOSTILE = {
    "equal keys": (b"a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml:4:b.c: the key 'c' twice (first on line 3)"),
    "alias bomb": (
        b"a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n",
        "f.yaml:2:b[0]: the alias *a; expected the value itself",
    ),
    "anchor": (b"a: &x 1\n", "f.yaml:1:a: the anchor &x; expected no anchors. Fix: remove &x"),
    "merge key with alias": (b"a: &x {b: 1}\nc:\n  <<: *x\n", "f.yaml:3:c.<<: the alias *x"),
    "tag that builds an object": (b"a: !!python/object/apply:os.system ['true']\n", "f.yaml:1:a: the tag"),
    "own tag": (b"a: !include other.yaml\n", "f.yaml:1:a: the tag !include"),
    "anchored key": (b"&x a: 1\n", "f.yaml:1: the anchor &x"),
    "mapping as a key": (b"? {a: 1}\n: b\n", "f.yaml:1: a key that is not a text"),
    "alias as a key": (b"a: &x b\n*x : c\n", "f.yaml:2: a key that is not a text"),
    "two documents": (b"a: 1\n---\nb: 2\n", "f.yaml:2: a second document; expected one document in a file"),
    "directive": (b"%YAML 1.1\n---\na: 1\n", "f.yaml:2: a % directive"),
    "tab": (b"a:\n\tb: 1\n", "f.yaml:2: not YAML: found character '\\t'"),
    "open quote": (b"a: 'x\n", "f.yaml:2: not YAML: found unexpected end of stream"),
    "bad indentation": (b"a: 1\n  b: 2\n", "f.yaml:2: not YAML: mapping values are not allowed here"),
    "control character": (b"a: \x07\n", "f.yaml:1: not YAML: unacceptable character"),
    "not UTF-8": (b"a: 1\nb: \xff\n", "f.yaml:2: bytes that are not UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "f.yaml:1: bytes that are not UTF-8"),
    "empty": (b"", "f.yaml:1: nothing; expected a mapping of keys to values"),
    "only a comment": (b"# nothing\n", "f.yaml:1: nothing; expected a mapping of keys to values"),
    "too deep, flow": (b"[" * 200_000, f"more than {DEPTH_MAX} levels"),
    "too deep, block": (b"- " * 100_000, f"more than {DEPTH_MAX} levels"),
    "too deep, mappings": (b"{a: " * 50_000, f"more than {DEPTH_MAX} levels"),
    "10 MB": (b"a: 1\n" * 2_000_000, f"more than {FILE_BYTES_MAX:,} bytes"),
    "endless key": (b"k" * 201 + b": 1\n", "f.yaml:1: a key of 201 characters; expected at most 200"),
    "complex keys": (b"? " * 100_000, "f.yaml:1: a key that is not a text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_document_is_refused_with_its_place(name: str) -> None:
    data, expected = HOSTILE[name]
    started = time.process_time()
    document, problems = parse_document(data, "f.yaml")
    assert document is None
    assert any(str(problem).startswith(expected) or expected in str(problem) for problem in problems), (
        problems
    )
    assert all(problem.fix and problem.expected for problem in problems)
    assert time.process_time() - started < 5, "a hostile file must not hold up the engine"


def test_nothing_is_turned_into_something_else() -> None:
    document, problems = parse_document(
        b"a: NO\non: 12:30:45\nb: 017\nc: 2020-01-01\nd: 1e3\ne: .nan\n"
        b"f: 0x1F\ng: 1_000\nh: 'null'\ni: null\nj:\n",
        "f",
    )
    assert not problems
    assert document is not None
    assert document.tree == {
        "a": "NO", "on": "12:30:45", "b": "017", "c": "2020-01-01", "d": "1e3", "e": ".nan",
        "f": "0x1F", "g": "1_000", "h": "null", "i": None, "j": None,
    }  # fmt: skip


def test_the_deepest_allowed_level_is_read() -> None:
    document, problems = parse_document(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, "f")
    assert not problems
    deepest: object = document.tree if document else None
    for _ in range(DEPTH_MAX - 1):
        assert isinstance(deepest, list)
        assert len(deepest) == 1
        deepest = deepest[0]
    assert deepest == []
    assert parse_document(b"[" * (DEPTH_MAX + 2) + b"]" * (DEPTH_MAX + 2), "f")[0] is None


def test_the_largest_allowed_file_is_read() -> None:
    filled = b"a: 1\n# " + b"x" * (FILE_BYTES_MAX - 7)
    assert len(filled) == FILE_BYTES_MAX
    assert parse_document(filled, "f")[0] is not None
    assert parse_document(filled + b"x", "f")[0] is None


def test_each_path_knows_its_line() -> None:
    document, _ = parse_document(b"a:\n  - b: 1\n    c:\n      d: 2\n", "f")
    assert document is not None
    assert document.line_of(("a", 0, "c", "d")) == 4
    assert document.line_of(("a", 0, "c", "missing", "deeper")) == 3
    assert document.line_of(("nowhere",)) == 1
    assert path_text(("a", 0, "c", "d")) == "a[0].c.d"


def test_a_message_stays_on_one_line_and_harmless() -> None:
    _, problems = parse_document(b'"a\\n\\e[31mroot: ok": 1\n"a\\n\\e[31mroot: ok": 2\n', "f")
    assert len(problems) == 1
    assert str(problems[0]).isprintable()
