"""Reads picture and sound files as inputs of the task."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nestling.v1.bundle_pb2 import Signature
from nestling_core.media.errors import MediaError
from nestling_core.media.front_end import PICTURE, SOUND, PictureFrontEnd, input_of_file
from nestling_core.media.pictures import PICTURE_SUFFIXES, has_pillow
from nestling_core.media.sounds import SOUND_SUFFIX
from nestling_device.sources.array_file import open_regular
from nestling_device.sources.source import SourceError, Windows, one_line

_SUFFIXES = {PICTURE: PICTURE_SUFFIXES, SOUND: (SOUND_SUFFIX,)}


def is_media_file(path: Path, signature: Signature) -> bool:
    """Return whether a file has the name of a picture or sound that the task takes."""
    return path.suffix.lower() in _SUFFIXES.get(signature.media, ())


class MediaReader:
    """Reads picture or sound files in the way in which the cloud read them for training."""

    def __init__(
        self, signature: Signature, front_end: Callable[[], PictureFrontEnd | None]
    ) -> None:
        """Check that files of the task's media can be read.

        Args:
            signature: the signature of the task.
            front_end: a function that returns the front end of the bundle in use.

        Raises:
            SourceError: the task takes pictures, and Pillow is not installed.
        """
        if signature.media == PICTURE and not has_pillow():
            raise SourceError(
                "the task takes pictures, and Pillow, which reads them, is not installed",
                advice="pip install 'nestling[pictures]'",
            )
        self._signature = signature
        self._front_end = front_end

    @property
    def suffixes(self) -> Sequence[str]:
        """The extensions of the files that can be read, in lower case."""
        return _SUFFIXES.get(self._signature.media, ())

    def read_file(self, path: Path) -> Windows:
        """Return a file as an input, float32 in the task's shape.

        Raises:
            SourceError: the file cannot be opened or decoded, or does not fit the task.
        """
        try:
            with open_regular(path) as file:
                return self.read(file.read())
        except OSError as err:
            reason = err.strerror or err
            raise SourceError(f"{one_line(str(path))} cannot be opened: {reason}") from err
        except MediaError as err:
            raise SourceError(f"{one_line(str(path))} {err}") from err

    def read(self, data: bytes) -> Windows:
        """Return a file as an input, float32 in the task's shape.

        Args:
            data: the content of the file.

        Raises:
            MediaError: the file cannot be decoded, or does not fit the task. The text continues a
                sentence that begins with the file's name.
        """
        return input_of_file(data, self._signature, self._front_end())
