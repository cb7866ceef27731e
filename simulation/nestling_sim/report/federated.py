"""Builds the report's section on federated rounds, which has a text, a picture and tables."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from nestling_cloud.palette import COMPUTE, GRID, INK, MULTIPLEXER, MUTED, SURFACE
from nestling_sim.report.tables import Table, percent

# Policy, its color, and the vertical offset of its line from the device's.
_POLICIES = {"device_only": (COMPUTE, 0.16), "hybrid": (MULTIPLEXER, -0.16)}
_LABELS = {"device_only": "device only", "hybrid": "hybrid"}


def description(learning: Mapping[str, Any]) -> str:
    """Return the introductory text of the section.

    Args:
        learning: summary.json's entry on federated rounds.
    """
    end = f"Released: {learning['released']}" if learning["released"] else "Nothing was released"
    return (
        "Each device's sensor is rotated, and its wearer moves at a different speed from the "
        f"training data. In {len(learning['rounds'])} federated rounds, the devices trained the "
        "capacities that they hold on a labeled part of their own streams, and the cloud made a "
        f"new bundle from the result. {end} ({learning['verdict']}). Accuracy is measured on "
        "another part of the same recordings, which nothing was trained on, so the gain is for "
        "these wearers. Every other section of this report describes the fleet after the rounds."
    )


def gain_picture(learning: Mapping[str, Any]) -> Figure:
    """Draw the accuracy of each device before and after the rounds, with and without the cloud.

    Args:
        learning: summary.json's entry on federated rounds.
    """
    devices = learning["devices"]
    figure = Figure(
        figsize=(9.0, 1.1 + 0.5 * len(devices)), layout="constrained", facecolor=SURFACE.light
    )
    axes = figure.add_subplot()
    axes.set_facecolor(SURFACE.light)
    axes.set_axisbelow(True)
    for row, one in enumerate(reversed(devices.values())):
        for policy, (colour, offset) in _POLICIES.items():
            before, after = one["before"][policy], one["after"][policy]
            y = row + offset
            axes.plot([before, after], [y, y], color=colour.light, linewidth=2)
            axes.plot(before, y, "o", color=colour.light, markerfacecolor=SURFACE.light)
            axes.plot(after, y, "o", color=colour.light)
    axes.set_yticks(range(len(devices)), list(reversed(devices)))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("accuracy (hollow: before the rounds, filled: after)", color=MUTED.light)
    axes.grid(visible=True, axis="x", color=GRID.light, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID.light)
    axes.tick_params(color=GRID.light, labelcolor=MUTED.light, labelsize=9, length=3)
    figure.legend(
        handles=[
            Line2D([], [], color=colour.light, marker="o", label=_LABELS[policy])
            for policy, (colour, _) in _POLICIES.items()
        ],
        loc="outside upper left",
        ncols=2,
        frameon=False,
        labelcolor=INK.light,
        fontsize=9,
    )
    return figure


def gains(learning: Mapping[str, Any]) -> Table:
    """Return a table of the accuracies before and after the rounds, by device and for the fleet.

    The table also has each device's capacity, and the numbers of inputs that it was trained on and
    measured on.

    Args:
        learning: summary.json's entry on federated rounds.
    """
    rows = [
        (name, f"{one['capacity']}", f"{one['local']}", f"{one['measured']}", *_changes(one))
        for name, one in learning["devices"].items()
    ]
    local = sum(one["local"] for one in learning["devices"].values())
    measured = sum(one["measured"] for one in learning["devices"].values())
    fleet = ("fleet", "", f"{local}", f"{measured}", *_changes(learning))
    return Table(
        head=("device", "capacity", "trained on", "measured on", "device only", "hybrid"),
        rows=[*rows, fleet],
    )


def rounds(learning: Mapping[str, Any]) -> Table:
    """Return a table of each round's clients, bytes and accuracies on calibration inputs.

    The first and the last row have the accuracies of the bundles before and after all rounds.

    Args:
        learning: summary.json's entry on federated rounds.
    """
    capacities = len(learning["calibration_accuracy_before"])
    names = [f"capacity {number}" for number in range(1, capacities + 1)]
    ends = [
        ("before", learning["calibration_accuracy_before"]),
        ("after", learning["calibration_accuracy_after"]),
    ]
    first, last = (
        (label, "", "", "", "", *(percent(share) for share in shares)) for label, shares in ends
    )
    return Table(
        head=("round", "clients", "dropped", "bytes down", "bytes up", *names),
        rows=[first, *(_round(one) for one in learning["rounds"]), last],
    )


def _round(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{one['number']}",
        f"{one['participants']}",
        f"{len(one['dropped'])}",
        f"{one['bytes_down']:,}",
        f"{one['bytes_up']:,}",
        *(percent(share) for share in one["calibration_accuracy"]),
    )


def _changes(one: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{percent(one['before'][policy])} to {percent(one['after'][policy])}"
        for policy in _POLICIES
    )
