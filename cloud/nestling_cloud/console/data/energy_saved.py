"""Computes the energy and bytes saved, compared with sending every input to the cloud.

All functions are pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.metrics.figures import Totals


def spent_by_provenance(totals: Totals) -> Mapping[str, float]:
    """Return the energy of all answers in mJ, by provenance.

    Energies of different provenance (measured, calibrated or modelled) are never added.
    """
    spent: dict[str, float] = {}
    for entry in totals.energy:
        spent[entry.provenance] = spent.get(entry.provenance, 0.0) + entry.energy_mj
    return spent


@dataclass(frozen=True, kw_only=True)
class Savings:
    """Energy and bytes saved, compared with sending every input to the cloud.

    Attributes:
        energy_mj: the energy saved, which is negative if the answers took more energy than sending
            every input would have taken. None if there are no answers, if the energies to compare
            are of different provenance, or if the energy of sending is not known for every input.
        provenance: the provenance of the energy, or "" if the energy is None.
        size_bytes: the number of bytes saved, in both directions together. None if there are no
            answers, or if the bytes of an offload are not known for every input.
    """

    energy_mj: float | None
    provenance: str
    size_bytes: int | None


def energy_saved(totals: Totals) -> Savings:
    """Compute the energy and bytes saved, compared with sending every input to the cloud."""
    spent = spent_by_provenance(totals)
    only = totals.cloud_only
    provenances = {*spent, *(entry.provenance for entry in only)}
    if not totals.answers or sum(entry.answers for entry in only) < totals.answers:
        return Savings(energy_mj=None, provenance="", size_bytes=None)
    size_bytes = sum(entry.size_bytes for entry in only) - totals.bytes_up - totals.bytes_down
    if len(provenances) != 1:
        return Savings(energy_mj=None, provenance="", size_bytes=size_bytes)
    (provenance,) = provenances
    unspent_mj = sum(entry.energy_mj for entry in only) - sum(spent.values())
    return Savings(energy_mj=unspent_mj, provenance=provenance, size_bytes=size_bytes)
