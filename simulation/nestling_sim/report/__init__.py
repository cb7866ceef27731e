"""Lays out the report of a run, as tables for the terminal and as an HTML page.

The page is self-contained and has pictures. The package imports no other package of the simulator.
"""

from nestling_sim.report.accuracy import accuracy_picture
from nestling_sim.report.evidence import Evidence
from nestling_sim.report.page import report_page
from nestling_sim.report.pictures import (
    capacity_picture,
    energy_picture,
    routes_picture,
)
from nestling_sim.report.stream import stream_picture
from nestling_sim.report.svg import as_png, as_svg
from nestling_sim.report.terminal import summary_table

__all__ = [
    "Evidence",
    "accuracy_picture",
    "as_png",
    "as_svg",
    "capacity_picture",
    "energy_picture",
    "evidence",
    "report_page",
    "routes_picture",
    "stream_picture",
    "summary_table",
]
