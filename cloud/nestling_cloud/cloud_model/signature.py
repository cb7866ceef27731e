"""The input and output of a cloud model, as clients name them in requests."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Names and shapes of a model's input and output.

    Attributes:
        model: the model's name.
        input_name: name of the input tensor.
        shape: shape of one input, without the batch axis.
        output_name: name of the output tensor.
        classes: logits per input.
    """

    model: str
    input_name: str
    shape: tuple[int, ...]
    output_name: str
    classes: int
