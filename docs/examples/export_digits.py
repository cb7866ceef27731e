"""Writes digits.onnx, the teacher of digits_onnx.py.

It stands for whatever trained and exported your own file. As many such files do, this one takes
inputs from 0 to 1, accepts one input at a time, and answers with probabilities.
"""

from pathlib import Path

import torch
from digits import TASK, teacher
from torch import nn


class Exported(nn.Module):
    """The trained teacher of digits.py, with the ends that the file shall have."""

    def __init__(self) -> None:
        """Train the network."""
        super().__init__()
        self.network = teacher(TASK.signature)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the probabilities (1, 10) of a picture (1, 1, 8, 8) with points from 0 to 1."""
        probabilities: torch.Tensor = self.network(picture * 16).softmax(1)
        return probabilities


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.onnx.export(
        Exported().eval(),
        (torch.zeros(1, 1, 8, 8),),
        Path(__file__).with_name("digits.onnx"),
        external_data=False,
    )
