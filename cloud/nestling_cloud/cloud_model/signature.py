"""Describes the input and output of a cloud model, as clients name them in requests."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The names and shapes of a model's input and output.

    Attributes:
        model: the model's name.
        input_name: the name of the input tensor.
        shape: the shape of one input, without the batch axis.
        output_name: the name of the output tensor.
        classes: the number of outputs for each input, such as the logits of the classes.
    """

    model: str
    input_name: str
    shape: tuple[int, ...]
    output_name: str
    classes: int
