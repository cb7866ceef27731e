"""deploy/development/environment.py: its progress lines, and the environment that pip gets."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "development" / "environment.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("development_environment", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def progress(script: ModuleType, *lines: str, installed: int = 0) -> str:
    made = script.Progress()
    for line in lines:
        made = made.after(line)
    return str(made.text(installed))


def test_progress_before_pip_has_printed_anything(script: ModuleType) -> None:
    assert progress(script) == "querying the package index"


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("  Downloading torch-2.13.0-cp311-none-any.whl (190.4 MB)", "torch 2.13.0 (190.4 MB)"),
        (
            "  Using cached https://index/simple/numpy-2.4.6-cp311-none-any.whl (18 MB)",
            "numpy 2.4.6 (18 MB)",
        ),
        ("Processing /wheels/torch-2.13.0+cpu-cp311-none-any.whl", "torch 2.13.0+cpu"),
    ],
)
def test_progress_while_files_are_fetched(script: ModuleType, line: str, file: str) -> None:
    text = progress(script, "Collecting numpy>=2", "Collecting torch==2.13.0", line)

    assert text == f"fetching packages, 2 so far, now {file}"


def test_progress_while_packages_are_installed(script: ModuleType) -> None:
    lines = ["Collecting a", "Installing collected packages: a, b, c"]

    assert progress(script, *lines, installed=2) == "installing packages, 2 of 3"
    assert progress(script, *lines, installed=5) == "installing packages, 3 of 3"


def test_warnings_count_neither_as_progress_nor_as_last_lines(script: ModuleType) -> None:
    warning = "WARNING: Location 'file:///nowhere/' is ignored"

    assert progress(script, *[warning] * 100) == "querying the package index"
    assert script.last_lines(f"{warning}\nERROR: no such package\n\n{warning}") == (
        "ERROR: no such package"
    )


def test_pip_installs_into_the_environment_whatever_the_caller_has_set(script: ModuleType) -> None:
    redirected = {"PIP_TARGET": "/elsewhere", "PIP_PREFIX": "/opt", "PIP_USER": "1"}
    kept = {"PIP_INDEX_URL": "https://index", "PIP_CERT": "/ca.pem", "PATH": "/bin"}

    environment = script.environment({**redirected, **kept, "PYTHONPATH": "/mine"})

    assert environment["PIP_USER"] == "0"
    assert not {"PIP_TARGET", "PIP_PREFIX", "PYTHONPATH"} & set(environment)
    assert kept.items() <= environment.items()


def test_old_python_is_refused_with_advice(script: ModuleType) -> None:
    with pytest.raises(script.InstallError, match=r"Python 3\.10, and 3\.11 or newer"):
        script.check_python((3, 10))
    script.check_python((3, 11))


def test_failed_installation_ends_with_the_last_lines_of_pip(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = script.main([str(tmp_path / "venv"), "--no-index", "nestling-that-is-nowhere"])

    error = capsys.readouterr().err
    assert status == 1
    assert "No matching distribution found for nestling-that-is-nowhere" in error
