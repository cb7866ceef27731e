"""Audits, revised answers and guarantees on the pages and in the API of a real console."""

import csv
import io
from collections.abc import Iterator

import pytest

from nestling import sparkplug_metrics
from nestling.v1 import receipt_pb2
from nestling_cloud.store import device_registry
from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import Store, store_url
from nestling_core.clock import unix_ms
from tests.support.browser import DESKTOP, PHONE, Browser
from tests.support.console_fleet import Fleet, serving
from tests.support.receipts import make_follow_up, make_receipt

AUDITS, CHANGED, ANSWERS = 40, 4, 50
SINCE_MS = 1_700_000_000_000
ALARMS = sparkplug_metrics.GUARANTEE_ALARMS
FINGERPRINT = -(2**62) - 1


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: bytes) -> Iterator[Fleet]:
    """Run a cloud with the receipts and the reports of two devices in its store."""
    with serving(tmp_path_factory.mktemp("console"), tiny_teacher) as made:
        with Store(store_url(str(made.cloud.store))) as store:
            batch = receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=receipts(unix_ms()))
            lone = receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=[late(unix_ms())])
            deliveries = [
                Delivery(device="watch", batch=batch),
                Delivery(device="attic", batch=lone),
            ]
            store.add_all(deliveries, reports())
        yield made


def receipts(now_ms: int) -> Iterator[receipt_pb2.Receipt]:
    """Make 50 answers: 40 are audited, and two deferred inputs are answered later."""
    why = [receipt_pb2.FOLLOW_UP_AUDIT] * AUDITS + [receipt_pb2.FOLLOW_UP_DEFERRED] * 3
    why += [receipt_pb2.FOLLOW_UP_UNSPECIFIED] * (ANSWERS - len(why))
    firsts = [
        make_receipt(
            1 + index,
            answered_at_ms=now_ms - 60_000,
            follow_up=follow_up,
            fingerprint=FINGERPRINT + index,
        )
        for index, follow_up in enumerate(why)
    ]
    yield from firsts
    for index, first in enumerate(firsts[: AUDITS + 2]):
        audit = index < AUDITS
        yield make_follow_up(
            first,
            ANSWERS + 1 + index,
            reason=receipt_pb2.REASON_AUDITED if audit else receipt_pb2.REASON_DEFERRED,
            why=why[index],
            answer=1 if index < CHANGED else first.answer,
            answered_at_ms=now_ms - 30_000 + index,
        )


def late(now_ms: int) -> receipt_pb2.Receipt:
    """Make a follow-up whose first answer was given before the range of the pages."""
    return make_follow_up(
        make_receipt(answered_at_ms=now_ms - 7_200_000),
        reason=receipt_pb2.REASON_DEFERRED,
        why=receipt_pb2.FOLLOW_UP_DEFERRED,
        answered_at_ms=now_ms - 30_000,
    )


def reports() -> list[device_registry.Report]:
    values: dict[str, sparkplug_metrics.MetricValue] = {
        sparkplug_metrics.PENDING: 7,
        sparkplug_metrics.TOLERATED_RISK: 0.05,
        sparkplug_metrics.CAPACITY: 2,
    }
    guaranteed = {**values, sparkplug_metrics.GUARANTEED_SINCE: SINCE_MS}
    missing = {**values, sparkplug_metrics.INPUTS_TO_GO: 1200, ALARMS: 1}
    return [
        device_registry.report("watch", guaranteed, seen_ms=unix_ms()),
        device_registry.report("porch", missing, seen_ms=unix_ms()),
    ]


@pytest.fixture
def page(browser: Browser, fleet: Fleet) -> Iterator[Browser]:
    browser.resize(DESKTOP)
    browser.log_in(fleet.cloud.console, fleet.cloud.password)
    browser.complaints()
    yield browser
    assert browser.complaints() == []
    browser.driver.delete_all_cookies()


def beside(page: Browser, key: str) -> str:
    return page.text(f'[data-figure="{key}"] .beside')


def test_fleet_page_shows_audits_and_how_many_devices_are_guaranteed(
    page: Browser, fleet: Fleet
) -> None:
    page.open(f"{fleet.cloud.console}/?span=1h")
    page.wait(lambda: page.figure("answers") == str(ANSWERS))

    assert page.figure("agreement") == "90.0 %"
    assert beside(page, "agreement") == "95 % interval 76.3 % to 97.2 %, 40 audits"
    assert page.figure("deferred") == "3"
    assert beside(page, "deferred") == "3 answered later, 0 changed"
    assert page.figure("guaranteed") == "1 of 2"
    assert beside(page, "guaranteed").endswith("up to about 1 200 inputs to go; 1 with alarms")
    assert page.figure("cloud-share") == "0.0 %"
    devices = page.text('[data-panel="devices"]')
    assert "at most 5.0 %" in devices
    assert "5.0 %, 1 200 to go; 1 alarm" in devices


def test_device_page_shows_its_guarantee_and_marks_follow_ups(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/devices/watch?span=1h")
    page.wait(lambda: page.figure("answers") == str(ANSWERS))

    assert page.figure("guarantee") == "at most 5.0 %"
    assert beside(page, "guarantee") == "guaranteed since 2023-11-14 22:13:20 UTC"
    assert page.figure("pending") == "7"
    assert page.figure("agreement") == "90.0 %"
    heads = [head.text for head in page.all('[data-panel="answers"] th')]
    newest = [cell.text for cell in page.all('[data-panel="answers"] tbody tr:first-child td')]
    row = dict(zip(heads, newest, strict=True))
    assert (row["reason"], row["follow-up"]) == ("deferred", "deferred")


def test_device_page_shows_how_many_inputs_are_missing(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/devices/porch?span=1h")
    page.wait(lambda: page.figure("guarantee") == "5.0 %")

    assert beside(page, "guarantee") == "not certified, about 1 200 inputs to go; 1 alarm"
    assert page.figure("agreement") == "\u2013"


def test_operating_point_shows_the_audited_agreement_beside_the_calibration(
    page: Browser, fleet: Fleet
) -> None:
    page.open(f"{fleet.cloud.console}/operating-point?span=1h")
    page.wait(lambda: page.text('[data-fact="agreement"]') == "90.0 %")

    assert page.text('[data-fact="accuracy"]') == "60.0 %"
    target = page.text('[data-panel="target"]')
    assert "Agreement audited on the fleet" in target
    assert "Accuracy on calibration inputs" in target
    assert "measured on the fleet, last 1 h, on answers that devices kept by choice" in target
    assert "95 % interval 76.3 % to 97.2 %, 40 audits" in target
    assert "the agreement leans to hard periods" in target
    assert "calibration inputs when the bundle was built" in target
    page.open(f"{fleet.cloud.console}/operating-point?device=porch&span=1h")
    page.wait(lambda: "the target; no audits." in page.text('[data-panel="target"]'))
    assert "Agreement audited on this device" in page.text('[data-panel="target"]')
    assert page.text('[data-fact="agreement"]') == "\u2013"


def test_energy_of_follow_ups_without_answers_is_not_shown_per_answer(
    page: Browser, fleet: Fleet
) -> None:
    page.open(f"{fleet.cloud.console}/operating-point?device=attic&span=1h")
    page.wait(lambda: page.text('[data-fact="reported-accuracy"]') == "not known")

    assert page.text('[data-fact="reported-energy"]') == "\u2013"
    page.open(f"{fleet.cloud.console}/devices/attic?span=1h")
    page.wait(lambda: beside(page, "deferred") == "1 answered later, 0 changed")
    assert (page.figure("answers"), page.figure("energy")) == ("0", "\u2013")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("path", ["/", "/devices/watch", "/operating-point"])
def test_page_with_audits_fits_the_width(
    page: Browser, fleet: Fleet, size: tuple[int, int], path: str
) -> None:
    page.resize(size)
    page.open(f"{fleet.cloud.console}{path}?span=1h")
    key = '[data-fact="agreement"]' if path == "/operating-point" else '[data-figure="agreement"]'
    page.wait(lambda: "90.0" in page.text(key))

    widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    needed, there = page.driver.execute_script(widths)

    assert needed <= there


def test_api_has_audits_and_guarantees(fleet: Fleet) -> None:
    figures = fleet.get("fleet", span="1h").json()
    device = fleet.get("devices/watch", span="1h").json()

    assert (figures["tolerating"], figures["guaranteed"], figures["alarmed"]) == (2, 1, 1)
    assert (figures["guaranteed_since_ms"], figures["inputs_to_go"]) == (SINCE_MS, 1200)
    for found, revised in ((figures["totals"], 3), (device["totals"], 2)):
        assert (found["answers"], found["audited"], found["agreeing"]) == (ANSWERS, AUDITS, 36)
        assert found["agreement"] == pytest.approx(0.9)
        assert found["agreement_interval"] == pytest.approx([0.763, 0.972], abs=1e-3)
        counted = [found[key] for key in ("deferred", "revised", "changed", "expired")]
        assert counted == [3, revised, 0, 0]
    assert device["device"]["answers"] == ANSWERS
    assert device["device"]["pending"] == 7
    assert device["device"]["guaranteed_since_ms"] == SINCE_MS
    porch = fleet.get("devices", order_by="inputs_to_go").json()["devices"][0]
    assert (porch["device"], porch["guarantee_alarms"]) == ("porch", 1)
    assert [one["follow_up"] for one in device["answers"]].count("audit") == 2 * AUDITS


def test_csv_marks_follow_ups(fleet: Fleet) -> None:
    lines = read_csv(fleet, "receipts.csv", device="watch")
    latest = read_csv(fleet, "devices/watch/answers.csv")

    followed = {line["fingerprint"]: line for line in lines if not line["follows"]}
    follow_ups = [line for line in lines if line["follows"]]
    assert len(follow_ups) == AUDITS + 2
    assert {line["follow_up"] for line in follow_ups} == {"audit", "deferred"}
    for line in follow_ups:
        assert followed[line["follows"]]["input_index"] == line["input_index"]
    assert sum(bool(line["follows"]) for line in latest) == AUDITS + 2


def read_csv(fleet: Fleet, path: str, **query: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(fleet.get(path, span="1h", **query).text)))
