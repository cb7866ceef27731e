"""The released bundle as pages and API show it."""

import itertools
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from nestling.v1.bundle_pb2 import Calibration, RoutingCurve, Signature
from nestling_cloud.bundles.overview import overview
from nestling_cloud.bundles.repository import Repository, RepositoryError
from nestling_cloud.console.data.table import Table, table
from nestling_cloud.console.data.units import number


@dataclass(frozen=True, kw_only=True)
class Models:
    """A released bundle.

    Attributes:
        overview: as `nestling-cloud bundle show --json` tells it.
        signature: of inputs and answers.
        curves: one for each capacity, smallest first; empty where none can be read.
        calibration_inputs: inputs behind them.
    """

    overview: dict[str, Any]
    signature: Signature
    curves: tuple[RoutingCurve, ...]
    calibration_inputs: int

    @property
    def bundle_version(self) -> str:
        """Version of this bundle."""
        version: str = self.overview["bundle_version"]
        return version

    @property
    def nest(self) -> int:
        """Number of capacities."""
        return len(self.overview["capacities"])

    def class_name(self, index: int | None) -> str:
        """Name of a class, its number where it has none, "none" where nothing was answered."""
        if index is None:
            return "none"
        names = self.signature.classes
        return names[index] if 0 <= index < len(names) else f"class {index}"


def models_of(repository: Repository) -> Models | None:
    """Read the released bundle, None where there is none to be read."""
    try:
        return read_models(repository)
    except RepositoryError:
        return None


def desired_version(repository: Repository) -> str:
    """Version of the bundle that devices should run now, "" where none can be told."""
    try:
        desired = repository.desired()
    except RepositoryError:
        return ""
    return desired.bundle_version if desired else ""


def bundle_note(running: str, desired: str) -> str:
    """What to say beside the bundle that a device runs.

    Args:
        running: version that the device reported, "" before it did.
        desired: version that it should run, "" where none is known.
    """
    if not desired:
        return ""
    return "as desired" if running == desired else f"should run {desired}"


def read_models(repository: Repository) -> Models:
    """Read the released bundle.

    Raises:
        RepositoryError: nothing was released, or a part is missing or damaged.
    """
    manifest = repository.manifest()
    calibration = _calibration(repository, manifest.calibration.sha256)
    usable = len(calibration.curves) == len(manifest.capacities)
    return Models(
        overview=overview(repository),
        signature=manifest.signature,
        curves=tuple(calibration.curves) if usable and all(map(_rises, calibration.curves)) else (),
        calibration_inputs=calibration.inputs,
    )


def measured_on(models: Models) -> str:
    """Say where the accuracies of a bundle come from, to stand beside them."""
    inputs = f"{number(models.calibration_inputs)} " if models.calibration_inputs else ""
    return f"on {inputs}calibration inputs, measured when the bundle was built"


def capacities_table(models: Models) -> Table:
    """What every capacity takes and brings; accuracies are those on the calibration inputs."""
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


def curves_table(models: Models) -> Table:
    """Operating points of every capacity."""
    columns = [
        ("capacity", "capacity"),
        ("offload_share", "target share to the cloud"),
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


def _calibration(repository: Repository, sha256: str) -> Calibration:
    try:
        return Calibration.FromString(repository.read(sha256))
    except (DecodeError, RepositoryError):
        return Calibration()


def _rises(curve: RoutingCurve) -> bool:
    shares = [point.offload_share for point in curve.points]
    return len(shares) > 1 and all(low < high for low, high in itertools.pairwise(shares))
