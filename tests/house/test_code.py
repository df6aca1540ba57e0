"""House rules that no linter knows: pure cores, small rooms, short functions, one word per thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.house.source import PACKAGES, ROOT, Module, modules, text_files

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500

# path (or path:function) → why it may be longer. An entry that is no longer needed fails.
LONGER: dict[str, str] = {}
# A migration is one list of statements that is never edited; splitting it would not make it clearer.
MIGRATIONS = "engine/store/migrations/versions/"

# Standard modules that reach outside or decide by chance: not for a core that is handed time, ids and draws.
# fmt: off
IMPURE = {
    "asyncio", "concurrent", "contextvars", "ftplib", "glob", "http", "importlib", "io", "logging",
    "multiprocessing", "os", "pathlib", "queue", "random", "sched", "secrets", "select", "selectors",
    "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib", "uuid", "warnings",
}
# fmt: on
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
CLOCK_CALLS = {"now", "utcnow", "today", "time", "monotonic"}

CORE = (["engine", "core"], ["partners", "core"])
CORES = [module for module in modules(*PACKAGES) if module.name.split(".")[:2] in CORE]
ALL = modules(*PACKAGES)


def by_path(module: Module) -> str:
    return module.path


@pytest.mark.parametrize("module", CORES, ids=by_path)
def test_core_imports_the_standard_library_and_cores_only(module: Module) -> None:
    allowed = ("engine.core",) if module.name.startswith("engine") else ("engine.core", "partners.core")
    for line, name in module.imports():
        inside = any(name == core or name.startswith(f"{core}.") for core in allowed)
        top = name.partition(".")[0]
        pure = top in sys.stdlib_module_names and top not in IMPURE
        assert inside or pure, f"{module.path}:{line}: a core must not import {name}"


@pytest.mark.parametrize("module", CORES, ids=by_path)
def test_core_has_no_io_no_clock_and_is_not_async(module: Module) -> None:
    for node in ast.walk(module.tree):
        where = f"{module.path}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith), (
            f"{where}: async"
        )
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                assert called.id not in IMPURE_CALLS, f"{where}: {called.id}() in a core"
            elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                clock = called.value.id in {"datetime", "date", "time"} and called.attr in CLOCK_CALLS
                assert not clock, f"{where}: a core is handed the time, it never asks for it"


# The sans-I/O half of the socket side.
PURE_REALTIME = {"engine.realtime.protocol", "engine.realtime.channels", "engine.realtime.limits"}


@pytest.mark.parametrize("module", [m for m in ALL if m.name in PURE_REALTIME], ids=by_path)
def test_the_protocol_does_no_io(module: Module) -> None:
    for line, name in module.imports():
        assert name.partition(".")[0] not in IMPURE, f"{module.path}:{line}: {name} in the protocol"


# Who may open a write transaction, and why (law 2: one write path).
WRITERS = {
    "engine/writer.py": "the write path",
    "engine/dice.py": "the secret of the day must be stored before the first draw that is made with it",
    "partners/year/world.py": "the exercise fills its own database, before its writer starts",
    "engine/store/sqlite.py": "a reserved range of ids must never be given out twice",
}


def test_only_the_writer_opens_write_transactions() -> None:
    found = {
        module.path
        for module in modules("engine", "partners")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if isinstance(call := item.context_expr, ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "write"
    }
    assert found == set(WRITERS)


def test_functions_and_modules_are_short() -> None:
    long = {module.path: lines for module in ALL if (lines := module.text.count("\n")) > MODULE_LINES_MAX}
    for module in ALL:
        for function in () if module.path.startswith(MIGRATIONS) else module.functions():
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                long[f"{module.path}:{function.name}"] = lines
    unexcused = {where: lines for where, lines in long.items() if where not in LONGER}
    assert not unexcused, (
        f"over {FUNCTION_LINES_MAX} lines a function or {MODULE_LINES_MAX} a module: {unexcused}"
    )
    assert set(LONGER) <= set(long), f"no longer needed: {set(LONGER) - set(long)}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [module.path for module in ALL if module.text.strip() and not ast.get_docstring(module.tree)]
    assert not silent, f"no docstring: {silent}"


def test_no_class_is_named_after_a_pattern() -> None:
    pattern = re.compile(r"(Service|Manager|Repository|Factory|Helper|Util|Utils)$")
    found = [
        f"{module.path}:{node.lineno}: {node.name}"
        for module in ALL
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and pattern.search(node.name)
    ]
    assert not found, f"named after a pattern, not after what it is: {found}"


# word in an identifier → the word of this house (docs/architecture and the glossary)
WORDS = {
    "player": "user",
    "steal": "collect",
    "stolen": "collected",
    "bubble": "ball",
    "calculator": "quantification method",
    "coefficient": "factor",
    "behavior": "behaviour",
    "purchase": "redemption",
}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# names that other people's interfaces gave
FOREIGN: set[str] = {"StrEnum", "IntEnum", "__members__", "_member_map_"}


def identifiers(module: Module) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((node.lineno, node.name))
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.attr))
    return found


def test_identifiers_use_the_words_of_the_house() -> None:
    wrong = []
    for module in modules(*PACKAGES, "tests"):
        for line, name in identifiers(module):
            for part in WORD.findall(name):
                better = WORDS.get(part.lower()) or WORDS.get(part.lower().removesuffix("s"))
                if better and name not in FOREIGN:
                    wrong.append(f"{module.path}:{line}: {name}: say {better}")
    assert not wrong, "\n".join(wrong)


def test_no_mocks_of_our_own_code() -> None:
    found = [
        f"{module.path}:{line}"
        for module in modules(*PACKAGES, "tests")
        for line, name in module.imports()
        if name.startswith(("unittest.mock", "mock", "pytest_mock"))
    ]
    assert not found, f"real servers and handed-in values instead of mocks: {found}"


ADDRESS = re.compile(
    r"registry\.npm|npmmirror|pypi\.(org|python)|files\.pythonhosted|crates\.io/api|"
    r'"resolved": *"http|^ *(--)?(extra-)?index-url|^registry *=',
    re.MULTILINE,
)
HOME = re.compile(r"(?<![\w.])/(root|home|Users)/\w")


def test_no_registry_address_and_no_home_path_is_written_down() -> None:
    own = "tests/house/test_code.py"
    found = [
        path for path, text in text_files() if path != own and (ADDRESS.search(text) or HOME.search(text))
    ]
    assert not found, f"addresses belong to the machine, not to the project: {found}"


def test_constraints_pin_every_dependency_once() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    assert all(re.fullmatch(r"[a-z0-9-]+==[^ ]+( ; .+)?", line) for line in lines)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "--output-format=concise", "."], ["lint-imports", "--no-cache"]],
    ids=lambda c: c[0],
)
def test_style_and_import_contracts(command: list[str]) -> None:
    tool = [sys.executable, "-m", "ruff", *command[1:]] if command[0] == "ruff" else lint_imports()
    run = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def lint_imports() -> list[str]:
    return [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
