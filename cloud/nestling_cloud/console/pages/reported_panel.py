"""Shows the figures that the fleet or a device reported, beside the estimates."""

from nestling_cloud.console.data.chart_tables import cloud_share
from nestling_cloud.console.data.time_spans import Span
from nestling_cloud.console.data.units import NOTHING, energies, number, percent
from nestling_cloud.console.pages.facts import FactList
from nestling_cloud.console.pages.markup import Text, block
from nestling_cloud.metrics.figures import Totals

_UNKNOWN_ACCURACY = "not known"
_EXPECTED_BY = "expected by the devices, corrected by the cloud's answers"


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
                    "reported-accuracy": "Accuracy of the devices' own answers",
                }
            )
            Text(
                "p",
                "The cloud does not know the right answers to these inputs. Devices estimate how "
                "likely each of their own answers is right, and learn from every answer of the "
                "cloud how far to trust this estimate. Answers that the cloud gave do not count.",
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
        self._facts.show("reported-accuracy", _expected(totals))


def _expected(totals: Totals | None) -> str:
    if totals is None or totals.device_accuracy is None:
        return _UNKNOWN_ACCURACY
    counted = f"{number(totals.estimated_answers)} answers"
    return f"{percent(totals.device_accuracy)}, {_EXPECTED_BY} ({counted})"


def _energy_per_answer(totals: Totals) -> str:
    if not totals.answers:  # follow-ups take energy too
        return NOTHING
    by_source: dict[str, dict[str, float]] = {}
    for entry in totals.energy:
        of_source = by_source.setdefault(entry.source, {})
        per_answer_mj = entry.energy_mj / totals.answers
        of_source[entry.provenance] = of_source.get(entry.provenance, 0.0) + per_answer_mj
    return energies(by_source)
