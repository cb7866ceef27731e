"""Runs the graph that turns a decoded picture into an input.

The graph is part of the bundle, so that the cloud and all devices compute the same.
"""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_core.execution.session import open_session, quiet_run
from nestling_core.media.errors import MediaError
from nestling_core.media.pictures import Pixels, decode_picture
from nestling_core.media.sounds import decode_wav, sound_input

PICTURE, SOUND = "picture", "sound"
"""The values of `Signature.media` other than "array"."""

_CHECKED_SIZES = ((1, 1), (37, 53))


class PictureFrontEnd:
    """Crops and scales decoded pictures to the size of a task's inputs."""

    def __init__(self, graph: bytes, signature: Signature) -> None:
        """Open a graph, and try it on two pictures.

        Args:
            graph: the ONNX graph from "picture", uint8 (height, width, 3), to an input as uint8.
            signature: the signature of the task.

        Raises:
            SessionError: onnxruntime cannot open the graph.
            MediaError: the graph does not give inputs of the task.
        """
        self._session = open_session(graph)
        self._shape = tuple(signature.shape)
        for size in _CHECKED_SIZES:
            self.levels(np.zeros((*size, 3), np.uint8))

    def levels(self, pixels: Pixels) -> Pixels:
        """Return a picture as an input in 8 bits.

        Args:
            pixels: the decoded picture, uint8 (height, width, 3), of any size.

        Returns:
            uint8 in the task's shape; 255 is the input's 1.

        Raises:
            MediaError: the graph fails.
        """
        try:
            (levels,) = self._session.run(None, {"picture": pixels}, quiet_run())
        except Exception as err:  # onnxruntime raises a dozen classes that share no base
            raise MediaError(f"cannot be scaled by the bundle's graph: {err}") from err
        if levels.shape != self._shape or levels.dtype != np.uint8:
            raise MediaError(
                f"becomes {levels.dtype} {levels.shape} in the bundle's graph, and the task takes "
                f"{self._shape}"
            )
        found: Pixels = levels
        return found

    def input_of(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return a decoded picture as an input, float32 from 0 to 1 in the task's shape.

        Args:
            pixels: the decoded picture, uint8 (height, width, 3), of any size.

        Raises:
            MediaError: the graph fails.
        """
        return as_input(self.levels(pixels))


def as_input(levels: Pixels) -> NDArray[np.float32]:
    """Return an input in 8 bits as float32 from 0 to 1."""
    return levels.astype(np.float32) / np.float32(255)


def input_of_file(
    data: bytes, signature: Signature, front_end: PictureFrontEnd | None
) -> NDArray[np.float32]:
    """Return the content of a picture file or of a WAV file as an input of a task.

    Args:
        data: the content of the file.
        signature: the signature of the task, whose media are pictures or sounds.
        front_end: the front end of the task, which pictures need.

    Returns:
        The input, float32 in the task's shape.

    Raises:
        MediaError: the file cannot be decoded, or does not fit the task; the task takes pictures,
            and there is no front end; or it takes neither pictures nor sounds.
    """
    if signature.media == PICTURE:
        if front_end is None:
            raise MediaError(
                "cannot be read: the bundle has no graph that scales pictures; train it again"
            )
        return front_end.input_of(decode_picture(data))
    if signature.media == SOUND:
        return sound_input(decode_wav(data), rate_hz=signature.rate_hz, length=signature.shape[1])
    raise MediaError("is not of a kind that the task takes: it takes arrays")
