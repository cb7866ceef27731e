"""The errors of picture and sound files.

MediaError
└── DecoderMissingError
"""


class MediaError(ValueError):
    """Raised when a file is no picture or sound that can be used, or does not fit the task.

    The text continues a sentence that begins with the name of the file.
    """


class DecoderMissingError(MediaError):
    """Raised when the package that decodes such files is not installed."""
