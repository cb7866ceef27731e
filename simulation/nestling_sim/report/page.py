"""The report as one HTML page: no request leaves it, and it follows the reader's light or dark."""

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from nestling_cloud.palette import css_variables
from nestling_sim.report import federated, refusals, tables
from nestling_sim.report.evidence import Evidence, tally
from nestling_sim.report.markup import Tile, folded, picture, section, table
from nestling_sim.report.pictures import (
    MOST_DEVICES,
    accuracy_picture,
    capacity_picture,
    energy_picture,
    routes_picture,
)
from nestling_sim.report.svg import as_inline_svg


def report_page(evidence: Evidence) -> str:
    """Write report.html.

    Returns:
        The whole page; whoever saves it uses UTF-8.
    """
    summary = evidence.summary
    title = f"Nestling · {summary['task']} · seed {summary['seed']}"
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
<header><h1>A run of {escape(summary["task"])}</h1>
<p>Bundle {escape(summary["bundle_version"])} on {summary["devices"]} simulated devices,
{summary["inputs"]} inputs, seed {summary["seed"]}{escape(tables.dealt_again(summary))}</p></header>
<main>
<div class="tiles">{"".join(tile.html() for tile in _tiles(summary))}</div>
{_federated(summary)}{_pictures(evidence)}
{_rest(summary)}
</main>
</body>
</html>
"""


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
            name="sent to the cloud",
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
            beside=f"of {summary['inputs']:,} inputs, {summary['fallbacks']} by falling back",
        ),
        Tile(
            name="receipts stored",
            value=f"{receipts['stored']:,}",
            beside=f"{receipts['lost']} lost, {receipts['duplicate']} duplicate",
        ),
    ]


def _beside_sent(summary: Mapping[str, Any]) -> str:
    reaches = f"cloud only reaches {tables.percent(summary['accuracy']['cloud_only'])}"
    never = len(summary["not_sent"]["never"])
    return f"{never} of {summary['devices']} devices never could; {reaches}" if never else reaches


def _federated(summary: Mapping[str, Any]) -> str:
    story = summary.get("federated")
    if story is None:
        return ""
    return section(
        "Learned in federated rounds",
        federated.federated_words(story),
        [
            _drawn(federated.gain_picture(story), "federated"),
            folded(federated.gains(story)),
            folded(federated.rounds(story), "Round by round, accuracy on the calibration data"),
        ],
    )


def _pictures(evidence: Evidence) -> str:
    summary = evidence.summary
    provenance = summary["energy_mj_per_input"]["provenance"]
    return "\n".join(
        [
            section(
                "Accuracy against offload share",
                "Every router may send the same share of inputs to the cloud; a better one picks "
                "the inputs that gain from it. The oracle knows the right answers and cannot be "
                "built. The curves assume that the cloud can be reached all the time, and that "
                "one threshold for the whole fleet is set with hindsight to send each share. The "
                "large point is this run: through the scenario's conditions, input by input.",
                [
                    _drawn(accuracy_picture(evidence), "accuracy"),
                    folded(tables.accuracy_by_share(evidence)),
                ],
            ),
            section(
                "Capacity over time",
                "A device holds as much of the nest as its memory budget admits. During an outage "
                "an input meant for the cloud is answered by the capacity at hand."
                f"{_left_out(evidence)}",
                [
                    _drawn(capacity_picture(evidence), "capacity"),
                    folded(tables.devices(evidence)),
                ],
            ),
            section(
                "Energy per inference",
                "What the device spends on one input: compute on its own processor, and its radio "
                f"on the way to the cloud. Every joule here is {provenance}.",
                [
                    _drawn(energy_picture(evidence), "energy"),
                    folded(tables.energy_by_source(summary)),
                ],
            ),
            section(
                "Where inputs were answered",
                "Blue is the device's own student, one shade a capacity; orange is the cloud.",
                [
                    _drawn(routes_picture(evidence), "routes"),
                    folded(tables.routes_by_device(evidence)),
                ],
            ),
            _not_sent(summary),
        ]
    )


def _not_sent(summary: Mapping[str, Any]) -> str:
    return section(
        "Inputs that could not go to the cloud",
        refusals.refusal_words(summary),
        [
            table(refusals.by_reason(summary)),
            folded(refusals.by_device(summary), "Device by device"),
        ]
        if summary["not_sent"]["inputs"]
        else [],
    )


def _left_out(evidence: Evidence) -> str:
    fleet = len(tally(evidence))
    return f" Drawn: the first {MOST_DEVICES} of {fleet} devices." if fleet > MOST_DEVICES else ""


def _drawn(figure: Figure, name: str) -> str:
    return picture(as_inline_svg(figure, name, f"Picture: {name}; its figures follow"))


def _rest(summary: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            section(
                "Against its ends and its rivals",
                "The rivals meet the run's conditions and send as many inputs as the run did, by "
                "one threshold for the whole fleet that is set with hindsight.",
                [table(tables.comparison(summary))],
            ),
            section(
                "Latency",
                "From input to answer, in milliseconds. First as the device's board would take: "
                f"{summary['latency_provenance']}. Then the wall time here, measured on the "
                "machine that ran the simulation.",
                [table(tables.latency(summary))],
            ),
            section(
                "The nest",
                "Each capacity on its own. Accuracies are on the calibration inputs, measured when "
                "the bundle was built; those of this run stand above.",
                [table(tables.capacities(summary))],
            ),
            section("Over the links", "", [table(tables.transfers(summary))]),
            section("Time of the run", "", [table(tables.stages(summary))]),
        ]
    )
