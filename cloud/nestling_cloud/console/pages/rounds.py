"""Builds the page of federated rounds."""

import asyncio

from fastapi import Request

from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.rounds import (
    accuracy_lines,
    dropped_table,
    last_round_summary,
    rounds_table,
)
from nestling_cloud.console.pages.frame import frame, heading
from nestling_cloud.console.pages.markup import ChartPanel, Grid, Text, block

_LIVE_S = 2.0
_SHOWN = 200


async def show(request: Request, parts: ConsoleData) -> None:
    """Build the page and keep it up to date.

    Args:
        request: the request for the page.
        parts: the sources of the figures.
    """
    page = _RoundsPage(request, parts)
    await page.banner.keep_fresh(page.refresh, every_s=_LIVE_S)


class _RoundsPage:
    def __init__(self, request: Request, parts: ConsoleData) -> None:
        self._rounds = parts.rounds
        with frame(request, "/rounds", parts.health.of_fleet) as self.banner:
            with heading("Rounds") as sub:
                sub.show(
                    "Federated rounds train the model with data that never leaves the devices."
                )
            with block("section", "empty") as self._empty:
                Text("h2", "No rounds yet")
                Text(
                    "p",
                    "A round appears here when it has ended: who took part, who was left out and "
                    "why, and the accuracy of every capacity. docs/federate.md shows how to "
                    "start one.",
                )
            self._last = Text("p", "", "sub spaced")
            with block("div") as self._figures:
                with block("div", "panels"):
                    self._accuracy = ChartPanel(
                        "Accuracy on calibration inputs by round",
                        "Accuracy of every capacity after the round, on the cloud's calibration "
                        "inputs, not on the fleet's.",
                        key="rounds",
                        href="/api/v1/rounds.csv",
                        wide=True,
                    )
                with block("section", "panel", aria_label="Clients left out", data_panel="dropped"):
                    Text("h2", "Clients left out")
                    with block("div", "scroll"):
                        self._dropped = Grid("Clients left out")

    async def refresh(self) -> None:
        rounds = await asyncio.to_thread(self._rounds.latest, _SHOWN)
        self._empty.set_visibility(not rounds)
        self._figures.set_visibility(bool(rounds))
        if rounds:
            lines = accuracy_lines(rounds)
            self._accuracy.show(rounds_table(rounds), lambda _: echarts.rounds_chart(lines))
            self._dropped.show(dropped_table(rounds))
            self._last.show(last_round_summary(rounds[-1]))
