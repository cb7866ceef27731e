"""The report's part on what a fleet learned in federated rounds."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from nestling_cloud.palette import COMPUTE, GRID, INK, MULTIPLEXER, MUTED, SURFACE
from nestling_sim.report.tables import Table, percent

# Way of answering, its colour, and how far above or below a device's line it is drawn.
_WAYS = {"device_only": (COMPUTE, 0.16), "hybrid": (MULTIPLEXER, -0.16)}
_WORDS = {"device_only": "device only", "hybrid": "hybrid"}


def federated_words(story: Mapping[str, Any]) -> str:
    """What the section says above its picture."""
    end = f"Released: {story['released']}" if story["released"] else "Nothing was released"
    return (
        "Every device's sensor is turned and its wearer moves at another speed than the training "
        "data. The devices trained what they hold of the nest on a labelled part of their own "
        f"streams, in {len(story['rounds'])} federated rounds; the cloud made a bundle of it. "
        f"{end} ({story['verdict']}). Measured on inputs that nothing was learned from, of the "
        "same recordings: what is gained is for these wearers. Every other section of this "
        "report is of the fleet after the rounds."
    )


def gain_picture(story: Mapping[str, Any]) -> Figure:
    """Accuracy before and after the rounds, device by device."""
    devices = story["devices"]
    figure = Figure(
        figsize=(9.0, 1.1 + 0.5 * len(devices)), layout="constrained", facecolor=SURFACE.light
    )
    axes = figure.add_subplot()
    axes.set_facecolor(SURFACE.light)
    axes.set_axisbelow(True)
    for row, one in enumerate(reversed(devices.values())):
        for way, (colour, offset) in _WAYS.items():
            before, after = one["before"][way], one["after"][way]
            y = row + offset
            axes.plot([before, after], [y, y], color=colour.light, linewidth=2)
            axes.plot(before, y, "o", color=colour.light, markerfacecolor=SURFACE.light)
            axes.plot(after, y, "o", color=colour.light)
    axes.set_yticks(range(len(devices)), list(reversed(devices)))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("accuracy: hollow before the rounds, filled after", color=MUTED.light)
    axes.grid(visible=True, axis="x", color=GRID.light, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID.light)
    axes.tick_params(color=GRID.light, labelcolor=MUTED.light, labelsize=9, length=3)
    figure.legend(
        handles=[
            Line2D([], [], color=colour.light, marker="o", label=_WORDS[way])
            for way, (colour, _) in _WAYS.items()
        ],
        loc="outside upper left",
        ncols=2,
        frameon=False,
        labelcolor=INK.light,
        fontsize=9,
    )
    return figure


def gains(story: Mapping[str, Any]) -> Table:
    """Accuracy before and after, of every device and of the fleet."""
    rows = [
        (name, f"{one['capacity']}", f"{one['local']}", f"{one['measured']}", *_changes(one))
        for name, one in story["devices"].items()
    ]
    local = sum(one["local"] for one in story["devices"].values())
    measured = sum(one["measured"] for one in story["devices"].values())
    fleet = ("fleet", "", f"{local}", f"{measured}", *_changes(story))
    return Table(
        head=("device", "capacity", "learned from", "measured on", "device only", "hybrid"),
        rows=[*rows, fleet],
    )


def rounds(story: Mapping[str, Any]) -> Table:
    """Every round: who took part, what it moved, what the nest was worth after it."""
    capacities = len(story["calibration_accuracy_before"])
    names = [f"capacity {number}" for number in range(1, capacities + 1)]
    ends = [
        ("before", story["calibration_accuracy_before"]),
        ("after", story["calibration_accuracy_after"]),
    ]
    first, last = (
        (words, "", "", "", "", *(percent(share) for share in shares)) for words, shares in ends
    )
    return Table(
        head=("round", "clients", "dropped", "bytes down", "bytes up", *names),
        rows=[first, *(_round(one) for one in story["rounds"]), last],
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
    return tuple(f"{percent(one['before'][way])} to {percent(one['after'][way])}" for way in _WAYS)
