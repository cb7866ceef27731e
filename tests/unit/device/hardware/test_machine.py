from pathlib import Path

import onnxruntime
import pytest

from nestling_core.nest.bundle_files import Activations
from nestling_device.hardware.machine import activations_of, machine_name


def name_with(folder: Path, model: bytes | None, cpuinfo: str) -> str:
    if model is not None:
        (folder / "model").write_bytes(model)
    (folder / "cpuinfo").write_text(cpuinfo)
    return machine_name(folder / "model", folder / "cpuinfo")


@pytest.mark.parametrize(
    ("model", "cpuinfo", "name"),
    [
        (b"Raspberry Pi 5 Model B Rev 1.0\0", "model name : x", "Raspberry Pi 5 Model B Rev 1.0"),
        (None, "processor : 0\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
        (None, "processor : 0\nModel : Raspberry Pi 4 Model B\n", "Raspberry Pi 4 Model B"),
        (None, "", "unknown machine"),
        (b"\xff\xfe", "", "unknown machine"),
    ],
)
def test_machine_name_has_the_board_or_else_the_processor(
    tmp_path: Path, model: bytes | None, cpuinfo: str, name: str
) -> None:
    found = name_with(tmp_path, model, cpuinfo)

    assert found.startswith(f"{name}, ")
    assert onnxruntime.__version__ in found


def test_machine_name_without_any_information_is_unknown_machine(tmp_path: Path) -> None:
    assert machine_name(tmp_path / "none", tmp_path / "none").startswith("unknown machine, ")


@pytest.mark.parametrize(
    ("architecture", "activations"),
    [
        ("aarch64", "int8"),
        ("aarch64_be", "int8"),
        ("arm64", "int8"),
        ("armv6l", "int8"),
        ("armv7l", "int8"),
        ("x86_64", "uint8"),
        ("AMD64", "uint8"),
        ("i686", "uint8"),
        ("riscv64", "uint8"),
        ("", "uint8"),
    ],
)
def test_activations_are_signed_on_arm_and_unsigned_elsewhere(
    architecture: str, activations: Activations
) -> None:
    assert activations == activations_of(architecture)
