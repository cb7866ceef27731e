import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from matplotlib.axes import Axes

from nestling_sim.report import Evidence, as_svg, report_page, stream_picture
from nestling_sim.report.evidence import Timeline
from nestling_sim.report.tables import moments


@pytest.fixture
def timeline(evidence: Evidence) -> Timeline:
    assert evidence.timeline is not None
    return evidence.timeline


def line_of(axes: Axes, label: str) -> list[tuple[float, float]]:
    line = {line.get_label(): line for line in axes.lines}[label]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))  # type: ignore[arg-type]


def test_picture_names_the_true_classes_and_every_mark(timeline: Timeline) -> None:
    svg = as_svg(stream_picture(timeline, 4))
    shown = " ".join(ET.fromstring(svg).itertext())  # noqa: S314  our own picture

    for text in ("exercise 0", "exercise 3", "cloud asked", "cloud did not answer", "wrong answer"):
        assert text in shown
    assert "exercise 4" not in shown  # its inputs would come later


def test_picture_marks_offloads_fallbacks_and_wrong_answers(timeline: Timeline) -> None:
    belief = stream_picture(timeline, 4).axes[0]

    for label, rows in (
        ("cloud asked", [m for m in timeline.moments if m.receipt.route == "cloud"]),
        (
            "cloud did not answer",
            [m for m in timeline.moments if m.receipt.reason == "unreachable"],
        ),
        ("wrong answer", [m for m in timeline.moments if not m.is_right]),
    ):
        assert rows
        places = [place for place, _ in line_of(belief, label)]
        assert places == [moment.receipt.input_index for moment in rows]


def test_every_input_is_in_the_lane_of_what_answered_it(timeline: Timeline) -> None:
    lanes = stream_picture(timeline, 4).axes[1]

    drawn = dict(
        point
        for line in lanes.lines
        for point in zip(line.get_xdata(), line.get_ydata(), strict=True)  # type: ignore[arg-type]
    )
    assert drawn == {
        row.input_index: 5 if row.route == "cloud" else int(row.route[-1])
        for row in (moment.receipt for moment in timeline.moments)
    }


def test_input_on_which_no_capacity_ran_has_no_belief(timeline: Timeline) -> None:
    first, *rest = timeline.moments
    silent = replace(first, receipt=replace(first.receipt, device_answer=None))
    changed = replace(timeline, moments=[silent, *rest])

    assert moments(changed).rows[0][-1] == "-"
    assert moments(changed).rows[1][-1] == "60.0\u00a0%"
    assert "<svg" in as_svg(stream_picture(changed, 4))


def test_many_changes_of_the_class_are_not_named(timeline: Timeline) -> None:
    changing = [
        replace(moment, truth=f"exercise {n // 2 % 7}") for n, moment in enumerate(timeline.moments)
    ]

    assert "exercise" not in as_svg(stream_picture(replace(timeline, moments=changing), 4))


def test_page_without_a_timeline_has_no_section_on_it(evidence: Evidence) -> None:
    title = "One device through time"

    assert title in report_page(evidence)
    assert title not in report_page(replace(evidence, timeline=None))


def test_page_says_on_whom_the_figures_were_measured_and_how_inputs_are_routed(
    evidence: Evidence,
) -> None:
    page = report_page(evidence)

    assert page.count("that neither the models nor their router saw.") == 2
    assert "routing: plain confidence rule (max-softmax)" in page


def test_page_says_what_filtered_means_or_that_there_is_no_filter(evidence: Evidence) -> None:
    plain = {
        name: value for name, value in evidence.summary["accuracy"].items() if "filter" not in name
    }
    summary = {**evidence.summary, "accuracy": plain}

    assert "belief about the class from input to input" in report_page(evidence)
    page = report_page(replace(evidence, summary=summary))
    assert re.search(r"no stream filter: its\s+calibration inputs are no recordings", page)
