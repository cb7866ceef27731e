from pathlib import Path

import pytest
import torch

from nestling_cloud.learning.distillation import ViewsError, view_tensors
from nestling_cloud.learning.distillation.view_tensors import ViewTensors, check_room

ROWS = torch.linspace(-0.5, 1.5, 2 * 5 * 6).reshape(2, 5, 2, 3)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep no views in memory, and return the folder of their file."""
    monkeypatch.setattr(view_tensors, "MOST_IN_MEMORY", 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def filled(stored: torch.dtype) -> ViewTensors:
    views = ViewTensors(2, (2, 3), 5, stored)
    for view, rows in enumerate(ROWS):
        views.put(view, 3, rows[3:])
        views.put(view, 0, rows[:3])
    return views


@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
def test_copies_on_disk_are_those_in_memory(on_disk: Path, stored: torch.dtype) -> None:
    views = filled(stored)

    assert views.shape == (2, 5, 2, 3)
    for view, expected in zip(views, ROWS, strict=True):
        assert torch.equal(view[:].float(), expected.to(stored).float())
        assert torch.equal(view[torch.tensor([4, 0, 4])], view[:][[4, 0, 4]])
        assert torch.equal(view[1:3], view[:][1:3])


def test_pictures_on_disk_are_clipped_and_rounded(on_disk: Path) -> None:
    found = filled(torch.uint8)[1][:]

    assert torch.allclose(found, ROWS[1].clamp(0, 1), atol=0.5 / 255 + 1e-6)
    assert torch.equal((found * 255).round() / 255, found)


def test_file_of_copies_has_no_name_that_a_crash_could_leave(on_disk: Path) -> None:
    views = filled(torch.float32)

    assert list(on_disk.iterdir()) == []
    assert torch.equal(views[0][:], ROWS[0])


def test_copies_that_the_disk_cannot_hold_are_refused_before_training(tmp_path: Path) -> None:
    huge = (8, 10**9, 3, 1000, 1000)

    with pytest.raises(ViewsError, match=r"8 augmented copies .* need .* GB on disk, but .* full"):
        check_room(huge, torch.uint8)
    with pytest.raises(ViewsError, match=r"TMPDIR|Distillation"):
        ViewTensors(8, (3, 1000, 1000), 10**9, torch.uint8)
    check_room((8, 100, 3, 10, 10), torch.uint8)


def test_a_row_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(IndexError):
        filled(torch.float32)[2]
