"""Drives headless Chromium for the benchmarks and screenshots of the console."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from nestling_cloud.temporary_files import temporary_folder

_DRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_POLL_S = 0.05
_TIMEOUT_S = 60.0


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Run a browser with an empty profile and cache during the block."""
    with temporary_folder(".nestling-bench-") as profile:
        options = webdriver.ChromeOptions()
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(_DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def log_in(driver: webdriver.Chrome, console: str, password: str) -> None:
    """Log in to a console.

    Args:
        driver: the browser.
        console: the URL of the console.
        password: the password of the console.
    """
    driver.get(f"{console}/login?next=/api")
    driver.find_element(By.ID, "password").send_keys(password)
    driver.find_element(By.TAG_NAME, "button").click()
    wait(lambda: bool(driver.find_elements(By.TAG_NAME, "h1")))


def resize(
    driver: webdriver.Chrome, width: int, height: int = 900, *, mobile: bool = False
) -> None:
    """Set the size of the browser's viewport.

    Args:
        driver: the browser.
        width: the width in CSS pixels.
        height: the height in CSS pixels.
        mobile: whether the browser behaves like a phone's browser.
    """
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile},
    )


def wait(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true, by polling.

    Raises:
        TimeoutError: the condition did not become true within 60 s.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the page was not ready after {_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)
