"""The console over a store of 10,000 devices: how soon a page can be used, and does it freeze.

The same run measures the way of telemetry: the crowd reports through a real broker at one receipt
a device and second, ten to a message, while a browser watches the fleet's page.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from selenium import webdriver

from benchmarks.chromium import chromium, log_in, wait
from benchmarks.crowd import Device
from benchmarks.report import ROOT, Figure, figure, parse_arguments, publish, results
from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.store.device_registry import Report
from nestling_cloud.store.store import Delivery, Store, store_url
from nestling_cloud.tasks.wearable import TASK
from nestling_cloud.temporary import temporary_folder
from nestling_core.clock import unix_ms

_BATCH = 10
_HISTORY_MS = 3_600_000
_HISTORY_RECEIPTS = 12  # of each device, over that time
_DEVICES_A_COMMIT = 500
_WARM_LOADS = 5

_NOTE = """
`nestling-cloud serve` with a SQLite store of 10,000 devices, a Mosquitto of its own, and headless
Chromium, all on the machine below, which also plays the devices. A page is *usable* when its
connection stands, the table of devices has rows and the chart of routes is drawn; *cold* is the
first page of a browser with an empty cache, *warm* the mean over later ones. *Live* figures
come from the fleet's page while the crowd reports: the longest task on the browser's main thread,
and the longest time between two changes of the number of answers. As devices do, the crowd sends
again what is not acknowledged within 5 s. *Lost* is what was sent and is not in the store at the
end; the *lag* is how long it took from the last new message until everything was acknowledged.
"""
# Notes down when the page can be used, how long tasks take, and when the figure changed.
_WATCH = """
window.nestling = {usable: 0, tasks: [], changes: []};
new PerformanceObserver(list => {
  for (const task of list.getEntries()) window.nestling.tasks.push(task.duration);
}).observe({type: "longtask", buffered: true});
(function look() {
  const link = document.querySelector('[data-panel="devices"] tbody a[href]');
  const usable = window.did_handshake && link && link.textContent
    && document.querySelector('[data-panel="routes"] svg path');
  if (!usable) return void requestAnimationFrame(look);
  window.nestling.usable = performance.now();
  const figure = document.querySelector('[data-figure="answers"] .value');
  new MutationObserver(() => window.nestling.changes.push(performance.now()))
    .observe(figure, {childList: true, characterData: true, subtree: true});
})();
"""


@dataclass(frozen=True, kw_only=True)
class _Size:
    """How much is measured."""

    devices: int
    live_s: float


@dataclass(frozen=True, kw_only=True)
class _Cloud:
    """A cloud that is ready."""

    pid: int
    broker: str
    console: str
    password: str


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=1)
    size = _Size(devices=1000, live_s=10) if options.quick else _Size(devices=10_000, live_s=40)
    with temporary_folder(".nestling-bench-") as folder:
        figures = _measure(folder, size)
    publish(
        results("console", options, figures),
        options.json,
        title="The console over 10,000 devices",
        note=_NOTE,
        pictures={},
    )


def _measure(folder: Path, size: _Size) -> dict[str, Figure]:
    progress = ConsoleProgress(Console(stderr=True))
    cache = Path.home() / ".cache" / "nestling"
    bundle = trained_repository(
        TASK, TASK.load_checked(None, 0), seed=0, progress=progress, cache=cache
    )
    desired = Repository(bundle.folder).desired()
    assert desired is not None  # it was released
    database = folder / "receipts.sqlite"
    filled_s = _fill(database, size.devices, desired.bundle_version, progress)
    with _cloud(bundle.folder, database, folder / "state") as cloud, chromium() as driver:
        loads = _load_pages(driver, cloud)
        live = _live(driver, cloud, database, size, desired.bundle_version)
    history = size.devices * _HISTORY_RECEIPTS
    return {
        "devices in the store": figure([size.devices], ""),
        "receipts in the store at first": figure([history], ""),
        "filling, receipts a second": figure([history / filled_s], "/s"),
        **loads,
        **live,
    }


def _fill(database: Path, count: int, bundle_version: str, progress: ConsoleProgress) -> float:
    """Write a history of an hour; returns the seconds that the store took."""
    now_ms = unix_ms()
    step_ms = _HISTORY_MS // _HISTORY_RECEIPTS
    answered = [now_ms - _HISTORY_MS + step_ms * index for index in range(_HISTORY_RECEIPTS)]
    seconds = 0.0
    with Store(store_url(str(database))) as store:
        firsts = range(0, count, _DEVICES_A_COMMIT)
        for first in progress.track(firsts, len(firsts), f"{count} devices into the store"):
            numbers = range(first, min(first + _DEVICES_A_COMMIT, count))
            devices = [Device(number, bundle_version, "history") for number in numbers]
            deliveries = [Delivery(device=one.id, batch=one.batch(answered)) for one in devices]
            reports = [_report(one, bundle_version, now_ms) for one in devices]
            started = time.monotonic()
            store.add_all(deliveries, reports)
            seconds += time.monotonic() - started
    return seconds


def _report(device: Device, bundle_version: str, now_ms: int) -> Report:
    return Report(
        device=device.id,
        seen_ms=now_ms,
        online=False,
        profile="pi-5",
        bundle_version=bundle_version,
        capacity=device.capacity,
        battery=0.9,
        outbox_depth=0,
        offload_share=0.25,
    )


@contextmanager
def _cloud(repository: Path, database: Path, state: Path) -> Iterator[_Cloud]:
    command = [
        *(sys.executable, "-P", "-m", "nestling_cloud.cli", "serve", "--json"),
        *("--repository", str(repository), "--store", str(database), "--state", str(state)),
        *("--port", "0", "--broker-port", "0", "--console-port", "0"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield _Cloud(
                pid=process.pid,
                broker=ready["broker"],
                console=ready["console"],
                password=ready["console_password"],
            )
        finally:
            process.terminate()


def _load_pages(driver: webdriver.Chrome, cloud: _Cloud) -> dict[str, Figure]:
    log_in(driver, cloud.console, cloud.password)
    # The page after the login has loaded what all pages share: begin with an empty cache again.
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    cold_s = _usable_s(driver, cloud.console)
    warm_s = [_usable_s(driver, cloud.console) for _ in range(_WARM_LOADS)]
    heap = driver.execute_script("return performance.memory.usedJSHeapSize")
    return {
        "fleet page usable, cold": figure([cold_s], "s"),
        "fleet page usable, warm": figure(
            warm_s, "s", goal="<= 1.5", anchor="the most that feels like one step"
        ),
        "browser's heap": figure([heap / 1e6], "MB"),
        "cloud's memory": figure([_resident_bytes(cloud.pid) / 1e6], "MB"),
    }


def _usable_s(driver: webdriver.Chrome, console: str) -> float:
    driver.get(f"{console}/?span=1h")
    wait(lambda: bool(driver.execute_script("return window.nestling.usable")))
    return float(driver.execute_script("return window.nestling.usable")) / 1000


def _live(
    driver: webdriver.Chrome, cloud: _Cloud, database: Path, size: _Size, bundle_version: str
) -> dict[str, Figure]:
    before = _count(database)
    command = [
        *(sys.executable, "-m", "benchmarks.crowd", "--broker", cloud.broker),
        *("--devices", str(size.devices), "--seconds", str(size.live_s)),
        *("--batch", str(_BATCH), "--bundle", bundle_version),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as crowd:
        _next_line(crowd)  # all are born
        driver.execute_script("window.nestling.tasks = []; window.nestling.changes = [];")
        sent = _next_line(crowd)
        watched: dict[str, list[float]] = driver.execute_script("return window.nestling")
        settled = _next_line(crowd)
    stored = _count(database) - before
    return {
        "longest task on the main thread, live": figure(
            [max(watched["tasks"], default=0.0)], "ms", goal="<= 200", anchor="a freeze is felt"
        ),
        "longest wait for an update, live": figure(
            [_longest_gap_s(watched["changes"])], "s", goal="<= 3", anchor="one a second is asked"
        ),
        "updates of the page, live": figure(
            [len(watched["changes"]) / sent["seconds"]], "/s", goal="<= 1.1"
        ),
        "receipts sent": figure([sent["receipts"]], ""),
        "receipts sent a second": figure(
            [sent["receipts"] / sent["seconds"]], "/s", anchor=f"{size.devices} devices at 1 Hz"
        ),
        "receipts stored": figure([stored], ""),
        "receipts lost": figure([sent["receipts"] - stored], "", goal="== 0"),
        "messages sent again": figure([100 * settled["repeated_messages"] / sent["messages"]], "%"),
        "lag at the end": figure([settled["seconds"]], "s"),
        "cloud's memory after it": figure([_resident_bytes(cloud.pid) / 1e6], "MB"),
    }


def _next_line(crowd: "subprocess.Popen[str]") -> dict[str, Any]:
    assert crowd.stdout is not None
    mean_sd: dict[str, Any] = json.loads(crowd.stdout.readline())
    return mean_sd


def _count(database: Path) -> int:
    with Store(store_url(str(database))) as store:
        return store.count()


def _longest_gap_s(changes_ms: Sequence[float]) -> float:
    gaps = [later - earlier for earlier, later in itertools.pairwise(changes_ms)]
    return max(gaps, default=float("inf")) / 1000


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
