"""The house's layers: imports run downward, pure packages do no I/O, modules stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "fhirsvc"
MODULES = sorted(p for p in PACKAGE.rglob("*.py"))
# Highest first. A part may import its own parts and any part of a lower row.
LAYERS = (
    {"cli", "app", "worker"},
    {"wiring", "api", "console"},
    {"services"},
    {"handoff"},
    {"ehr", "store"},
    {"mapping", "merge", "referral", "consent"},
    {"records", "fhir"},
    {"errors"},
)
LEVEL = {part: level for level, row in enumerate(LAYERS) for part in row}
# settings is read where a process begins; it stands on errors alone. shipped is the package's data.
BESIDE = {"settings": {"errors"}, "shipped": {"errors"}}
READ_SETTINGS = {"wiring", "app", "worker", "cli"}  # build or say them; nothing below may ask
READ_SHIPPED = {"cli", "app", "worker", "wiring"}
# What a part may take from one of its own row; None: anything.
SIBLINGS: dict[tuple[str, str], set[str] | None] = {
    ("records", "fhir"): {"guard", "leaves"},  # the spellings that both sides share
    ("cli", "app"): None,  # commands start the processes
    ("cli", "worker"): None,
}
PURE = ("mapping", "records", "fhir", "errors", "merge", "referral", "consent", "handoff")
NOT_PURE = set(
    "os pathlib socket requests sqlalchemy time random io.open subprocess shutil tempfile secrets "
    "urllib http sqlite3 logging structlog".split()
)
NOT_CALLED = {"open", "input", "print", "now", "utcnow", "today", "getenv", "urandom", "uuid4"}
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
MOST_LINES = 300


def _part(module: Path) -> str:
    """``fhirsvc/cli/load.py`` → ``cli``; ``fhirsvc/worker.py`` → ``worker``."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _name(module: Path) -> str:
    return str(module.relative_to(PACKAGE.parent))


@cache
def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), _name(module))


def _imports(module: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, wherever the import stands."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(module)}:{node.lineno}: imports are absolute"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def _house_imports(module: Path) -> Iterator[tuple[int, str, str]]:
    """Line, part and what of it, for imports from the house itself."""
    for line, name in _imports(module):
        package, _, rest = name.partition(".")
        part, _, inner = rest.partition(".")
        if package == "fhirsvc" and (part in LEVEL or part in BESIDE):
            yield line, part, inner


def _forbidden(mine: str, part: str, inner: str) -> bool:
    if part == mine:
        return False
    if mine in BESIDE:
        return part not in BESIDE[mine]
    if part == "settings":
        return mine not in READ_SETTINGS
    if part == "shipped":
        return mine not in READ_SHIPPED
    if LEVEL[part] == LEVEL[mine]:
        allowed = SIBLINGS.get((mine, part), set())
        return allowed is not None and inner.partition(".")[0] not in allowed
    return LEVEL[part] < LEVEL[mine]


def test_every_module_has_its_layer():
    """A new part of the package is placed in LAYERS before it ships."""
    parts = {_part(m) for m in MODULES} - {"__init__", "__main__"}
    assert parts <= LEVEL.keys() | BESIDE.keys()


def test_imports_run_downward():
    """No module imports from a layer above its own or from a sibling part."""
    wrong = [
        f"{_name(module)}:{line}: {_part(module)} imports {part}.{inner}"
        for module in MODULES
        if _part(module) in LEVEL or _part(module) in BESIDE
        for line, part, inner in _house_imports(module)
        if _forbidden(_part(module), part, inner)
    ]
    assert [] == wrong


@pytest.mark.parametrize(
    ("mine", "part", "inner", "forbidden"),
    [
        ("mapping", "records", "fields", False),
        ("records", "mapping", "grammar", True),
        ("records", "fhir", "guard", False),
        ("records", "fhir", "validate", True),
        ("fhir", "records", "fields", True),
        ("ehr", "store", "tables", True),
        ("store", "settings", "load", True),
        ("services", "api", "records", True),
        ("wiring", "settings", "load", False),
        ("settings", "store", "tables", True),
        ("cli", "worker", "run_worker", False),
        ("worker", "cli", "load", True),
    ],
)
def test_the_rule_of_layers_can_fail(mine: str, part: str, inner: str, forbidden: bool):
    """The rule tells allowed from forbidden imports."""
    assert forbidden == _forbidden(mine, part, inner)


def _pure() -> list[Path]:
    return [m for m in MODULES if _part(m) in PURE]


def test_pure_packages_import_nothing_that_does_io():
    """mapping, records, fhir and errors know no disk, network, database, clock or chance."""
    wrong = [
        f"{_name(module)}:{line}: imports {name}"
        for module in _pure()
        for line, name in _imports(module)
        if name.partition(".")[0] in NOT_PURE
    ]
    assert len(_pure()) > 30
    assert [] == wrong


def _calls(module: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                yield node.lineno, called.id
            elif isinstance(called, ast.Attribute):
                yield node.lineno, called.attr


def test_pure_packages_never_read_a_file_the_clock_or_chance():
    """They are given texts, moments and ids; they do not fetch them."""
    wrong = [
        f"{_name(module)}:{line}: calls {name}()"
        for module in _pure()
        for line, name in _calls(module)
        if name in NOT_CALLED
    ]
    assert [] == wrong


def test_only_settings_reads_the_environment():
    """Every setting is in one place, where it is documented."""
    wrong = [
        f"{_name(module)}:{node.lineno}"
        for module in MODULES
        if _part(module) != "settings"
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert [] == wrong


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_a_module_is_small_or_says_why(module: Path):
    """At most 300 lines; a longer module gives its reason in its docstring ("over 300 lines")."""
    lines = module.read_text(encoding="utf-8").count("\n")
    said = ast.get_docstring(_tree(module)) or ""
    assert lines <= MOST_LINES or "over 300 lines because" in " ".join(said.split())


@pytest.mark.parametrize("module", MODULES, ids=_name)
def test_a_module_says_what_it_is(module: Path):
    """Every module has a docstring, and a name that says more than "utils"."""
    assert ast.get_docstring(_tree(module)), "has no docstring"
    assert module.stem not in NO_NAMES


def test_the_product_speaks_of_the_product_alone():
    """No path of the machine it was made on stands in what ships."""
    root = PACKAGE.parent
    texts = [
        *MODULES,
        *root.glob("*.md"),
        *root.glob("mappings/**/*.*"),
        *root.glob("docs/**/*.md"),
    ]
    marks = ("/" + "work/", "/" + "tmp/brief")
    assert [] == [str(p) for p in texts if any(m in p.read_text(encoding="utf-8") for m in marks)]
