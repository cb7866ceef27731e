"""Shows the rows of figures at the top of the fleet's page and of a device's page."""

from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.energy_saved import energy_saved, spent_by_provenance
from nestling_cloud.console.data.guarantee import agreement, fleet_guarantee, revisions
from nestling_cloud.console.data.time_spans import Span
from nestling_cloud.console.data.units import NOTHING, energy, latency, number, percent, size
from nestling_cloud.console.pages.markup import Tile, block
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.metrics.views import FleetView


class TotalsTiles:
    """Tiles with the answers, routes, energy, savings, latency and audits of a time range.

    Args:
        with_devices: whether three of the tiles count devices.
    """

    def __init__(self, *, with_devices: bool) -> None:
        with block("div", "tiles"):
            self._connected = Tile("Connected now", "connected") if with_devices else None
            self._answering = Tile("Devices answering", "answering") if with_devices else None
            self._answers = Tile("Answers", "answers")
            self._cloud = Tile("Answered by the cloud", "cloud-share")
            self._fallbacks = Tile("Fallbacks", "fallbacks")
            self._energy = Tile("Energy per answer", "energy")
            self._energy_saved = Tile("Energy saved", "energy-saved")
            self._bytes_saved = Tile("Bytes saved", "bytes-saved")
            self._latency = Tile("Latency, median", "latency")
        with block("div", "tiles"):
            self._agreement = Tile("Agreement, audited", "agreement")
            self._deferred = Tile("Deferred inputs", "deferred")
            self._guaranteed = Tile("Risk guaranteed", "guaranteed") if with_devices else None

    def show_fleet(self, view: FleetView, span: Span) -> None:
        """Show the figures of the fleet.

        Args:
            view: the figures.
            span: the span of time that the figures cover.
        """
        known = f"of {number(view.known)} known devices"
        if self._connected is not None:
            self._connected.show(number(view.online), known, broken=not view.online)
        if self._answering is not None:
            self._answering.show(number(view.answering), f"{known}, {span.phrase}")
        if self._guaranteed is not None:
            self._guaranteed.show(*fleet_guarantee(view))
        self.show(view.totals)

    def show(self, totals: Totals) -> None:
        """Show the figures of a time range."""
        rate = chart_tables.answers_per_second(totals)
        self._answers.show(
            number(totals.answers), "" if rate is None else f"now {number(rate)} per second"
        )
        share = chart_tables.cloud_share(totals)
        self._cloud.show(NOTHING if share is None else percent(share), "of all answers")
        self._fallbacks.show(number(totals.fallbacks), "the cloud gave no usable answer in time")
        self._show_energy(totals)
        self._show_saved(totals)
        self._show_latency(totals)
        self._agreement.show(*agreement(totals))
        self._deferred.show(*revisions(totals))

    def _show_energy(self, totals: Totals) -> None:
        spent = sorted(spent_by_provenance(totals).items())
        if not (spent and totals.answers):
            self._energy.show(NOTHING)
            return
        per_answer = [f"{energy(mj / totals.answers)}" for _, mj in spent]
        provenances = [provenance for provenance, _ in spent]
        # Energies of different provenance are separate figures: they are never added.
        self._energy.show(" | ".join(per_answer), " | ".join(provenances))

    def _show_saved(self, totals: Totals) -> None:
        saved = energy_saved(totals)
        if saved.energy_mj is None:
            several = len(spent_by_provenance(totals)) > 1
            self._energy_saved.show(
                NOTHING,
                "not comparable: several provenances"
                if several
                else "not reported for all answers",
            )
        else:
            self._energy_saved.show(
                energy(saved.energy_mj), f"{saved.provenance}, compared with sending every input"
            )
        only_bytes = sum(entry.size_bytes for entry in totals.cloud_only)
        self._bytes_saved.show(
            NOTHING if saved.size_bytes is None else size(saved.size_bytes),
            f"of {size(only_bytes)} if every input were sent, computed"
            if saved.size_bytes is not None
            else "",
        )

    def _show_latency(self, totals: Totals) -> None:
        busiest = max(totals.routes, key=lambda one: one.answers, default=None)
        if busiest is None:
            self._latency.show(NOTHING)
            return
        self._latency.show(
            latency(busiest.latency_p50_ms),
            f"{busiest.route}, p99 {latency(busiest.latency_p99_ms)}, {busiest.latency_provenance}",
        )
