"""A device of the base install: it runs where neither torch nor flwr is."""

import pkgutil
import subprocess
import sys

import nestling
import nestling_core
import nestling_device

_OPTIONAL = "nestling_device.federated"
_TORCH_ONLY = "nestling_core.student"


def modules() -> list[str]:
    found = [
        module.name
        for package in (nestling, nestling_core, nestling_device)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return [name for name in found if not name.startswith((_OPTIONAL, _TORCH_ONLY))]


def test_no_module_of_the_base_install_loads_torch_or_flwr() -> None:
    names = modules()
    assert "nestling_device.commands.federated" in names  # it starts Flower and imports none of it
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(sorted({'torch', 'flwr'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
