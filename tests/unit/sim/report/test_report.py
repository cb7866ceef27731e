import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from nestling_cloud.palette import COLOURS, capacity_colours
from nestling_sim.report import (
    Evidence,
    accuracy_picture,
    as_png,
    as_svg,
    capacity_picture,
    energy_picture,
    report_page,
    routes_picture,
    summary_table,
)
from nestling_sim.report.evidence import tally
from nestling_sim.report.pictures import MOST_DEVICES
from nestling_sim.report.tables import accuracy_by_share, devices, routes_by_device, significant

PICTURES = [accuracy_picture, capacity_picture, energy_picture, routes_picture]
Draw = Callable[[Evidence], Figure]


class _Page(HTMLParser):
    """Collects the visible text, the URLs that would be fetched, the ids and the tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "srcset", "data"}:
                self.fetched.append(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def shown(figure: Figure) -> str:
    return " ".join(ET.fromstring(as_svg(figure)).itertext())  # noqa: S314  our own picture


def test_tally_counts_routes_fallbacks_switches_and_outage_of_each_device(
    evidence: Evidence,
) -> None:
    counted = {one.device: one for one in tally(evidence)}

    squeezed = counted["pi-5-1"]
    assert [row.input_index for row in squeezed.rows] == list(range(120))
    assert squeezed.switches == 2
    assert squeezed.cut_off == 18
    assert sum(squeezed.routes.values()) == 120
    assert sum(one.fallbacks for one in counted.values()) == evidence.summary["fallbacks"]


def test_devices_are_in_natural_order(evidence: Evidence) -> None:
    ten = replace(evidence.receipts[0], device="pi-4b-10")
    two = replace(evidence.receipts[0], device="pi-4b-2")

    assert [one.device for one in tally(replace(evidence, receipts=[ten, two]))] == [
        "pi-4b-2",
        "pi-4b-10",
    ]


@pytest.mark.parametrize("draw", PICTURES)
def test_picture_renders_as_png_and_as_reproducible_svg(evidence: Evidence, draw: Draw) -> None:
    assert as_svg(draw(evidence)) == as_svg(draw(evidence))
    assert as_png(draw(evidence)).startswith(b"\x89PNG")


def test_accuracy_picture_names_every_router_and_the_run(evidence: Evidence) -> None:
    shown_text = shown(accuracy_picture(evidence))

    for name in [*evidence.curves, "this run"]:
        assert name in shown_text


def test_accuracy_picture_draws_the_run_at_its_share_and_accuracy(evidence: Evidence) -> None:
    lines = {line.get_label(): line for line in accuracy_picture(evidence).axes[0].lines}

    point = lines["this run"]
    assert [evidence.summary["offload_share"]] == list(point.get_xdata())  # type: ignore[arg-type]
    assert list(point.get_ydata()) == [0.862]  # type: ignore[arg-type]


def test_energy_picture_shows_totals_and_provenance(evidence: Evidence) -> None:
    shown_text = shown(energy_picture(evidence)).replace("\u00a0", " ")

    for text in ("device only", "hybrid", "cloud only", "modelled", "36.0 mJ", "88.7 mJ"):
        assert text in shown_text


def test_capacity_picture_has_a_plot_for_each_device_with_its_capacities(
    evidence: Evidence,
) -> None:
    plots = {axes.get_title("left"): axes for axes in capacity_picture(evidence).axes}

    resident = plots["pi-5-1"].lines[0].get_ydata()
    assert len(plots) == 9
    assert list(resident) == [4] * 24 + [1] * 36 + [4] * 60  # type: ignore[arg-type]


def test_capacity_picture_of_a_large_fleet_is_limited_and_the_page_states_it(
    evidence: Evidence,
) -> None:
    fleet = [replace(evidence.receipts[0], device=f"pi-5-{n}") for n in range(1, 41)]
    large = replace(evidence, receipts=fleet, outages={})

    assert len([axes for axes in capacity_picture(large).axes if axes.get_visible()]) == 24
    assert f"the first {MOST_DEVICES} of 40 devices" in report_page(large)


def test_routes_picture_bars_fill_every_device(evidence: Evidence) -> None:
    axes = routes_picture(evidence).axes[0]
    patches = [patch for container in axes.containers for patch in container.patches]  # type: ignore[attr-defined]

    widths = sum(patch.get_width() for patch in patches)
    assert widths == pytest.approx(9.0)


def test_page_is_made_of_a_run_without_receipts(evidence: Evidence) -> None:
    assert "<svg" in report_page(replace(evidence, receipts=[], outages={}))


def test_page_fetches_nothing(evidence: Evidence) -> None:
    page = report_page(evidence)

    assert all(target.startswith("#") for target in _Page(page).fetched)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "script" not in _Page(page).tags


def test_page_has_five_pictures_with_a_table_each_and_unique_ids(evidence: Evidence) -> None:
    page = _Page(report_page(evidence))

    assert page.tags.count("svg") == 5
    assert page.tags.count("details") == 6  # the sixth lists the inputs that could not be sent
    assert len(page.ids) == len(set(page.ids))
    used = {target.removeprefix("#") for target in page.fetched}
    assert used <= set(page.ids)


def test_page_pictures_take_every_color_from_the_style_sheet(evidence: Evidence) -> None:
    page = report_page(evidence)
    body = page[page.index("<body>") :]

    assert "prefers-color-scheme: dark" in page
    assert "var(--multiplexer)" in body
    assert re.findall(r"#[0-9a-f]{6}\b", body) == []


def test_page_shows_the_main_figures(evidence: Evidence) -> None:
    shown_text = " ".join(_Page(report_page(evidence)).texts).replace("\u00a0", " ")

    for text in ("86.2 %", "+6.1 points over device only", "36.0 mJ", "0 lost, 0 duplicate"):
        assert text in shown_text


def test_page_escapes_names(evidence: Evidence) -> None:
    named = {**evidence.summary, "task": "<b>&", "bundle_version": "<i>"}

    page = _Page(report_page(replace(evidence, summary=named)))

    assert not {"b", "i"} & set(page.tags)


def test_accuracy_table_interpolates_the_curves(evidence: Evidence) -> None:
    curves = {"random": [(0.0, 0.5), (1.0, 0.9)], "device-only": [(0.0, 0.5)]}

    read = accuracy_by_share(replace(evidence, curves=curves))

    assert list(read.head) == ["share sent to the cloud", "random"]
    assert ("50.0\u00a0%", "70.0\u00a0%") in read.rows


def test_device_and_route_tables_have_a_row_for_each_device(evidence: Evidence) -> None:
    assert list(devices(evidence).rows[3][:4]) == ["pi-5-1", "120", "1 to 4", "2"]
    for row in routes_by_device(evidence).rows:
        assert sum(map(int, row[1:])) == 120


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.01234, "0.0123"), (36.0, "36.0"), (88.74, "88.7"), (12345.6, "12,346")],
)
def test_figures_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert text == significant(value)


def test_terminal_table_shows_the_main_figures(evidence: Evidence) -> None:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(summary_table(evidence.summary))

    assert isinstance(console.file, io.StringIO)
    shown_text = console.file.getvalue().replace("\u00a0", " ")
    for text in ("hybrid", "86.2 %", "36.0", "modelled", "1080 of 1080", "0 lost", "max-softmax"):
        assert text in shown_text


def test_terminal_table_fits_80_columns_untruncated(evidence: Evidence) -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(summary_table(evidence.summary))

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "\u2026" not in text
    assert "modelled for the board / measured on this machine" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("  capacity 1")]
    assert [row[-9:] for row in rows] == [
        ["11.2", "/", "11.2", "34.5", "/", "34.5", "61.0", "/", "61.0"]
    ]


def test_page_states_the_assumptions_of_curves_and_rivals(evidence: Evidence) -> None:
    shown_text = " ".join(_Page(report_page(evidence)).texts)

    for text in (
        "the cloud can be reached all the time",
        "as many inputs as the run did",
        "one threshold for the whole fleet",
        "chosen after the run",
    ):
        assert text in shown_text


def test_no_two_roles_share_a_color() -> None:
    assert len({one.light for one in COLOURS}) == len(COLOURS)
    assert len({one.dark for one in COLOURS}) == len(COLOURS)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_capacity_has_its_own_blue(count: int) -> None:
    assert len(set(capacity_colours(count))) == count
