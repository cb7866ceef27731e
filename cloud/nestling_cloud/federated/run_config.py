"""Configuration of a run of federated rounds, passed as the Flower app's run configuration."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Options of a run of rounds; every field is a key of Flower's run configuration.

    Attributes:
        repository: folder of the releases.
        store: database URL of receipts and rounds.
        task: a built-in task's name, or FILE.py:NAME.
        data_dir: folder with the task's data; empty to search the usual places.
        seed: random seed that the bundle was trained with; it determines the training data.
        run: name of the run in the table of rounds; empty to generate one.
        rounds: number of rounds.
        min_clients: fewest usable updates in a round; with fewer, the model does not change.
        local_epochs: epochs that a client trains in a round.
        client_weight: weight of the clients' models against the teacher in the distillation that
            follows the rounds, 0 to 1.
        timeout_s: most time for one answer of a client.
        wait_s: most time for the nodes to connect.
        calibration_margin: accuracy that the capacities may lose on the calibration data, as a
            fraction of 1.
        client_margin: accuracy that the median client may lose on its held-out data, as a fraction
            of 1.
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
        """Create a configuration from Flower's run configuration; other keys are ignored."""
        names = {field.name: field.name.replace("_", "-") for field in dataclasses.fields(cls)}
        return cls(**{name: values[key] for name, key in names.items() if key in values})

    def values(self) -> dict[str, str | int | float]:
        """Return the options as a Flower run configuration."""
        return {name.replace("_", "-"): value for name, value in vars(self).items()}
