"""The rooms of the packages: what each says, what others may import, how long code may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "nestling_core": ROOT / "core",
    "nestling_cloud": ROOT / "cloud",
    "nestling_device": ROOT / "device",
    "nestling_sim": ROOT / "simulation",
}
# Code beside the packages that imports their rooms.
BESIDE = ("benchmarks", "docs")


def dotted(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    dotted(path, folder): path
    for package, folder in PACKAGES.items()
    for path in (folder / package).rglob("*.py")
}
CODE = [*MODULES.values(), *(ROOT / "benchmarks").rglob("*.py")]
ROOMS = [
    name
    for name, path in sorted(MODULES.items())
    if path.name == "__init__.py" and name not in PACKAGES
]


def public_names(room: str) -> set[str]:
    for node in ast.parse(MODULES[room].read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, and the names that it imports from rooms."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES or node.module in ROOMS else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {
    name: set(imports(path))
    for name, path in [
        *MODULES.items(),
        *((str(path), path) for folder in BESIDE for path in (ROOT / folder).rglob("*.py")),
    ]
}


def imported_from_outside(room: str) -> set[str]:
    return {
        target.removeprefix(f"{room}.").split(".")[0]
        for name, targets in IMPORTS.items()
        if not f"{name}.".startswith(f"{room}.")
        for target in targets
        if target.startswith(f"{room}.")
    }


@pytest.mark.parametrize("room", ROOMS)
def test_others_import_only_the_public_names_of_a_room(room: str) -> None:
    assert imported_from_outside(room) - public_names(room) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_room_says_what_lives_there(room: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[room].read_text("utf-8")))

    assert docstring
    assert docstring.splitlines()[0].endswith(".")


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function's body, without the docstring."""
    first = function.body[1:2] if ast.get_docstring(function) else function.body[:1]
    return (function.end_lineno or 0) - first[0].lineno + 1 if first else 0


def test_no_file_has_more_than_300_lines() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in CODE}

    assert {str(path): lines for path, lines in lengths.items() if lines > 300} == {}


def test_no_function_has_more_than_50_lines() -> None:
    lengths = {
        f"{path}:{node.name}": lines_of(node)
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}
