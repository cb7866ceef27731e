"""Drives a real Chromium that makes no requests of its own."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.processes import DEADLINE_S

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
)
PHONE = (390, 844)
DESKTOP = (1440, 900)


class Browser:
    """One browser window, with its requests and its console messages."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Open an address."""
        self.driver.get(url)

    def log_in(self, console: str, password: str) -> None:
        """Log in to a console through its form.

        Args:
            console: address of the console.
            password: its password.
        """
        self.open(f"{console}/login")
        self.find("#password").send_keys(password)
        self.find("form button").click()
        self.wait(lambda: self.all("[data-panel], .empty"))

    def find(self, selector: str) -> Any:
        """Wait for an element and return the first one."""
        return self.wait(lambda: self.all(selector))[0]

    def all(self, selector: str) -> list[Any]:
        """Return the elements that exist now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the text of the first element, "" without one; all white space becomes a space."""
        script = "const e = document.querySelector(arguments[0]); return e ? e.innerText : '';"
        return " ".join(str(self.driver.execute_script(script, selector)).split())

    def figure(self, key: str) -> str:
        """Return the value shown in a tile."""
        return self.text(f'[data-figure="{key}"] .value')

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Poll until a condition returns something true, and return that."""
        return WebDriverWait(self.driver, DEADLINE_S, 0.05).until(lambda _: condition())

    def resize(self, size: tuple[int, int]) -> None:
        """Change the width and height of the page."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600},
        )

    def complaints(self) -> list[str]:
        """Return the warnings and errors of the browser console since the last call."""
        return [
            entry["message"]
            for entry in self._log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]

    def requested(self) -> set[str]:
        """Return the addresses requested since the last call, websockets included."""
        urls = set()
        for entry in self._log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                urls.add(event["params"]["request"]["url"])
            if event["method"] == "Network.webSocketCreated":
                urls.add(event["params"]["url"])
        return {url for url in urls if not url.startswith(("data:", "blob:", "chrome:", "about:"))}

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@contextmanager
def chromium(driver_program: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile.

    Args:
        driver_program: path of chromedriver.
    """
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        logs = {"browser": "ALL", "performance": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        driver = webdriver.Chrome(options=options, service=Service(str(driver_program)))
        try:
            driver.set_page_load_timeout(DEADLINE_S)
            yield Browser(driver)
        finally:
            driver.quit()
