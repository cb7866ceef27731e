"""Defines the options of a run of federated rounds, which Flower passes to the server app."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The options of a run of rounds.

    Every field is also a key of Flower's run configuration, with dashes in place of underscores.

    Attributes:
        repository: the folder of the releases.
        store: the URL of the database of receipts and rounds.
        task: the name of a built-in task, or FILE.py:NAME.
        data_dir: the folder with the task's data; empty to search the usual places.
        seed: the random seed that the bundle was trained with. It determines which of the task's
            data is the training data.
        run: the name of the run in the table of rounds; empty to generate a name.
        rounds: the number of rounds.
        min_clients: the fewest valid updates in a round; with fewer, the model does not change.
        local_epochs: the number of epochs that a client trains in a round.
        client_weight: the weight of the clients' mean logits in the distillation that follows the
            rounds, 0 to 1. The teacher's logits have the weight `1 - client_weight`.
        timeout_s: the longest time to wait for the clients' answers to a message, in seconds.
        wait_s: the longest time to wait for enough clients to connect before a round, in seconds.
        calibration_margin: the largest drop in accuracy allowed on the calibration data, averaged
            over the capacities (sizes of the student), as a fraction of 1.
        client_margin: the largest drop in accuracy allowed for the median client, as a fraction of
            1. Each client's drop is measured on that client's own held-out data.
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
        """Return the options in Flower's run configuration.

        Missing options get their defaults, and other keys of the run configuration are ignored.

        Args:
            values: Flower's run configuration, a mapping from keys to values.
        """
        names = {field.name: field.name.replace("_", "-") for field in dataclasses.fields(cls)}
        return cls(**{name: values[key] for name, key in names.items() if key in values})

    def values(self) -> dict[str, str | int | float]:
        """Return the options as a Flower run configuration."""
        return {name.replace("_", "-"): value for name, value in vars(self).items()}
