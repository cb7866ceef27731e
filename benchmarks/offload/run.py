"""Measure the way between device and cloud: bytes, guarantees, and a server under load."""

import time
from collections.abc import Sequence

from rich.console import Console

from benchmarks.offload.guarantee import STREAMS, measure_guarantees
from benchmarks.offload.guarantee_report import guarantee_figures, guarantee_tables
from benchmarks.offload.payloads import PayloadResult, measure_payloads
from benchmarks.offload.radio import radio_ratio
from benchmarks.offload.serving import ServingResult, measure_serving
from benchmarks.report import Figure, ResultTable, figure, parse_arguments, publish, result_table
from benchmarks.small_fashion import small_fashion
from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks.wearable import TASK as WEARABLE
from nestling_cloud.temporary_files import temporary_folder

_NOTE = """
**Payloads.** Bundles of `wearable` (each seed is another split of the people) and, for the first
seed, of `fashion` with few training pictures. Forms are measured on calibration inputs when the
bundle is built, which decides the form that devices use; the tables show test inputs, which nobody
fitted anything on. Sizes are without framing (320 bytes for both ways).

**Radio.** The default scenario: the energy of the radio for the inputs that the cloud answered,
divided into what the same inputs would have taken as float32.

**Guarantees.** At a tolerated risk of 5 and 10 % (δ 10 %), devices follow 500 streams (250 with
a shift) with the code that real ones run: a share of 1 % of audits, and the plan of their bundle.
Streams of unseen people are the recordings of one test person, joined at random, for each split,
with the bundle's stream filter and without (then also the plan is made without it). Corrupted
pictures are independent; a stream has one kind and severity of noise, blur or brightness, or none.
*Study* is the laboratory study that the guarantee was designed in. Nothing was chosen on these
inputs.

**Serving.** A convolutional teacher of about 10 ms (1 ms for the lone client and for the outage),
served by a process of its own, as `nestling-cloud serve` does; the clients share the machine's two
cores with it. *Bare loop*: batches of 32 in as many threads, without a server. Overload is offered
at a constant rate by 64 devices that ignore every refusal, with a deadline of ten runs.

**Outage.** 1,000 clients with a connection each, an input every 4 s and the device's own back-off.
The server is killed and returns on the same port after ten seconds.
"""


def main() -> None:
    """Run the benchmark."""
    options, started_s = parse_arguments(__doc__ or "", seeds=5), time.monotonic()
    serving = measure_serving()
    progress, cache = ConsoleProgress(Console(stderr=True)), cache_folder()
    with temporary_folder(".nestling-bench-") as folder:
        ratios = [radio_ratio(seed, folder, cache, progress) for seed in options.seeds]
    wearable = [measure_payloads(WEARABLE, seed, cache, progress) for seed in options.seeds]
    fashion = measure_payloads(small_fashion(), options.seeds[0], cache, progress)
    guarantees = measure_guarantees(options.seeds, STREAMS // (10 if options.quick else 1))
    figures = {
        **_payload_figures(wearable, fashion),
        "default scenario: radio energy as float32 / with the bundle's form": figure(
            ratios, goal=">= 2.5", anchor="the same inputs, answered by the cloud"
        ),
        **guarantee_figures(guarantees),
        **_serving_figures(serving),
        "benchmark, total time": figure(
            [(time.monotonic() - started_s) / 60], "min", goal="<= 60", anchor="on two cores"
        ),
    }
    tables = [
        *map(_payload_table, (wearable[0], fashion)),
        *guarantee_tables(guarantees),
        _load_table(serving),
    ]
    publish("offload", options, figures, tables, title="Offloads", note=_NOTE, charts={})


def _payload_figures(
    wearable: Sequence[PayloadResult], fashion: PayloadResult
) -> dict[str, Figure]:
    found = {}
    for name, results, goal in (("wearable", wearable, ">= 6"), ("fashion", [fashion], ">= 4")):
        used = [result.of(result.used) for result in results]
        plain = results[0].forms[0].payload_bytes
        names = ", ".join(sorted({result.used for result in results}))
        found[f"{name}: bytes of an input as float32 / in the bundle's form"] = figure(
            [plain / form.payload_bytes for form in used],
            goal=goal,
            anchor=f"{plain:,.0f} bytes; form {names}",
        )
        found[f"{name}: accuracy that the teacher loses on test inputs"] = figure(
            [form.lost for form in used], "points", goal="<= 0.1"
        )
        found[f"{name}: probability of the true class that is lost on test inputs"] = figure(
            [form.lost_probability for form in used], "points", goal="<= 0.1"
        )
        found[f"{name}: answers that change on test inputs"] = figure(
            [form.changed for form in used], "%"
        )
    return found


def _serving_figures(serving: ServingResult) -> dict[str, Figure]:
    found = {
        "lone client: served - bare run - bare call": figure(
            [serving.alone_ms], "ms", goal="<= 0.4", anchor="medians; 3 ms before"
        )
    }
    for result in serving.by_threads:
        threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
        peak = max(result.overloads.values())
        found[f"64 clients, {threads}: answers per second / bare loop"] = figure(
            [result.clients / result.bare], goal=">= 0.85", anchor=f"bare {result.bare:.0f} rows/s"
        )
        found[f"4x overload, {threads}: goodput / peak"] = figure(
            [result.overloads[4.0] / peak], goal=">= 0.9", anchor=f"peak {peak:.0f} answers/s"
        )
        found[f"4x overload, {threads}: accepted requests answered in time"] = figure(
            [100 * result.kept[4.0]], "%", goal=">= 99"
        )
    returned = serving.returned
    return {
        **found,
        "outage, 1,000 clients: inputs lost": figure([returned.lost], goal="== 0"),
        "outage, 1,000 clients: inputs answered twice": figure([returned.doubled], goal="== 0"),
        "outage, 1,000 clients: time until calm": figure(
            [returned.calm_s],
            "s",
            anchor=f"worst second: {returned.worst_failed:.1f} % of the offloads fail",
        ),
    }


def _payload_table(result: PayloadResult) -> ResultTable:
    return result_table(
        f"{result.task}: wire forms",
        "form | bytes | probability lost, calibration, points | probability lost, test, points "
        "| accuracy lost, test, points | changed answers, test, % | used",
        [
            [
                form.name,
                f"{form.payload_bytes:,.0f}",
                f"{form.calibration_lost:+.3f}",
                f"{form.lost_probability:+.3f}",
                f"{form.lost:+.2f}",
                f"{form.changed:.2f}",
                "yes" if form.name == result.used else "",
            ]
            for form in result.forms
        ],
        "First seed.",
    )


def _load_table(serving: ServingResult) -> ResultTable:
    rows = [
        [
            f"{result.threads}",
            f"{load:g}",
            f"{load * result.bare:.0f}",
            f"{result.overloads[load]:.0f}",
            f"{100 * result.kept[load]:.1f}",
        ]
        for result in serving.by_threads
        for load in result.overloads
    ]
    return result_table(
        "Load",
        "threads | offered / bare loop | requests/s | answers/s in time "
        "| accepted requests answered in time, %",
        rows,
        f"A run takes {serving.run_ms:.1f} ms, the deadline is ten times that.",
    )
