"""Small folders of made-up pictures, sounds and recordings."""

import io
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLORS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 230)}
RATE_HZ = 8000


def picture(color: str, seed: int, size: tuple[int, int] = (24, 30)) -> Image.Image:
    """A disc of a color somewhere on a noisy background, (height, width)."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 90, (*size, 3), dtype=np.uint8)
    made = Image.fromarray(noise)
    x, y = int(rng.integers(4, size[1] - 12)), int(rng.integers(2, size[0] - 12))
    ImageDraw.Draw(made).ellipse((x, y, x + 9, y + 9), fill=COLORS[color])
    return made


def write_pictures(folder: Path, count: int, *, first: int = 0) -> None:
    """Write `count` pictures of every color, half of them as JPEG and half as PNG files."""
    for number, color in enumerate(COLORS):
        (folder / color).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            end = "jpg" if index % 2 else "png"
            made = picture(color, first + 1000 * number + index)
            made.save(folder / color / f"{first + index:03d}.{end}", quality=95)


def wav(samples: Sequence[float], rate_hz: int = RATE_HZ) -> bytes:
    """A mono WAV file of 16 bits."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def tone(hertz: float, seconds: float, seed: int, rate_hz: int = RATE_HZ) -> bytes:
    """A WAV file of a noisy tone."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    noise = rng.normal(scale=0.05, size=len(times))
    samples = np.clip(0.5 * np.sin(2 * np.pi * hertz * times) + noise, -1, 1)
    return wav(samples.tolist(), rate_hz)


def write_sounds(folder: Path, count: int) -> None:
    """Write `count` tones of two pitches by each of four speakers: `<pitch>_<speaker>_<n>.wav`."""
    folder.mkdir(parents=True, exist_ok=True)
    for pitch, hertz in (("low", 300.0), ("high", 1500.0)):
        for place, speaker in enumerate(("ann", "bob", "cem", "dan")):
            for number in range(count):
                seed = 100 * place + number + int(hertz)
                data = tone(hertz * (1 + place / 50), 0.1 + 0.01 * (number % 3), seed)
                (folder / f"{pitch}_{speaker}_{number}.wav").write_bytes(data)


def write_recordings(folder: Path, files: int, *, rows: int = 60, label: bool = True) -> None:
    """Write recordings of a machine at 1 Hz, which shakes while something is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        rng = np.random.default_rng(number)
        wrong = (np.arange(rows) >= rows // 2).astype(int)
        shaking = rng.normal(size=rows) * (1 + 4 * wrong)
        flow = 30 + np.cumsum(rng.normal(scale=0.1, size=rows))
        lines = ["datetime;shaking;flow" + ";anomaly;changepoint" * label]
        for row in range(rows):
            time = f"2026-01-01 00:{row // 60:02d}:{row % 60:02d}"
            marks = f";{wrong[row]}.0;{int(row == rows // 2)}.0" if label else ""
            lines.append(f"{time};{shaking[row]:.5f};{flow[row]:.5f}{marks}")
        (folder / f"{number}.csv").write_text("\n".join(lines) + "\n")
