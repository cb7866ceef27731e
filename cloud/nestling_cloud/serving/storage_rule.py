"""Decides which offloaded inputs may be stored. Pure.

The task says it in its bundle (`Manifest.keep_inputs`), and the operator can only forbid more. What
a request says about itself decides nothing but whether its input is hard or audited.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.bundles.stored_kind import stored_kind
from nestling_cloud.store.hard_inputs import HardInput


@dataclass(frozen=True, kw_only=True)
class StorageRule:
    """Which inputs may be stored.

    Attributes:
        task: the name of the task.
        keep: "none", "hard" or "audited"; see `stored_kind`.
    """

    task: str
    keep: str

    @classmethod
    def of(cls, manifest: Manifest, *, forbidden: bool = False) -> Self:
        """Return the rule of a released bundle.

        The rule of the newest release holds, even for devices that still run an older one.

        Args:
            manifest: the manifest of the bundle that devices should run.
            forbidden: whether the operator forbids to store any input.
        """
        return cls(task=manifest.task, keep="none" if forbidden else stored_kind(manifest))

    def allowed(self, given: Sequence[HardInput]) -> list[HardInput]:
        """Return the inputs that may be stored, as inputs of the task."""
        return [replace(one, task=self.task) for one in given if self._allows(one)]

    def _allows(self, one: HardInput) -> bool:
        return self.keep == ("audited" if one.audited else "hard")
