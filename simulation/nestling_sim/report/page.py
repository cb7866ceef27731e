"""Lays out the report as one self-contained HTML page.

The page uses light or dark colors, as the reader's browser prefers.
"""

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from nestling_cloud.bundles.quick_notice import QUICK_NOTICE
from nestling_cloud.palette import css_variables
from nestling_sim.report import federated, refusals, tables
from nestling_sim.report.accuracy import accuracy_picture
from nestling_sim.report.evidence import Evidence, tally
from nestling_sim.report.markup import Tile, folded, lines_of_text, picture, section, table
from nestling_sim.report.pictures import (
    MOST_DEVICES,
    capacity_picture,
    energy_picture,
    routes_picture,
)
from nestling_sim.report.routing import filtered_or_not, measured_on, stream_description
from nestling_sim.report.stream import stream_picture
from nestling_sim.report.svg import as_inline_svg


def report_page(evidence: Evidence) -> str:
    """Return the report as an HTML document, which must be saved as UTF-8.

    Args:
        evidence: the data of the run.
    """
    summary = evidence.summary
    quick = " · quick" if summary["quick"] else ""
    title = f"Nestling · {summary['task']} · seed {summary['seed']}{quick}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
:root {{ {css_variables(dark=False)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {css_variables(dark=True)} }} }}
{(files("nestling_sim.report") / "page.css").read_text(encoding="utf-8")}
</style>
</head>
<body>
<header><h1>Simulated run of {escape(summary["task"])}</h1>
<p>Bundle {escape(summary["bundle_version"])} on {summary["devices"]} simulated devices,
{summary["inputs"]} inputs, seed {summary["seed"]}{escape(tables.shared_recordings(summary))}</p>
{_quick(summary)}</header>
<main>
<div class="tiles">{"".join(tile.html() for tile in _tiles(summary))}</div>
{_federated(summary)}{_pictures(evidence)}
{_rest(summary)}
</main>
</body>
</html>
"""


def _quick(summary: Mapping[str, Any]) -> str:
    return f'<p class="quick">{escape(QUICK_NOTICE)}</p>\n' if summary["quick"] else ""


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    accuracy, energy = summary["accuracy"], summary["energy_mj_per_input"]
    gain = 100 * (accuracy["hybrid"] - accuracy["device_only"])
    receipts = summary["receipts"]
    return [
        Tile(
            name="accuracy",
            value=tables.percent(accuracy["hybrid"]),
            beside=f"{gain:+.1f} points over device only",
        ),
        Tile(
            name="answered by the cloud",
            value=tables.percent(summary["offload_share"]),
            beside=_beside_sent(summary),
        ),
        Tile(
            name="energy per input",
            value=tables.millijoules(energy["hybrid"]),
            beside=f"{energy['provenance']}; cloud only takes "
            f"{tables.millijoules(energy['cloud_only'])}",
        ),
        Tile(
            name="answered",
            value=f"{summary['answered']:,}",
            beside=f"of {summary['inputs']:,} inputs, {summary['fallbacks']:,} by fallback",
        ),
        Tile(
            name="receipts stored",
            value=f"{receipts['stored']:,}",
            beside=f"{receipts['lost']} lost, {receipts['duplicate']} duplicate",
        ),
        *_follow_ups(summary["follow_ups"]),
    ]


def _follow_ups(follow_ups: Mapping[str, Any]) -> list[Tile]:
    """Return a tile for inputs that waited for the cloud, and one for audits, if there are any."""
    found = []
    if follow_ups["deferred"]:
        found.append(
            Tile(
                name="asked about later",
                value=f"{follow_ups['revised']:,} of {follow_ups['deferred']:,}",
                beside=f"{follow_ups['changed']} answers changed; accuracy "
                f"{tables.percent(follow_ups['accuracy'])} with them",
            )
        )
    if follow_ups["audits"]:
        found.append(
            Tile(
                name="audits",
                value=f"{follow_ups['agreeing']:,} of {follow_ups['audits']:,}",
                beside="kept answers that the cloud would not have changed",
            )
        )
    return found


def _beside_sent(summary: Mapping[str, Any]) -> str:
    reaches = f"cloud only: accuracy {tables.percent(summary['accuracy']['cloud_only'])}"
    never = len(summary["not_sent"]["never"])
    return (
        f"{never} of {summary['devices']} devices could never send; {reaches}" if never else reaches
    )


def _federated(summary: Mapping[str, Any]) -> str:
    learning = summary.get("federated")
    if learning is None:
        return ""
    return section(
        "Learned in federated rounds",
        federated.description(learning),
        [
            _drawn(federated.gain_picture(learning), "federated"),
            folded(federated.gains(learning)),
            folded(federated.rounds(learning), "The rounds, with accuracy on calibration inputs"),
        ],
    )


def _pictures(evidence: Evidence) -> str:
    summary = evidence.summary
    provenance = summary["energy_mj_per_input"]["provenance"]
    return "\n".join(
        [
            section(
                "Accuracy against offload share",
                f"{measured_on(summary)} Each line is a router, the rule that picks the inputs to "
                "send to the cloud. The curves assume that the cloud can be reached all the time, "
                "and that the whole fleet uses one threshold, chosen after the run so that it "
                "sends just that share; small shares are stretched. The large point is this run, "
                "in which each input was routed as it came, under the scenario's conditions. "
                f"{filtered_or_not(summary)}",
                [
                    _drawn(accuracy_picture(evidence), "accuracy"),
                    folded(tables.accuracy_by_share(evidence)),
                    lines_of_text(summary["routing"]["lines"]),
                ],
            ),
            _stream(evidence),
            section(
                "Capacity over time",
                "Each device holds the largest capacity of the student that its memory budget "
                "admits. During an outage it also answers the inputs that it would have sent."
                f"{_devices_drawn(evidence)}",
                [
                    _drawn(capacity_picture(evidence), "capacity"),
                    folded(tables.devices(evidence)),
                ],
            ),
            section(
                "Energy per inference",
                "The energy that a device spends on one input: compute on its processor, and radio "
                f"for the transfer to the cloud. The figures are {provenance}.",
                [
                    _drawn(energy_picture(evidence), "energy"),
                    folded(tables.energy_by_source(summary)),
                ],
            ),
            section(
                "Where inputs were answered",
                "Blue is the device's own student, one shade for each capacity. Orange is the "
                "cloud.",
                [
                    _drawn(routes_picture(evidence), "routes"),
                    folded(tables.routes_by_device(evidence)),
                ],
            ),
            _not_sent(summary),
        ]
    )


def _stream(evidence: Evidence) -> str:
    if evidence.timeline is None:
        return ""
    capacities = len(evidence.summary["capacities"])
    return section(
        "One device through time",
        f"{stream_description(evidence.timeline)} {measured_on(evidence.summary)}",
        [
            _drawn(stream_picture(evidence.timeline, capacities), "stream"),
            folded(tables.moments(evidence.timeline)),
        ],
    )


def _not_sent(summary: Mapping[str, Any]) -> str:
    return section(
        "Inputs without access to the cloud",
        refusals.description(summary),
        [
            table(refusals.by_reason(summary)),
            folded(refusals.by_device(summary), "By device"),
        ]
        if summary["not_sent"]["inputs"]
        else [],
    )


def _devices_drawn(evidence: Evidence) -> str:
    fleet = len(tally(evidence))
    return f" Shown: the first {MOST_DEVICES} of {fleet} devices." if fleet > MOST_DEVICES else ""


def _drawn(figure: Figure, name: str) -> str:
    return picture(as_inline_svg(figure, name, f"Picture: {name}; a table of its figures follows"))


def _rest(summary: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            section(
                "Compared with other policies",
                "Device only and cloud only are the two extremes. Policies with the same share "
                "meet the same conditions as the run and send as many inputs as the run did, by "
                "one threshold for the whole fleet that is chosen after the run. The oracle knows "
                f"the right answers, so it cannot be built. {filtered_or_not(summary)}",
                [table(tables.comparison(summary))],
            ),
            section(
                "Latency",
                "Time from input to answer, in milliseconds. The first figure is for the device's "
                f"board and link ({summary['latency_provenance']}). The second is the wall time, "
                "measured on the machine that ran the simulation.",
                [table(tables.latency(summary))],
            ),
            section(
                "The capacities of the student",
                "Each capacity on its own. Its accuracy was measured on the calibration inputs "
                "when the bundle was built, so it differs from the accuracies of this run.",
                [table(tables.capacities(summary))],
            ),
            section(
                "Data transferred",
                "Bytes that the devices sent as offloads and as telemetry, and bytes of the bundle "
                "that each device received.",
                [table(tables.transfers(summary))],
            ),
            section(
                "Duration of the run",
                "Wall time of each stage, measured on the machine that ran the simulation.",
                [table(tables.stages(summary))],
            ),
        ]
    )
