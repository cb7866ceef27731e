"""Shows the figures that the fleet or a device reported, beside the estimates."""

from nestling_cloud.console.data.chart_tables import cloud_share
from nestling_cloud.console.data.time_spans import Span
from nestling_cloud.console.data.units import NOTHING, energies, number, percent
from nestling_cloud.console.pages.facts import FactList
from nestling_cloud.console.pages.markup import Text, block
from nestling_cloud.metrics.views import Totals

_UNKNOWN_ACCURACY = "not known"


class ReportedPanel:
    """Panel with the reported figures of the fleet, or of one device.

    Args:
        device: the id of the device, or None for the whole fleet.
    """

    def __init__(self, device: str | None) -> None:
        self._source = "this device" if device else "the fleet"
        with block("section", "panel", aria_label="Reported", data_panel="reported"):
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
                "The cloud does not know the right answers to these inputs, so the accuracy of the "
                "answers is not known.",
                "note",
            )

    def show(self, totals: Totals | None, span: Span) -> None:
        """Show the figures of a span of time.

        Args:
            totals: the figures, or None for a device that has never reported.
            span: the span of time.
        """
        self._title.show(f"Reported by {self._source}, {span.phrase}")
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
