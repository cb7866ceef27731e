"""Shows a target offload share, how devices follow it, and the latest changes of all targets."""

from collections.abc import Sequence

from nestling_cloud.console.data.chart_tables import cloud_share
from nestling_cloud.console.data.operating_point import PointState
from nestling_cloud.console.data.table import table
from nestling_cloud.console.data.units import NOTHING, number, percent, time_utc
from nestling_cloud.console.pages.facts import FactList
from nestling_cloud.console.pages.markup import Grid, Text, block
from nestling_cloud.control.targets import TargetChange


class TargetStatePanel:
    """A panel with the target, the share in force on devices, and the share actually offloaded."""

    def __init__(self) -> None:
        with block("section", "panel", aria_label="State", data_panel="state"):
            Text("h2", "Target and actual share")
            self._facts = FactList(
                {
                    "target": "Target",
                    "in-force": "Target that devices report",
                    "observed": "Actual share since the last change",
                    "since": "Last change",
                }
            )
            Text(
                "p",
                "A target reaches connected devices within seconds, and other devices when they "
                "reconnect. A device keeps it over 500 inputs, or over its own target_window; with "
                "a window of 0 it uses a static threshold, and the actual share depends on the "
                "inputs. Links and deadlines may lower the actual share in either case.",
                "note",
            )

    def show(self, state: PointState) -> None:
        """Show the state of an operating point."""
        target = "their own setting" if state.target is None else percent(state.target)
        self._facts.show("target", target)
        self._facts.show("in-force", _in_force(state))
        observed = cloud_share(state.since) if state.since else None
        counted = f" of {number(state.since.answers)} answers" if state.since else ""
        self._facts.show("observed", NOTHING if observed is None else percent(observed) + counted)
        last = state.last_change
        when = f"{time_utc(last.set_at_ms)} UTC by {last.set_by}" if last else "never"
        self._facts.show("since", when)


class TargetChangesPanel:
    """A panel with the latest changes of all targets."""

    def __init__(self) -> None:
        with block("section", "panel", aria_label="Changes", data_panel="log"):
            Text("h2", "Changes")
            self._none = Text("p", "None yet: devices use their own settings.", "note")
            with block("div", "scroll") as self._place:
                self._log = Grid("Changes")

    def show(self, log: Sequence[TargetChange]) -> None:
        """Show changes of targets, which must be sorted with the newest first."""
        columns = [("at", "at, UTC"), ("for", "for"), ("share", "share"), ("by", "by")]
        self._none.set_visibility(not log)
        self._place.set_visibility(bool(log))
        self._log.show(table(columns, map(_log_row, log)))


def _in_force(state: PointState) -> str:
    if not state.in_force:
        return "not reported yet"
    low, high = state.in_force
    return percent(low) if low == high else f"{percent(low)} to {percent(high)}"


def _log_row(target: TargetChange) -> tuple[str, str, str, str]:
    share = "removed" if target.share is None else percent(target.share)
    return time_utc(target.set_at_ms), target.device or "fleet", share, target.set_by
