"""Decides which offloaded inputs may be stored.

The released bundle says which inputs of its task may be stored (`Manifest.keep_inputs`), and the
operator can forbid storing any. From a request, the rule takes only whether the input is hard or
audited. The module is pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.bundles.stored_kind import stored_kind
from nestling_cloud.serving.offered_input import OfferedInput
from nestling_cloud.store.hard_inputs import HardInput
from nestling_core.kinds.kind import Kind
from nestling_core.kinds.of_signature import kind_of


@dataclass(frozen=True, kw_only=True)
class StorageRule:
    """Selects the inputs that may be stored.

    Attributes:
        task: the name of the task.
        kind: the kind of the task.
        keep: "none", "hard" or "audited"; see `stored_kind`.
    """

    task: str
    kind: Kind
    keep: str

    @classmethod
    def of(cls, manifest: Manifest, *, forbidden: bool = False) -> Self:
        """Return the rule of a released bundle.

        The rule of the newest release holds, even for devices that still run an older one.

        Args:
            manifest: the manifest of the bundle that devices should run.
            forbidden: whether the operator forbids storing inputs.

        Raises:
            KindError: the kind of the task is unknown.
        """
        return cls(
            task=manifest.task,
            kind=kind_of(manifest.signature),
            keep="none" if forbidden else stored_kind(manifest),
        )

    def hard_inputs(self, given: Sequence[OfferedInput]) -> list[HardInput]:
        """Return the inputs that may be stored, with answers of the task's kind.

        Inputs with an answer that is not possible in the task are left out.
        """
        found = (one.hard_input(self.task, self.kind) for one in given if self._allows(one))
        return [one for one in found if one is not None]

    def _allows(self, one: OfferedInput) -> bool:
        return self.keep == ("audited" if one.audited else "hard")
