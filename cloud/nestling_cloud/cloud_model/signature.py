"""The input and output of a cloud model, as clients name them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What goes into a model and what comes out, without the batch axis."""

    model: str
    input_name: str
    shape: tuple[int, ...]
    output_name: str
    classes: int
