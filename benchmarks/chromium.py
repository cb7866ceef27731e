"""Chromium for what looks at the console: benchmarks and pictures."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from nestling_cloud.temporary import temporary_folder

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
_PATIENCE_S = 60.0


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Start a browser with an empty profile and cache."""
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
    """Fill in the form of a console."""
    driver.get(f"{console}/login?next=/api")
    driver.find_element(By.ID, "password").send_keys(password)
    driver.find_element(By.TAG_NAME, "button").click()
    wait(lambda: bool(driver.find_elements(By.TAG_NAME, "h1")))


def wait(condition: Callable[[], bool]) -> None:
    """Poll until a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the page did not become what it should be")
        time.sleep(_POLL_S)
