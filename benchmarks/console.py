"""Measure how responsive the console is with 10,000 devices in the store.

The same run measures telemetry: simulated devices report through a real broker while a browser
shows the fleet page. Every device makes one receipt per second, and sends a message after every ten
receipts.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from rich.console import Console
from selenium import webdriver

from benchmarks.chromium import chromium, log_in, resize, wait
from benchmarks.cloud_process import serve
from benchmarks.crowd.device import Device
from benchmarks.report import ROOT, Figure, figure, parse_arguments, publish
from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.store import tables
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.device_registry import Report
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.tasks.wearable import TASK
from nestling_cloud.temporary_files import temporary_folder
from nestling_core.clock import unix_ms

_BATCH = 10
_HISTORY_MS = 3_600_000
_HISTORY_RECEIPTS = 12  # of each device during the history
_DEVICES_PER_COMMIT = 500
_WARM_LOADS = 5

_NOTE = """
`nestling-cloud serve` with a SQLite store of 10,000 devices, a Mosquitto of its own, and headless
Chromium, all on the machine below, which also plays the devices. A page is *usable* when its
connection is open, the table of devices has rows and the chart of routes is drawn; *cold* is the
first page of a browser with an empty cache, *warm* the mean over later ones. *Live* figures come
from the fleet page while devices report: the longest task on the browser's main thread, and the
longest time between two changes of the number of answers. Like real devices, the simulated ones
repeat messages that are not acknowledged within 5 s. *Lost* receipts were sent and are not in the
store at the end; the *lag* is the time from the last new message until all are acknowledged.
"""
# Records when the page is usable, the duration of long tasks, and when the figure changes.
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


class _Size(NamedTuple):
    devices: int
    live_s: float


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=1)
    size = _Size(devices=1000, live_s=10) if options.quick else _Size(devices=10_000, live_s=40)
    with temporary_folder(".nestling-bench-") as folder:
        figures = _measure(folder, size)
    publish(
        "console", options, figures, title="The console over 10,000 devices", note=_NOTE, charts={}
    )


def _measure(folder: Path, size: _Size) -> dict[str, Figure]:
    progress = ConsoleProgress(Console(stderr=True))
    cache = Path.home() / ".cache" / "nestling"
    bundle = trained_repository(
        TASK, TASK.load_checked(None, 0), seed=0, progress=progress, cache=cache
    )
    desired = Repository(bundle).desired()
    assert desired is not None  # a trained repository has a release
    database = folder / "receipts.sqlite"
    filled_s = _fill(database, size.devices, desired.bundle_version, progress)
    flags = ("--store", str(database), "--console-port", "0")
    with serve(bundle, folder / "state", *flags) as cloud, chromium() as driver:
        loads = _load_pages(driver, cloud)
        live = _live(driver, cloud, database, size, desired.bundle_version)
    history = size.devices * _HISTORY_RECEIPTS
    return {
        "devices in the store": figure([size.devices]),
        "receipts in the store before the live run": figure([history]),
        "receipts stored per second, filling": figure([history / filled_s], "/s"),
        **loads,
        **live,
    }


def _fill(database: Path, count: int, bundle_version: str, progress: ConsoleProgress) -> float:
    """Store 12 receipts of the last hour for each device, and return how many seconds this took.

    The time for creating the receipts is not included.
    """
    now_ms = unix_ms()
    step_ms = _HISTORY_MS // _HISTORY_RECEIPTS
    answered = [now_ms - _HISTORY_MS + step_ms * index for index in range(_HISTORY_RECEIPTS)]
    seconds = 0.0
    with Store(store_url(str(database))) as store:
        firsts = range(0, count, _DEVICES_PER_COMMIT)
        for first in progress.track(firsts, len(firsts), f"{count} devices into the store"):
            numbers = range(first, min(first + _DEVICES_PER_COMMIT, count))
            devices = [Device(number, bundle_version, "history") for number in numbers]
            deliveries = [Delivery(device=d.id, batch=d.batch(answered)) for d in devices]
            reports = [_report(device, bundle_version, now_ms) for device in devices]
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


def _load_pages(driver: webdriver.Chrome, cloud: Mapping[str, Any]) -> dict[str, Figure]:
    log_in(driver, cloud["console"], cloud["console_password"])
    # The page after the login has loaded files that all pages share.
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
    resize(driver, 1440)
    cold_s = _usable_s(driver, cloud["console"])
    warm_s = [_usable_s(driver, cloud["console"]) for _ in range(_WARM_LOADS)]
    heap = driver.execute_script("return performance.memory.usedJSHeapSize")
    return {
        "fleet page usable, cold": figure([cold_s], "s"),
        "fleet page usable, warm": figure(
            warm_s, "s", goal="<= 1.5", anchor="longer feels like a wait"
        ),
        "browser's heap": figure([heap / 1e6], "MB"),
        "cloud's memory": figure([_resident_bytes(cloud["pid"]) / 1e6], "MB"),
    }


def _usable_s(driver: webdriver.Chrome, console: str) -> float:
    driver.get(f"{console}/?span=1h")
    wait(lambda: bool(driver.execute_script("return window.nestling.usable")))
    return float(driver.execute_script("return window.nestling.usable")) / 1000


def _live(
    driver: webdriver.Chrome,
    cloud: Mapping[str, Any],
    database: Path,
    size: _Size,
    bundle_version: str,
) -> dict[str, Figure]:
    before = _count(database)
    command = [
        *(sys.executable, "-m", "benchmarks.crowd", "--broker", cloud["broker"]),
        *("--devices", str(size.devices), "--seconds", str(size.live_s)),
        *("--batch", str(_BATCH), "--bundle", bundle_version),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as crowd:
        _next_line(crowd)  # all births are sent
        driver.execute_script("window.nestling.tasks = []; window.nestling.changes = [];")
        sent = _next_line(crowd)
        watched: dict[str, list[float]] = driver.execute_script("return window.nestling")
        settled = _next_line(crowd)
    stored = _count(database) - before
    return {
        "longest task on the main thread, live": figure(
            [max(watched["tasks"], default=0.0)],
            "ms",
            goal="<= 200",
            anchor="longer is felt as a freeze",
        ),
        "longest wait for an update, live": figure(
            [_longest_gap_s(watched["changes"])],
            "s",
            goal="<= 3",
            anchor="the page updates once a second",
        ),
        "updates of the page, live": figure(
            [len(watched["changes"]) / sent["seconds"]], "/s", goal="<= 1.1"
        ),
        "receipts sent": figure([sent["receipts"]]),
        "receipts sent per second": figure(
            [sent["receipts"] / sent["seconds"]], "/s", anchor=f"{size.devices} devices at 1 Hz"
        ),
        "receipts stored": figure([stored]),
        "receipts lost": figure([sent["receipts"] - stored], goal="== 0"),
        "messages repeated": figure([100 * settled["repeated_messages"] / sent["messages"]], "%"),
        "lag at the end": figure([settled["seconds"]], "s"),
        "cloud's memory after the live run": figure([_resident_bytes(cloud["pid"]) / 1e6], "MB"),
    }


def _next_line(crowd: "subprocess.Popen[str]") -> dict[str, Any]:
    assert crowd.stdout is not None
    event: dict[str, Any] = json.loads(crowd.stdout.readline())
    return event


def _count(database: Path) -> int:
    with Store(store_url(str(database))) as store, store.reading() as connection:
        answers = sa.select(sa.func.sum(tables.DEVICES.c.answers))
        return int(connection.execute(answers).scalar_one())


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
