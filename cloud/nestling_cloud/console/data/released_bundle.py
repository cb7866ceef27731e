"""Reads the released bundle for pages and the API."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from nestling.v1.bundle_pb2 import Calibration, RoutingCurve, Signature
from nestling_cloud.bundles.overview import overview
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.bundles.routing_facts import (
    RoutingFacts,
    calibration_inputs,
    clients_text,
    routing_facts,
    routing_lines,
    useful_share_text,
)
from nestling_cloud.console.data.table import Table, table
from nestling_cloud.console.data.units import number
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_core.kinds.kind import Answer


@dataclass(frozen=True, kw_only=True)
class Models:
    """A released bundle, as pages and the API show it.

    Attributes:
        overview: the overview that `nestling-cloud bundle show --json` prints.
        signature: the shape, channels and units of the inputs, and the names of the classes.
        curves: the routing curve of each capacity (size of the student), smallest first; empty if
            a capacity has no curve, or if the shares of a curve do not rise.
        routing: the rule that routes, the stream filters, and where the cloud is less accurate.
        calibration_inputs: the number of calibration inputs that the accuracies of capacities and
            cloud were measured on, or 0 if unknown.
        held_out_inputs: the number of those calibration inputs that the curves were computed from.
    """

    overview: dict[str, Any]
    signature: Signature
    curves: tuple[RoutingCurve, ...]
    routing: RoutingFacts
    calibration_inputs: int
    held_out_inputs: int

    @property
    def bundle_version(self) -> str:
        """The version of this bundle."""
        version: str = self.overview["bundle_version"]
        return version

    @property
    def nest(self) -> int:
        """The number of capacities (sizes of the student)."""
        return len(self.overview["capacities"])

    @property
    def labels(self) -> ReleasedLabels:
        """The object that checks labels and formats answers for this bundle."""
        return ReleasedLabels(task=self.overview["task"], signature=self.signature)

    def answer_text(self, answer: Answer, task: str | None = None) -> str:
        """Return an answer as a text for people.

        Args:
            answer: the answer.
            task: the name of the task that the answer belongs to; None for this bundle's task.

        Returns:
            The text, or only the numbers in the answer if the answer is not one of this bundle's.
        """
        text = self.labels.text(task or self.labels.task, answer)
        return answer_numbers(answer) if text is None else text


def answer_numbers(answer: Answer) -> str:
    """Return a text with only the numbers in an answer, for an answer of unknown meaning."""
    values = ", ".join(f"{value:.4g}" for value in answer.values)
    return f"answer {values or answer.code}"


def models_of(repository: Repository) -> Models | None:
    """Return the released bundle, or None if there is none or it cannot be read."""
    try:
        return read_models(repository)
    except RepositoryError:
        return None


def desired_version(repository: Repository) -> str:
    """Return the version of the bundle that devices should run, or "" if it is unknown."""
    try:
        desired = repository.desired()
    except RepositoryError:
        return ""
    return desired.bundle_version if desired else ""


def bundle_note(running: str, desired: str) -> str:
    """Return a remark on whether a device runs the bundle that it should run.

    Args:
        running: the version that the device reported, or "" if it has not reported one.
        desired: the version that the device should run, or "" if that is unknown; the remark is
            then empty.
    """
    if not desired:
        return ""
    return "up to date" if running == desired else f"should run {desired}"


def read_models(repository: Repository) -> Models:
    """Return the released bundle.

    Raises:
        RepositoryError: nothing has been released, or a part of the bundle is missing or damaged.
    """
    manifest = repository.manifest()
    calibration = _calibration(repository, manifest.calibration.sha256)
    usable = len(calibration.curves) == len(manifest.capacities)
    return Models(
        overview=overview(repository),
        signature=manifest.signature,
        curves=tuple(calibration.curves) if usable and all(map(_rises, calibration.curves)) else (),
        routing=routing_facts(calibration) if usable else routing_facts(Calibration()),
        calibration_inputs=calibration_inputs(calibration),
        held_out_inputs=calibration.inputs,
    )


def measured_on(models: Models) -> str:
    """Return a phrase that names the inputs on which capacities and cloud were measured."""
    inputs = f"{number(models.calibration_inputs)} " if models.calibration_inputs else ""
    return f"on {inputs}calibration inputs when the bundle was built"


def curves_measured_on(models: Models) -> str:
    """Return a phrase that names the inputs on which the routing curves were measured."""
    inputs = f"{number(models.held_out_inputs)} " if models.held_out_inputs else ""
    return f"on {inputs}held-out calibration inputs when the bundle was built"


def routing_texts(models: Models) -> list[str]:
    """Return lines of text that say how a bundle routes inputs."""
    accuracies, cloud = _accuracies(models)
    return routing_lines(models.routing, accuracies, cloud)


def useful_share_texts(
    models: Models, capacities: Iterable[int], offload_share: float
) -> list[str]:
    """Return a sentence for each capacity that sends fewer inputs than a target asks for.

    A capacity limits its share where the cloud is less accurate on the calibration inputs than the
    device itself.

    Args:
        models: the released bundle.
        capacities: the resident capacities (the largest in memory) of the devices.
        offload_share: the target share.
    """
    clients = models.routing.clients
    if clients is not None and clients.cloud_is_worse:
        return [clients_text(clients)] if offload_share > 0 else []
    accuracies, cloud = _accuracies(models)
    chosen = set(capacities)
    return [
        useful_share_text(route, accuracies[route.capacity - 1], cloud)
        for route in models.routing.routes
        if route.capacity in chosen
        and route.useful_share is not None
        and route.useful_share < offload_share
    ]


def capacities_table(models: Models) -> Table:
    """Build a table with a row for each capacity (size of the student).

    Its columns are the accuracy on the calibration inputs, the sizes of the files and of the memory
    in bytes, and the number of multiply-accumulates for one input.
    """
    columns = [
        ("capacity", "capacity"),
        ("calibration_accuracy", ""),
        ("calibration_accuracy_percent", "accuracy on calibration inputs, %"),
        ("weight_bytes", "weights, B"),
        ("ring_bytes", "ring, B"),
        ("template_bytes", "template, B"),
        ("memory_bytes", "memory, B"),
        ("macs", "multiply-accumulates"),
    ]
    rows = (
        [
            entry["capacity"],
            entry["calibration_accuracy"],
            100 * entry["calibration_accuracy"],
            *(entry[key] for key, _ in columns[3:]),
        ]
        for entry in models.overview["capacities"]
    )
    return table(columns, rows)


def wire_forms_table(models: Models) -> Table:
    """Build a table with a row for each form in which inputs can be sent to the cloud.

    One column is the mean size of an input in bytes, and another says whether devices use the form.
    The other columns were measured on the calibration inputs: the accuracy of the cloud's answers,
    the share of answers that differ from those to plain float32, and how much lower the probability
    of the true class is.
    """
    columns = [
        ("name", "form"),
        ("payload_bytes", "bytes of an input"),
        ("calibration_accuracy", ""),
        ("calibration_accuracy_percent", "cloud's accuracy on calibration inputs, %"),
        ("changed", ""),
        ("changed_percent", "changed answers, %"),
        ("lost_points", "lost probability of the true class, points"),
        ("used", "used"),
    ]
    rows = (
        [
            form["name"],
            form["payload_bytes"],
            form["calibration_accuracy"],
            100 * form["calibration_accuracy"],
            form["changed"],
            100 * form["changed"],
            100 * form["lost"],
            "yes" if form["used"] else "no",
        ]
        for form in models.overview["wire_forms"]
    )
    return table(columns, rows)


def curves_table(models: Models) -> Table:
    """Build a table of the operating points of every capacity.

    An operating point is the pair of thresholds for one target offload share, with the accuracy on
    the calibration inputs at these thresholds.
    """
    columns = [
        ("capacity", "capacity"),
        ("offload_share", "target offload share"),
        ("calibration_accuracy", "accuracy on calibration inputs"),
        ("gate_threshold", "gate threshold"),
        ("accept_threshold", "accept threshold"),
    ]
    rows = (
        (
            capacity,
            point.offload_share,
            point.accuracy,
            point.gate_threshold,
            point.accept_threshold,
        )
        for capacity, curve in enumerate(models.curves, start=1)
        for point in curve.points
    )
    return table(columns, rows)


def _accuracies(models: Models) -> tuple[list[float], float]:
    """Return the accuracies of the capacities and of the cloud on the calibration inputs."""
    capacities = models.overview["capacities"]
    cloud: float = models.overview["cloud"]["calibration_accuracy"]
    return [entry["calibration_accuracy"] for entry in capacities], cloud


def _calibration(repository: Repository, sha256: str) -> Calibration:
    try:
        return Calibration.FromString(repository.read(sha256))
    except (DecodeError, RepositoryError):
        return Calibration()


def _rises(curve: RoutingCurve) -> bool:
    shares = [point.offload_share for point in curve.points]
    return len(shares) > 1 and all(low < high for low, high in itertools.pairwise(shares))
