"""The console in a real browser, with a real cloud and a real device."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nestling_cloud import cli
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.control.targets import Targets
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.mqtt.broker_process import start_broker
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.store.time_range import TimeRange
from tests.support.browser import DESKTOP, PHONE, Browser
from tests.support.cloud_process import Cloud
from tests.support.console_fleet import Fleet, serving
from tests.support.device_process import DeviceProcess
from tests.support.enrolled import TLS
from tests.support.hand_bundle import hand_release
from tests.support.processes import until

ANSWERS = 24
EVER = TimeRange(since_ms=0, until_ms=2**52)
PATHS = ("/", "/devices/watch", "/models", "/operating-point", "/rounds", "/api")

# Controls and pictures without an accessible name.
_UNNAMED = """return [...document.querySelectorAll("button, input, a, [role=img]")]
    .filter(e => e.checkVisibility())
    .filter(e => !(e.innerText || e.getAttribute("aria-label") || e.labels?.length))
    .map(e => e.outerHTML)"""

# Elements that scroll sideways without a visible sign at their edge.
_CUT_WITHOUT_A_SIGN = """return [...document.querySelectorAll("*")]
    .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
    .filter(e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
    .filter(e => !getComputedStyle(e).backgroundImage.includes("gradient"))
    .map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: bytes) -> Iterator[Fleet]:
    """Run a cloud whose one device has answered `ANSWERS` inputs, all of them stored."""
    folder = tmp_path_factory.mktemp("console")
    with serving(folder, tiny_teacher) as made:
        _answer(made.cloud, folder, made)
        yield made


def _answer(cloud: Cloud, folder: Path, fleet: Fleet) -> None:
    arguments = (
        *("--id", "watch", "--count", str(ANSWERS)),
        *("--offload-share", "0.5", "--interval", "0.02"),
    )
    with DeviceProcess(
        folder / "device", cloud=cloud.grpc, broker=str(cloud.broker), arguments=arguments
    ) as device:
        assert device.end() == 0, device.stderr
    until(lambda: fleet.get("fleet").json()["totals"]["answers"] == ANSWERS)


@pytest.fixture
def page(browser: Browser, fleet: Fleet) -> Iterator[Browser]:
    """Log a browser in; errors in it, or requests to other machines, fail the test."""
    browser.resize(DESKTOP)
    browser.log_in(fleet.cloud.console, fleet.cloud.password)
    browser.complaints()
    browser.requested()
    yield browser
    assert browser.complaints() == []
    outside = {url for url in browser.requested() if not _own(url, fleet.cloud.console)}
    assert outside == set()
    browser.driver.delete_all_cookies()


def _own(url: str, console: str) -> bool:
    return url.replace("ws://", "http://").startswith(console + "/")


def test_figures_on_the_fleet_page_match_the_store(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/?span=1h")
    page.wait(lambda: page.figure("answers") == str(ANSWERS))

    with Store(store_url(str(fleet.cloud.store))) as store:
        rows = list(store.receipts())
    by_cloud = sum(row.route == "cloud" for row in rows)
    assert 0 < by_cloud < ANSWERS
    assert page.figure("answering") == "1"
    assert page.figure("cloud-share") == f"{100 * by_cloud / ANSWERS:.1f} %"
    spent_mj = sum(row.energy_compute_mj + row.energy_radio_mj for row in rows)
    mean_mj = spent_mj / ANSWERS
    number, unit = (mean_mj, "mJ") if mean_mj >= 1 else (1000 * mean_mj, "µJ")
    assert page.figure("energy") == f"{number:#.3g}".rstrip(".") + f" {unit}"
    assert page.text('[data-figure="energy"] .beside') == "modelled"


def test_first_line_of_a_page_reports_that_no_device_is_connected(
    page: Browser, fleet: Fleet
) -> None:
    page.open(f"{fleet.cloud.console}/?span=1h")
    page.wait(lambda: page.figure("answering") == "1")

    findings = page.text("[data-panel='findings']")
    assert findings.startswith("Not working: No device is connected. Last message: ")
    assert page.text(".main").startswith(findings)
    assert page.figure("connected") == "0"
    assert page.text('[data-figure="connected"] .beside') == "of 1 known devices"
    assert page.text('[data-figure="answering"] .beside') == "of 1 known devices, last 1 h"
    assert page.all(".dot.on") == []
    page.open(f"{fleet.cloud.console}/devices/watch")
    page.wait(lambda: "This device is not connected" in page.text("[data-panel='findings']"))


@pytest.mark.parametrize("path", PATHS)
def test_every_page_reports_problems(page: Browser, fleet: Fleet, path: str) -> None:
    page.open(fleet.cloud.console + path)

    page.wait(
        lambda: (
            "is not connected" in page.text("[data-panel='findings']")
            or "No device is connected" in page.text("[data-panel='findings']")
        )
    )


def test_page_reports_that_it_is_not_live_when_the_cloud_is_gone(
    browser: Browser, tiny_teacher: bytes, tmp_path: Path
) -> None:
    browser.resize(DESKTOP)
    with serving(tmp_path, tiny_teacher) as fleet:
        browser.log_in(fleet.cloud.console, fleet.cloud.password)
        browser.open(fleet.cloud.console + "/")
        browser.wait(lambda: browser.all("#beat[data-beat]"))
        assert browser.text("#not-live") == ""

        fleet.cloud.process.kill()

        browser.wait(lambda: browser.text("#not-live").startswith("This page is not live"))
    browser.complaints()  # discards the refused connections that this test causes


def test_cloud_that_lost_its_broker_shows_no_device_as_connected(
    tiny_teacher: bytes, tmp_path: Path
) -> None:
    with start_broker() as broker:
        address = f"{broker.host}:{broker.port}"
        with (
            serving(tmp_path, tiny_teacher, "--broker", address) as fleet,
            DeviceProcess(
                tmp_path / "device",
                cloud=fleet.cloud.grpc,
                broker=address,
                arguments=("--id", "watch", "--interval", "0.05"),
            ),
        ):
            until(lambda: fleet.get("fleet").json()["online"] == 1)
            assert fleet.get("devices/watch/health").json() == {"findings": []}

            broker.close()

            until(lambda: "no connection to the broker" in fleet.get("health").text)
            assert fleet.get("health").json()["findings"][0]["severity"] == "fault"
            assert fleet.get("fleet").json()["online"] == 0
            assert fleet.get("devices").json()["devices"][0]["online"] is False
            (tmp_path / "repository" / "desired.binpb").write_bytes(b"\xff")
            until(lambda: "There is no bundle" in fleet.get("health").text)


def test_chart_has_its_data_table_and_the_same_figures_as_csv(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/?span=1h")
    page.find('[data-panel="routes"] summary').click()
    page.wait(lambda: page.all('[data-panel="routes"] tbody tr'))

    heads = [head.text for head in page.all('[data-panel="routes"] th')]
    link = page.find('[data-panel="routes"] a')
    asked = str(link.get_attribute("href")).split("/api/v1/")[1]
    lines = list(csv.DictReader(io.StringIO(fleet.get(asked).text)))

    assert heads[0] == "start, UTC"
    assert {"cloud", "fallbacks"} <= set(heads)
    counted = sum(int(line[key]) for line in lines for key in line if key.startswith("answers_"))
    assert counted == ANSWERS


def test_device_page_opens_from_the_table(page: Browser, fleet: Fleet) -> None:
    page.find('[data-panel="devices"] tbody a').click()
    page.wait(lambda: page.text("h1") == "watch")
    page.wait(lambda: page.figure("answers") == str(ANSWERS))

    row = fleet.get("devices/watch").json()["device"]
    assert page.figure("bundle") == row["bundle_version"]
    assert page.figure("capacity") == str(row["capacity"])
    assert row["drifting"] in (True, False)
    assert page.figure("inputs") == ("drifting" if row["drifting"] else "none")
    assert page.text('[data-panel="answers"] tbody tr td:nth-child(2)') == str(ANSWERS - 1)


def test_operating_point_set_by_keyboard_is_stored(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/operating-point?device=watch")
    slider = page.find("#share")
    page.wait(lambda: page.text("output") not in ("", "\u2013"))
    first = int(slider.get_attribute("value"))

    slider.send_keys("\ue014" * 20)  # arrow right
    page.wait(lambda: page.text("output") == f"{first + 20}.0 %")
    page.find("#apply").click()
    page.wait(lambda: page.text('[data-fact="target"]') == f"{first + 20}.0 %")

    with Store(store_url(str(fleet.cloud.store))) as store:
        targets = Targets(store)
        assert targets.for_device("watch") == pytest.approx((first + 20) / 100)
        assert targets.for_device(None) is None
        assert targets.log(limit=1)[0].set_by == "console"
    page.find("#take-back").click()
    page.wait(lambda: page.text('[data-fact="target"]') == "their own setting")


def test_routes_follow_the_operating_point(
    browser: Browser, tiny_teacher: bytes, tmp_path: Path
) -> None:
    arguments = ("--id", "follower", "--offload-share", "0", "--interval", "0.05")
    browser.resize(DESKTOP)
    with (
        serving(tmp_path, tiny_teacher) as fleet,
        DeviceProcess(
            tmp_path / "device",
            cloud=fleet.cloud.grpc,
            broker=str(fleet.cloud.broker),
            arguments=arguments,
        ) as device,
    ):
        until(lambda: fleet.get("devices/follower").status_code == 200)
        assert {answer["route"] for answer in device.take(5)} == {"capacity-3"}
        browser.log_in(fleet.cloud.console, fleet.cloud.password)
        browser.open(f"{fleet.cloud.console}/operating-point?device=follower")
        browser.find("#share").send_keys("\ue010")  # to the end: everything to the cloud
        browser.wait(lambda: browser.text("output") == "100.0 %")
        browser.find("#apply").click()

        device.take_until_route("cloud")
        browser.wait(lambda: browser.text('[data-fact="in-force"]') == "100.0 %")
        browser.wait(lambda: browser.text('[data-fact="observed"]').startswith("100.0 % of"))
        assert "device:" in _hard_input(browser, fleet)


def _hard_input(browser: Browser, fleet: Fleet) -> str:
    """Return the text beside an offloaded input on the device's page."""
    browser.open(f"{fleet.cloud.console}/devices/follower")
    browser.find('[data-panel="hard-inputs"] .waveform')
    return browser.text('[data-panel="hard-inputs"] .verdict')


def test_open_device_page_shows_a_new_release(
    browser: Browser, tiny_teacher: bytes, tmp_path: Path
) -> None:
    browser.resize(DESKTOP)
    with serving(tmp_path, tiny_teacher) as fleet:
        _answer(fleet.cloud, tmp_path, fleet)
        browser.log_in(fleet.cloud.console, fleet.cloud.password)
        browser.open(f"{fleet.cloud.console}/devices/watch")
        beside = '[data-figure="bundle"] .beside'
        browser.wait(lambda: browser.text(beside) == "up to date")

        version = hand_release(Repository(tmp_path / "repository"), release=2)

        browser.wait(lambda: browser.text(beside) == f"should run {version}")


def test_expected_accuracy_follows_the_slider(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/operating-point")
    page.find("#share").send_keys("\ue011")  # to the start: capacities alone
    page.wait(lambda: page.text('[data-fact="accuracy"]') == "60.0 %")
    assert "J modelled" in page.text('[data-fact="energy"]')

    page.find("#share").send_keys("\ue010")  # to the end

    page.wait(lambda: page.text("output") == "100.0 %")
    page.wait(lambda: page.text('[data-fact="accuracy"]') == "90.0 %")


def test_operating_point_shows_where_its_figures_were_measured(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/operating-point?span=1h")
    page.wait(lambda: page.text('[data-fact="reported-share"]').endswith(f"of {ANSWERS} answers"))

    reported = page.text('[data-fact="reported-energy"]')
    target = page.text('[data-panel="target"]')
    assert "Accuracy on calibration inputs" in target
    assert "calibration inputs when the bundle was built" in target
    assert "Reported by the fleet, last 1 h" in page.text('[data-panel="reported"] h2')
    assert "expected by the devices" in page.text('[data-fact="reported-accuracy"]')
    assert "calibration" not in page.text('[data-panel="reported"]')
    assert "keeps it over 500 inputs" in page.text('[data-panel="state"]')
    assert "window of 0" in page.text('[data-panel="state"]')
    page.open(f"{fleet.cloud.console}/?span=1h")
    page.wait(lambda: page.figure("answers") == str(ANSWERS))
    assert reported == f"{page.figure('energy')} modelled"


def test_models_page_notes_that_accuracies_are_not_the_fleets(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/models")

    page.wait(lambda: "accuracy, calibration" in page.text('[data-panel="capacities"] thead'))
    assert "not on this fleet" in page.text('[data-panel="capacities"] .note')
    assert "Not this fleet's accuracy" in page.text('[data-panel="curves"] .note')


def test_models_page_says_how_the_bundle_routes(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/models")

    page.wait(lambda: "stream filter: none" in page.text('[data-panel="routing"]'))


@pytest.mark.parametrize("path", PATHS)
def test_elements_wider_than_a_phone_show_that_they_scroll(
    page: Browser, fleet: Fleet, path: str
) -> None:
    page.resize(PHONE)

    page.open(fleet.cloud.console + path)
    page.find("h1")

    assert page.driver.execute_script(_CUT_WITHOUT_A_SIGN) == []


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("path", PATHS)
def test_page_fits_the_width(page: Browser, fleet: Fleet, size: tuple[int, int], path: str) -> None:
    page.resize(size)

    page.open(fleet.cloud.console + path)
    page.find("h1")

    widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    needed, there = page.driver.execute_script(widths)
    assert needed <= there
    assert page.driver.execute_script(_UNNAMED) == []


def test_search_without_results_shows_a_note(page: Browser) -> None:
    page.find('[data-panel="devices"] input').send_keys("no-such-device")

    page.wait(lambda: page.text('[data-panel="devices"] .note') == "no devices found")


def test_page_of_an_unknown_device_shows_how_to_start_it(page: Browser, fleet: Fleet) -> None:
    page.open(f"{fleet.cloud.console}/devices/nobody")

    page.wait(lambda: "nestling-device run" in page.text(".empty code"))


def test_empty_fleet_of_a_cloud_with_tls_shows_how_to_enrol_a_device(
    browser: Browser, tiny_teacher: bytes, tmp_path: Path
) -> None:
    with serving(tmp_path, tiny_teacher, *TLS) as fleet:
        browser.log_in(fleet.cloud.console, fleet.cloud.password)
        browser.open(fleet.cloud.console + "/")

        browser.wait(lambda: browser.text(".empty code") == "nestling-cloud device add NAME")


def test_live_page_redirects_to_the_login_when_its_session_ends(
    browser: Browser, fleet: Fleet
) -> None:
    browser.log_in(fleet.cloud.console, fleet.cloud.password)
    browser.open(fleet.cloud.console + "/")
    browser.find('[data-panel="devices"]')
    (cookie,) = [one for one in browser.driver.get_cookies() if one["name"] == "nestling_session"]
    headers = {"Origin": fleet.cloud.console}

    httpx.post(
        f"{fleet.cloud.console}/logout", headers=headers, cookies={cookie["name"]: cookie["value"]}
    )

    browser.find("#password")
    browser.complaints()  # discards the refused connections that this test causes


def test_api_and_store_give_the_same_figures(fleet: Fleet) -> None:
    figures = fleet.get("fleet", since_ms=EVER.since_ms, until_ms=EVER.until_ms).json()

    with Store(store_url(str(fleet.cloud.store))) as store:
        view = MetricQueries(store).fleet(EVER)
    assert figures["known"] == view.known == 1
    assert figures["totals"]["answers"] == view.totals.answers == ANSWERS
    assert {one["route"]: one["answers"] for one in figures["totals"]["routes"]} == {
        one.route: one.answers for one in view.totals.routes
    }
    assert 0 < figures["totals"]["device_accuracy"] <= 1
    assert figures["totals"]["device_accuracy"] == pytest.approx(view.totals.device_accuracy)
    assert sum(one["energy_mj"] for one in figures["totals"]["energy"]) == pytest.approx(
        sum(one.energy_mj for one in view.totals.energy)
    )


def test_receipts_are_exported_as_csv_one_line_each(fleet: Fleet) -> None:
    lines = list(csv.DictReader(io.StringIO(fleet.get("receipts.csv", span="all").text)))

    assert sorted(int(line["input_index"]) for line in lines) == list(range(ANSWERS))
    assert {line["device"] for line in lines} == {"watch"}
    assert all(len(line["success"].split()) == 4 for line in lines)
    assert all(0 < float(line["device_confidence"]) <= 1 for line in lines)


@pytest.mark.parametrize("chart", ["routes", "energy", "latency", "energy-by-route", "savings"])
@pytest.mark.parametrize("of", ["fleet", "devices/watch"])
def test_every_chart_has_a_csv(fleet: Fleet, of: str, chart: str) -> None:
    response = fleet.get(f"{of}/{chart}.csv", span="1h")

    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(list(csv.DictReader(io.StringIO(response.text)))) >= 1


def test_put_sets_the_fleets_operating_point_and_records_who_did(fleet: Fleet) -> None:
    answer = fleet.put("operating-point", {"offload_share": 0.3}).json()

    assert answer["target_share"] == pytest.approx(0.3)
    assert answer["set_by"] == "token test"
    assert fleet.get("devices").json()["devices"][0]["target_share"] == pytest.approx(0.3)
    assert fleet.put("operating-point", {"offload_share": None}).json()["target_share"] is None


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("devices/nobody", 404, "/api/v1/devices lists"),
        ("fleet/nothing.csv", 404, "available charts: routes"),
        ("fleet?span=2h", 422, "span"),
        ("fleet?since_ms=5&until_ms=5", 422, "not before"),
        ("fleet?since_ms=x", 422, "since_ms"),
        ("devices?order_by=x", 422, "use one of device"),
        ("devices?limit=0", 422, "limit"),
        (f"devices?offset={2**63}", 422, "offset"),
        ("nothing", 404, "openapi.json"),
    ],
)
def test_errors_are_problem_documents_with_advice(
    fleet: Fleet, path: str, status: int, message: str
) -> None:
    response = fleet.get(path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert message in response.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"offload_share": 1.5},
        {"offload_share": -0.1},
        {"offload_share": "x"},
        {"offload_share": "0.3"},
        {"offload_share": True},
        {"offload_share": [0.3]},
        {"offload_share": 0.3, "device": "watch"},
        {},
        None,
        0.3,
    ],
)
def test_invalid_share_is_rejected_and_changes_nothing(fleet: Fleet, body: Any) -> None:
    before = fleet.get("operating-point").json()["target_share"]

    assert fleet.put("operating-point", body).status_code == 422
    assert fleet.put("devices/a%20b/operating-point", {"offload_share": 0.1}).status_code == 422
    assert fleet.get("operating-point").json()["target_share"] == before


def test_openapi_describes_every_path_and_its_errors(fleet: Fleet) -> None:
    described = fleet.get("openapi.json").json()

    assert described["openapi"].startswith("3.")
    assert {"/api/v1/fleet", "/api/v1/operating-point", "/api/v1/receipts.csv"} <= set(
        described["paths"]
    )
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert "401" in operation["responses"]
            for status, response in operation["responses"].items():
                problem = int(status) >= 400
                assert (list(response["content"]) == ["application/problem+json"]) == problem


def test_openapi_describes_csv_and_allowed_values(fleet: Fleet) -> None:
    described = fleet.get("openapi.json").json()

    for path, methods in described["paths"].items():
        content = methods["get"]["responses"]["200"]["content"]
        if path.endswith("/content"):
            assert list(content) == ["image/png", "application/octet-stream"]
        else:
            assert list(content) == ["text/csv" if path.endswith(".csv") else "application/json"]
    asked = {one["name"]: one["schema"] for one in _parameters(described, "/api/v1/devices")}
    assert asked["order_by"]["enum"] == list(fleet.get("devices").json()["devices"][0])
    charts = {one["name"]: one for one in _parameters(described, "/api/v1/fleet/{chart}.csv")}
    assert "bundles" in charts["chart"]["schema"]["enum"]
    assert described["components"]["schemas"]["TargetMessage"]["additionalProperties"] is False


def _parameters(described: dict[str, Any], path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = described["paths"][path]["get"]["parameters"]
    return found


def test_wrong_method_is_answered_with_the_allowed_ones(fleet: Fleet) -> None:
    response = fleet.put("fleet", {})

    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert response.headers["content-type"] == "application/problem+json"
    assert "allowed: GET" in response.json()["detail"]
    assert fleet.put("nothing", {}).status_code == 404


def test_nan_as_a_share_is_rejected(fleet: Fleet) -> None:
    response = fleet.put_text("operating-point", '{"offload_share": NaN}')

    assert response.status_code == 422


def test_models_have_capacities_and_curves(fleet: Fleet) -> None:
    models = fleet.get("models").json()

    assert [one["capacity"] for one in models["bundle"]["capacities"]] == [1, 2, 3]
    assert [point["offload_share"] for point in models["curves"][0]] == [0.0, 0.5, 1.0]
    assert [route["useful_share"] for route in models["routing"]["routes"]] == [None] * 3
    lines = list(csv.DictReader(io.StringIO(fleet.get("models/curves.csv").text)))
    assert len(lines) == 9


def test_models_have_the_forms_in_which_inputs_are_sent(fleet: Fleet) -> None:
    shown = fleet.get("models").json()["bundle"]["wire_forms"]
    lines = list(csv.DictReader(io.StringIO(fleet.get("models/wire-forms.csv").text)))

    assert [(form["name"], form["used"]) for form in shown] == [("fp32", True), ("fp16", False)]
    assert [(line["name"], line["payload_bytes"]) for line in lines] == [
        ("fp32", "24.0"),
        ("fp16", "12.0"),
    ]


def test_wrong_use_of_the_command_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(["console", "token"])

    assert exited.value.code == 2
    assert "usage: nestling-cloud console token" in capsys.readouterr().err
