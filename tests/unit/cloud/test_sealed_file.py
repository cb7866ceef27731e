from pathlib import Path

import pytest

from nestling_cloud import sealed_file
from nestling_cloud.atomic_file import write_whole
from nestling_cloud.sealed_file import SealError, read_sealed, seal_of, write_sealed


def test_sealed_file_reads_back_and_passes_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "model"

    write_sealed(path, b"first")
    write_sealed(path, b"second")

    assert read_sealed(path) == b"second"
    (line,) = seal_of(path).read_text().splitlines()
    assert line.endswith("  model")


@pytest.mark.parametrize("content", [b"", b"fir", b"first!", b"tsrif"])
def test_file_with_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    write_sealed(path, b"first")
    path.write_bytes(content)

    with pytest.raises(
        SealError, match=f"model is damaged: the SHA-256 of its {len(content)} bytes"
    ):
        read_sealed(path)


@pytest.mark.parametrize("seal", [None, b"", b"\xff\xfe"])
def test_file_without_a_readable_seal_is_refused(tmp_path: Path, seal: bytes | None) -> None:
    path = tmp_path / "model"
    write_sealed(path, b"first")
    if seal is None:
        seal_of(path).unlink()
    else:
        seal_of(path).write_bytes(seal)

    with pytest.raises(SealError, match=r"model\.sha256 does not hold its SHA-256"):
        read_sealed(path)


def test_file_with_another_files_seal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_sealed(path, b"first")
    seal_of(path).write_bytes(b"0" * 64)

    with pytest.raises(SealError, match="is damaged"):
        read_sealed(path)


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("kill_at", [0, 1, 2])
def test_file_is_old_or_new_whenever_its_writer_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes | None, kill_at: int
) -> None:
    path, writes = tmp_path / "model", list[Path]()
    if before is not None:
        write_sealed(path, before)

    def killed(file: Path, data: bytes, *, folder_mode: int) -> None:
        if len(writes) == kill_at:
            raise KeyboardInterrupt
        writes.append(file)
        write_whole(file, data, folder_mode=folder_mode)

    monkeypatch.setattr(sealed_file, "write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        write_sealed(path, b"new")
    monkeypatch.undo()

    if path.exists():
        assert read_sealed(path) == (b"new" if kill_at == 2 else before)
    else:
        assert before is None
    write_sealed(path, b"newest")
    assert read_sealed(path) == b"newest"


def test_file_is_the_old_one_after_several_writers_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    write_sealed(path, b"old")

    def killed(file: Path, data: bytes, *, folder_mode: int) -> None:
        if file == path:
            raise KeyboardInterrupt
        write_whole(file, data, folder_mode=folder_mode)

    monkeypatch.setattr(sealed_file, "write_whole", killed)
    for data in (b"new", b"newer"):
        with pytest.raises(KeyboardInterrupt):
            write_sealed(path, data)

    assert read_sealed(path) == b"old"
