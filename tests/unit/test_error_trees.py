"""The error trees in the packages' `errors` modules are those that the code has."""

import importlib
import pkgutil
import re
from types import ModuleType

import pytest

import nestling_cloud
import nestling_cloud.errors
import nestling_device
import nestling_device.errors
import nestling_sim
import nestling_sim.errors

# What `├── NameError` is indented by for each level.
_INDENT = 4
# `iotcore_program` is a script that another process runs.
_SCRIPTS = {"nestling_cloud.mqtt.iotcore_program"}

Tree = set[tuple[str, str]]  # (class, its base)


def documented(module: ModuleType) -> Tree:
    tree: Tree = set()
    bases: dict[int, str] = {}
    for line in (module.__doc__ or "").splitlines():
        match = re.match(r"^ *((?:│   |    )*(?:[├└]── )?)(\w+Error)\b", line)
        if not match:
            continue
        level = line.index(match[2]) // _INDENT
        bases[level] = match[2]
        above = [number for number in bases if number < level]
        if above:
            tree.add((match[2], bases[max(above)]))
        bases = {number: name for number, name in bases.items() if number <= level}
    return tree


def places(module: ModuleType) -> list[tuple[str, str]]:
    """Return classes with the files that the tree names for them."""
    return re.findall(r"(\w+Error) +([\w/]+)\.py", module.__doc__ or "")


def actual(package: ModuleType, root: type[Exception]) -> Tree:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name not in _SCRIPTS:
            importlib.import_module(found.name)
    tree: Tree = set()
    waiting = [root]
    while waiting:
        base = waiting.pop()
        for made in base.__subclasses__():
            if made.__module__.startswith(package.__name__):
                tree.add((made.__name__, base.__name__))
                waiting.append(made)
    return tree


@pytest.mark.parametrize(
    ("package", "errors", "root"),
    [
        (nestling_cloud, nestling_cloud.errors, nestling_cloud.errors.CloudError),
        (nestling_device, nestling_device.errors, nestling_device.errors.DeviceError),
        (nestling_sim, nestling_sim.errors, nestling_sim.errors.SimError),
    ],
    ids=["cloud", "device", "simulation"],
)
def test_documented_error_tree_is_that_of_the_code(
    package: ModuleType, errors: ModuleType, root: type[Exception]
) -> None:
    assert documented(errors) == actual(package, root)


def test_device_error_tree_names_the_file_of_each_class() -> None:
    named = places(nestling_device.errors)

    assert len(named) == len(documented(nestling_device.errors))
    for name, file in named:
        module = importlib.import_module(f"nestling_device.{file.replace('/', '.')}")
        assert getattr(module, name).__module__ == module.__name__
