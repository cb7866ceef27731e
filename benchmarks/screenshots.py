"""Take the screenshots of the console and of a run's report for the documentation.

The report is from a run of the default scenario with seed 0. The console's screenshots show a real
cloud with six real devices in a real browser. The devices replay the bundle's golden inputs (inputs
with known logits, on which a bundle is tested) for a minute and a half, with different budgets and
links. The figures in those screenshots are therefore examples and not results.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from benchmarks.chromium import chromium, log_in, resize, wait
from benchmarks.cloud_process import serve
from benchmarks.report import ROOT
from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks.wearable import TASK
from nestling_cloud.temporary_files import temporary_folder

_IMAGES = ROOT / "docs" / "images"
_WIDE, _REPORT, _PHONE = 1440, 1060, 390
_MOST_HEIGHT = 2700
_FLEET: tuple[tuple[str, ...], ...] = (
    ("--id", "wrist-1", "--profile", "pi-zero-2w", "--memory-kb", "10"),
    ("--id", "wrist-2", "--profile", "pi-zero-2w", "--memory-kb", "18", "--link", "bluetooth"),
    ("--id", "wrist-3", "--profile", "pi-zero-2w", "--memory-kb", "30"),
    ("--id", "bench-1", "--profile", "pi-4b", "--offload-share", "0.4", "--audit-share", "0.2"),
    ("--id", "bench-2", "--profile", "pi-4b", "--link", "bluetooth"),
    ("--id", "gate-1", "--profile", "pi-5", "--tolerated-risk", "0.1"),
)
# Seconds between inputs of a device.
_INTERVALS_S = (0.4, 0.5, 0.6)


def main() -> None:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="time that devices run first")
    parser.add_argument("--out", type=Path, default=_IMAGES, metavar="DIR", help="image folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    progress = ConsoleProgress(Console(stderr=True))
    bundle = trained_repository(TASK, TASK.load_checked(None, 0), seed=0, progress=progress)
    with temporary_folder(".nestling-bench-") as folder, ExitStack() as stack:
        ready = stack.enter_context(serve(bundle, folder / "state", "--console-port", "0"))
        devices = [
            stack.enter_context(_device(ready, folder, number, arguments))
            for number, arguments in enumerate(_FLEET)
        ]
        for _ in progress.track(range(int(options.seconds)), int(options.seconds), "devices run"):
            time.sleep(1)
        if any(device.poll() is not None for device in devices):
            sys.exit("a device ended early and would be missing; see its output above")
        driver = stack.enter_context(chromium())
        print(_take_report(driver, folder, options.out))
        log_in(driver, ready["console"], ready["console_password"])
        for path in _take_all(driver, ready["console"], options.out):
            print(path)


def _take_report(driver: webdriver.Chrome, folder: Path, out: Path) -> Path:
    command = [sys.executable, "-P", "-m", "nestling_sim.cli", "run", "--out", str(folder / "run")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (report,) = (folder / "run").glob("*/report.html")
    resize(driver, _REPORT)
    driver.get(report.as_uri())
    return _save(driver, out / "report.png")


def _take_all(driver: webdriver.Chrome, console: str, out: Path) -> Iterator[Path]:
    resize(driver, _WIDE)
    driver.get(f"{console}/operating-point")
    _settle(driver)
    slider = driver.find_element(By.ID, "share")
    slider.send_keys(Keys.HOME)
    for _ in range(30):
        slider.send_keys(Keys.ARROW_RIGHT)
    driver.find_element(By.ID, "apply").click()
    time.sleep(20)  # let devices answer at the new operating point
    yield _save(driver, out / "console-operating-point.png")
    pages = (
        ("/?span=5m", "console-fleet.png", _WIDE, False),
        ("/?span=5m", "console-fleet-dark.png", _WIDE, True),
        ("/devices/bench-1?span=5m", "console-device.png", _WIDE, False),
        ("/models", "console-models.png", _WIDE, False),
        ("/?span=5m", "console-phone.png", _PHONE, False),
    )
    for path, name, width, dark in pages:
        resize(driver, width, mobile=width == _PHONE)
        _theme(driver, dark=dark)
        driver.get(console + path)
        _settle(driver)
        yield _save(driver, out / name)


def _settle(driver: webdriver.Chrome) -> None:
    """Wait until the charts are drawn and a live page has had time for its first update."""
    ready = "return !!window.did_handshake && document.querySelectorAll('.chart svg').length > 0"
    wait(lambda: bool(driver.execute_script(ready)))
    time.sleep(1.5)


def _save(driver: webdriver.Chrome, path: Path) -> Path:
    """Save a screenshot of the whole page, at most 2,700 pixels high, and return its path."""
    height = driver.execute_script("return document.documentElement.scrollHeight")
    width = driver.execute_script("return window.innerWidth")
    resize(driver, int(width), min(int(height), _MOST_HEIGHT), mobile=width == _PHONE)
    time.sleep(0.5)
    driver.save_screenshot(str(path))
    return path


def _theme(driver: webdriver.Chrome, *, dark: bool) -> None:
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@contextmanager
def _device(
    ready: dict[str, Any], folder: Path, number: int, arguments: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        *(sys.executable, "-P", "-m", "nestling_device.cli", "run"),
        *("--cloud", ready["grpc"], "--broker", ready["broker"]),
        *("--state", str(folder / f"device-{number}")),
        *("--interval", str(_INTERVALS_S[number % len(_INTERVALS_S)]), *arguments),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
