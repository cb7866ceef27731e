"""Imports a task file and the modules beside it under names that no other task file uses.

Python would import `import layers` in a task file only if the file's folder were on `sys.path`, and
two tasks with a file `layers.py` each would then share whichever was imported first. Here, every
task file gets a package of its own, whose path is the file's folder. In the modules of this
package, an import looks beside the task file first. Nothing else of the process sees these modules.
"""

import builtins
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

_PREFIX = "nestling_task_"


def import_task_file(path: Path) -> ModuleType:
    """Import a task file anew, with the modules beside it that it imports.

    Args:
        path: the task file, an existing file whose name ends in .py.

    Raises:
        ImportError: the file is not a Python file.
        BaseException: the file or a module that it imports raises this error.
    """
    package = _package_of(path)
    name = f"{package}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        raise ImportError(f"{path} is not a Python file")
    _forget(package)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    parent = ModuleType(package)
    parent.__path__ = [str(path.absolute().parent)]
    sys.modules[package] = parent
    spec.loader = _Loader(name, str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def modules_beside(module: ModuleType) -> list[ModuleType]:
    """Return all modules of the task file that a module belongs to.

    These are the task file and the modules beside it that were imported; the list is empty if the
    module does not belong to a task file.
    """
    package = module.__name__.partition(".")[0]
    if not package.startswith(_PREFIX):
        return []
    return [found for name, found in sys.modules.items() if name.startswith(f"{package}.")]


def _package_of(path: Path) -> str:
    place = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    return f"{_PREFIX}{place}"


def _forget(package: str) -> None:
    """Remove what an earlier import left, because the files may have changed."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()


class _Finder(MetaPathFinder):
    """Finds the modules of task files, which are loaded by `_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_PREFIX) or path is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a module whose imports look beside the task file first.

    Compiled files are neither read nor written: they are trusted by the source's time and size,
    which may stay the same when the source changes within a second.
    """

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        raise OSError(f"no compiled file is used for {path}")

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _Import(package)}
        super().exec_module(module)


class _Import:
    """The function behind `import` in the modules of one task file."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  Python's own name
        locals: Mapping[str, object] | None = None,  # noqa: A002  Python's own name
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        own = f"{self._package}.{name}"
        if level or not self._is_beside(name.partition(".")[0]):
            return builtins.__import__(name, globals, locals, fromlist, level)
        if fromlist:
            return builtins.__import__(own, globals, locals, fromlist)
        importlib.import_module(own)
        return sys.modules[f"{self._package}.{name.partition('.')[0]}"]

    def _is_beside(self, name: str) -> bool:
        """Return whether a module is beside the task file.

        A folder without `__init__.py` counts only if no other module has its name.
        """
        spec = importlib.util.find_spec(f"{self._package}.{name}")
        if spec is None:
            return False
        return spec.origin is not None or not _is_importable(name)


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
