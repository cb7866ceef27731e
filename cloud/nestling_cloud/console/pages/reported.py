"""What a fleet or a device reported of a time, beside what is estimated for it."""

from nestling_cloud.console.data.chart_tables import cloud_share
from nestling_cloud.console.data.time_spans import Span
from nestling_cloud.console.data.units import NOTHING, energies, number, percent
from nestling_cloud.console.pages.facts import FactList
from nestling_cloud.console.pages.markup import Text, block
from nestling_cloud.metrics.views import Totals

_UNKNOWN_ACCURACY = "not known"


class ReportedPanel:
    """A panel with the figures of the fleet, or of one device.

    Args:
        device: its id; None for the whole fleet.
    """

    def __init__(self, device: str | None) -> None:
        self._whose = "this device" if device else "the fleet"
        with block("section", "panel", aria_label="ReportedPanel", data_panel="reported"):
            self._title = Text("h2", "")
            self._facts = FactList(
                {
                    "reported-share": "Answered by the cloud",
                    "reported-energy": "Energy per answer",
                    "reported-accuracy": "Accuracy",
                }
            )
            Text(
                "p",
                "Nobody tells the cloud the right answers of these inputs, so how accurate the "
                "answers were is not known.",
                "note",
            )

    def show(self, totals: Totals | None, span: Span) -> None:
        """Show figures of a time; None for a device that nobody heard of."""
        self._title.say(f"Reported by {self._whose}, {span.words}")
        share = cloud_share(totals) if totals else None
        counted = f" of {number(totals.answers)} answers" if totals else ""
        self._facts.show("reported-share", NOTHING if share is None else percent(share) + counted)
        self._facts.show("reported-energy", _energy_per_answer(totals) if totals else NOTHING)
        self._facts.show("reported-accuracy", _UNKNOWN_ACCURACY)


def _energy_per_answer(totals: Totals) -> str:
    by_source: dict[str, dict[str, float]] = {}
    for entry in totals.energy:
        of_source = by_source.setdefault(entry.source, {})
        per_answer_mj = entry.energy_mj / totals.answers
        of_source[entry.provenance] = of_source.get(entry.provenance, 0.0) + per_answer_mj
    return energies(by_source)
