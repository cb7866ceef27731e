"""Decodes sound files, also those that devices do not read."""

import io

import numpy as np

from nestling_core.media.errors import DecoderMissingError, MediaError
from nestling_core.media.sounds import SOUND_SUFFIX, Sound, decode_wav

SOUND_SUFFIXES = (SOUND_SUFFIX, ".flac", ".ogg", ".mp3", ".aiff")
"""The extensions of sound files, in lower case."""


def decode_sound(name: str, data: bytes) -> Sound:
    """Return the samples of a sound file.

    Args:
        name: the name of the file, whose end says how it is decoded.
        data: the content of the file.

    Raises:
        MediaError: the file is damaged or empty.
        DecoderMissingError: soundfile, which all files but WAV need, is not installed.
    """
    if name.lower().endswith(SOUND_SUFFIX):
        return decode_wav(data)
    try:
        import soundfile  # noqa: PLC0415  only needed for such files
    except (ImportError, OSError) as err:
        raise DecoderMissingError(
            "needs soundfile, which is not installed: pip install 'nestling[train]'"
        ) from err
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except Exception as err:  # libsndfile's errors share no base
        raise MediaError(f"is not a readable sound: {err}") from err
    if not samples.size or not np.isfinite(samples).all():
        raise MediaError("has no samples, or some that are not finite")
    clipped = np.ascontiguousarray(np.clip(samples, -1, 1).T, np.float32)
    return Sound(samples=clipped, rate_hz=int(rate_hz))


def converted(sound: Sound, rate_hz: int) -> Sound:
    """Return a sound at another rate, filtered so that no frequency is folded.

    Devices do not do this: their microphones have to record at the task's rate.

    Args:
        sound: the sound.
        rate_hz: the wanted number of samples in a second.
    """
    from scipy.signal import resample_poly  # noqa: PLC0415  takes a second to import

    if sound.rate_hz == rate_hz:
        return sound
    common = int(np.gcd(sound.rate_hz, rate_hz))
    samples = resample_poly(sound.samples, rate_hz // common, sound.rate_hz // common, axis=1)
    return Sound(samples=np.ascontiguousarray(np.clip(samples, -1, 1), np.float32), rate_hz=rate_hz)
