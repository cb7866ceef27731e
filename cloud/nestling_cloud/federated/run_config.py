"""What a run of federated rounds is told: the keys of the Flower app's run configuration."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run of rounds is told; every field is a key of the run configuration.

    Attributes:
        repository: folder of the releases.
        store: database URL of receipts and rounds.
        task: a built-in task's name, or FILE.py:NAME.
        data_dir: folder with the task's data, empty for the usual places.
        seed: that the bundle was trained with; it decides which data is for training.
        run: name of the run in the record; empty makes one up.
        rounds: how many.
        min_clients: with fewer a round changes nothing.
        local_epochs: of a client in a round.
        client_weight: of the clients' models against the teacher's, afterwards.
        timeout_s: what a client may take for one answer.
        wait_s: what the nodes may take to connect.
        calibration_margin: what the capacities may lose on the calibration data, part of 1.
        client_margin: what the median client may lose on its held-out data, part of 1.
    """

    repository: str
    store: str
    task: str
    data_dir: str = ""
    seed: int = 0
    run: str = ""
    rounds: int = 5
    min_clients: int = 2
    local_epochs: int = 4
    client_weight: float = 0.2
    timeout_s: float = 600.0
    wait_s: float = 60.0
    calibration_margin: float = 0.05
    client_margin: float = 0.0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read a Flower run configuration; keys of others are left alone."""
        names = {field.name: field.name.replace("_", "-") for field in dataclasses.fields(cls)}
        return cls(**{name: values[key] for name, key in names.items() if key in values})

    def values(self) -> dict[str, str | int | float]:
        """The same as a Flower run configuration."""
        return {name.replace("_", "-"): value for name, value in vars(self).items()}
