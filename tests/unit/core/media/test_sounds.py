import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_core.media.errors import MediaError
from nestling_core.media.sounds import Sound, decode_wav, sound_input


def pcm(samples: list[int], *, width: int = 2, channels: int = 1, rate_hz: int = 8000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        signed = width > 1
        file.writeframes(b"".join(s.to_bytes(width, "little", signed=signed) for s in samples))
    return stream.getvalue()


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def fmt(kind: int, channels: int, rate_hz: int, bits: int) -> bytes:
    block = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate_hz, rate_hz * block, block, bits)


@pytest.mark.parametrize(
    ("width", "samples", "expected"),
    [
        (1, [0, 128, 192], [-1, 0, 0.5]),
        (2, [-(2**15), 0, 2**14], [-1, 0, 0.5]),
        (3, [-(2**23), 0, 2**22], [-1, 0, 0.5]),
        (4, [-(2**31), 0, 2**30], [-1, 0, 0.5]),
    ],
)
def test_integers_become_parts_of_full_scale(
    width: int, samples: list[int], expected: list[float]
) -> None:
    found = decode_wav(pcm(samples, width=width, rate_hz=16000))

    assert found.samples.dtype == np.float32
    assert found.samples.tolist() == [expected]
    assert found.rate_hz == 16000


def test_floats_and_the_extensible_format_are_read() -> None:
    data = np.array([0.25, -3.0], "<f4").tobytes()
    extensible = fmt(0xFFFE, 1, 8000, 32) + struct.pack("<HHIH14s", 22, 32, 0, 3, b"")

    assert decode_wav(riff((b"fmt ", fmt(3, 1, 8000, 32)), (b"data", data))).samples.tolist() == [
        [0.25, -1.0]
    ]
    assert decode_wav(riff((b"fmt ", extensible), (b"data", data))).samples.tolist() == [
        [0.25, -1.0]
    ]


def test_other_chunks_are_skipped_and_channels_are_averaged() -> None:
    file = riff(
        (b"LIST", b"odd"),
        (b"fmt ", fmt(1, 2, 8000, 16)),
        (b"data", struct.pack("<4h", 2**14, 0, 0, 2**14)),
    )

    assert decode_wav(file).mono.tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a WAV"),
        (b"RIFF\0\0\0\0WAVE", "no samples"),
        (pcm([1, 2, 3])[:-2], "incomplete"),
        (riff((b"data", b"\0\0"), (b"fmt ", fmt(1, 1, 8000, 16))), "before their format"),
        (riff((b"fmt ", b"\1\0"), (b"data", b"\0\0")), "format is incomplete"),
        (riff((b"fmt ", fmt(1, 0, 8000, 16)), (b"data", b"\0\0")), "0 channels"),
        (riff((b"fmt ", fmt(1, 1, 0, 16)), (b"data", b"\0\0")), "0 samples a second"),
        (riff((b"fmt ", fmt(6, 1, 8000, 8)), (b"data", b"\0\0")), "format 6 with 8 bits"),
        (riff((b"fmt ", fmt(1, 1, 8000, 16)), (b"data", b"")), "not whole samples"),
        (riff((b"fmt ", fmt(1, 1, 8000, 16)), (b"data", b"\0\0\0")), "not whole samples"),
        (
            riff((b"fmt ", fmt(3, 1, 8000, 32)), (b"data", np.array([np.nan], "<f4").tobytes())),
            "not finite",
        ),
        (pcm([1])[:40] + struct.pack("<I", 2**32 - 1) + b"\0\0", "announces 4294967295 bytes"),
    ],
)
def test_unusable_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        decode_wav(data)


def test_middle_of_a_long_sound_is_kept_and_a_short_one_is_surrounded_by_zeros() -> None:
    sound = Sound(samples=np.array([[1, 2, 3, 4, 5]], np.float32), rate_hz=8000)

    assert sound_input(sound, rate_hz=8000, length=3).tolist() == [[2, 3, 4]]
    assert sound_input(sound, rate_hz=8000, length=5).tolist() == [[1, 2, 3, 4, 5]]
    assert sound_input(sound, rate_hz=8000, length=8).tolist() == [[0, 1, 2, 3, 4, 5, 0, 0]]


def test_sound_of_another_rate_is_refused_and_not_converted() -> None:
    sound = Sound(samples=np.zeros((1, 5), np.float32), rate_hz=44100)

    with pytest.raises(MediaError, match="44100 samples a second, and the task takes 8000"):
        sound_input(sound, rate_hz=8000, length=3)


@given(st.binary(max_size=80), st.integers(0, 60))
def test_damage_is_a_media_error_or_a_sound(noise: bytes, place: int) -> None:
    data = bytearray(pcm(list(range(20))))
    data[place : place + len(noise)] = noise
    try:
        found = decode_wav(bytes(data))
    except MediaError:
        return
    assert np.abs(found.samples).max() <= 1
