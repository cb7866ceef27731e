"""Finds the source files of a task's own code, and the data files that the code names."""

import inspect
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from nestling_cloud.tasks.task_modules import modules_beside
from nestling_cloud.tasks.user_code_errors import OUR_PACKAGES, is_installed


def files_behind(*makers: Any) -> set[Path]:
    """Return the files that affect a task's functions and classes.

    Args:
        makers: functions, classes, or instances of classes.

    Returns:
        The set of these files:

        - the files that define the functions and classes;
        - the files of the modules that these files import, directly or indirectly, and of all
          imported modules beside a task file;
        - the files whose paths are in global variables of these modules, if the files exist.

        Files of installed libraries and of Nestling are left out, because `fingerprint` hashes
        Nestling's learning code and the versions of the main libraries separately. A file of
        Nestling is included only if it defines one of the functions or classes.
    """
    found, seen = set[Path](), set[str]()
    waiting = []
    for maker in makers:
        module = _module_of(maker)
        if module is not None:
            waiting.append(module)
            found |= _own_file(module)  # even if it is a built-in task's
    while waiting:
        module = waiting.pop()
        if module.__name__ in seen or _is_installed(module):
            continue
        seen.add(module.__name__)
        found |= _own_file(module)
        waiting += modules_beside(module)
        for name, value in vars(module).items():
            if name.startswith("__"):
                continue
            if isinstance(value, Path | str):
                found |= _named_file(value)
            elif (used := _module_of(value)) is not None:
                waiting.append(used)
    return found


def _module_of(value: Any) -> ModuleType | None:
    if isinstance(value, partial):
        value = value.func
    if isinstance(value, ModuleType):
        return value
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        value = type(value)
    return sys.modules.get(getattr(value, "__module__", None) or "")


def _own_file(module: ModuleType) -> set[Path]:
    name = getattr(module, "__file__", None)
    path = Path(name) if name else None
    return {path} if path is not None and path.is_file() and not is_installed(path) else set()


def _named_file(value: Path | str) -> set[Path]:
    """Return the file that the value of a global variable names, or an empty set.

    The value names a file if it is a Path or a string with an absolute path, and the file exists.
    """
    path = Path(value)
    try:
        names_file = (isinstance(value, Path) or path.is_absolute()) and path.is_file()
    except (OSError, ValueError):  # the string is not a path
        return set()
    return {path} if names_file else set()


def _is_installed(module: ModuleType) -> bool:
    """Return whether a module belongs to Nestling or to an installed library, or has no file.

    `files_behind` leaves out such modules.
    """
    path = getattr(module, "__file__", None)
    ours = module.__name__.partition(".")[0] in OUR_PACKAGES
    return ours or path is None or is_installed(Path(path))
