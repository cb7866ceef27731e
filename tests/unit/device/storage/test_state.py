from pathlib import Path

import pytest

from nestling_core.nest.bundle_files import blob_of
from nestling_device.storage.database import StorageError
from nestling_device.storage.state import BundleRecord, ReleaseFloor, State


def bundle(release: int, *, capacity: int = 1, task: str = "small") -> BundleRecord:
    return BundleRecord(
        manifest=blob_of(f"{task}-{release}".encode()),
        version=f"{task}-{release}-x",
        task=task,
        release=release,
        capacity=capacity,
    )


def break_half_way(state: State) -> None:
    with state._database.transaction() as cursor:
        cursor.execute("DELETE FROM bundles")
        cursor.execute("DELETE FROM nonsense")


def test_new_device_has_no_bundle_and_no_floor(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        assert (state.active(), state.previous(), state.floor("small")) == (None, None, None)


def test_switch_survives_reopening_and_remembers_the_previous_bundle(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(1))
        state.switch(bundle(2))

    with State(tmp_path) as state:
        assert bundle(2) == state.active()
        assert bundle(1) == state.previous()


def test_growing_the_active_bundle_keeps_the_previous_one(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(1))
        state.switch(bundle(2))
        state.switch(bundle(2, capacity=3))

        assert bundle(2, capacity=3) == state.active()
        assert bundle(1) == state.previous()


def test_floor_never_falls(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(5))
        state.switch(bundle(3))

        assert (ReleaseFloor(release=5, manifest_sha256=bundle(5).manifest.sha256)) == state.floor(
            "small"
        )


def test_floors_of_tasks_are_independent(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(5))

        assert state.floor("other") is None


def test_bd_seq_continues_after_restarts_and_wraps_after_255(tmp_path: Path) -> None:
    counted = []
    for _ in range(2):
        with State(tmp_path) as state:
            counted += [state.next_bd_seq() for _ in range(130)]

    assert [*range(256), 0, 1, 2, 3] == counted


def test_file_of_another_layout_is_refused_and_not_changed(tmp_path: Path) -> None:
    with State(tmp_path) as state, state._database.transaction() as cursor:
        cursor.execute("PRAGMA user_version=9")

    with pytest.raises(StorageError, match="layout 9"):
        State(tmp_path)


def test_damaged_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database, whatever its name says" * 100)

    with pytest.raises(StorageError, match=r"state\.db.*use another state folder"):
        State(tmp_path)


def test_file_instead_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")

    with pytest.raises(StorageError, match="folder"):
        State(tmp_path / "folder")


def test_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(1))

        with pytest.raises(StorageError):
            break_half_way(state)

        assert bundle(1) == state.active()


@pytest.mark.parametrize("content", [None, b""])
def test_floor_survives_a_lost_or_emptied_state_and_the_loss_is_logged(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(5))
    for path in tmp_path.glob("state.db*"):
        path.unlink()
    if content is not None:
        (tmp_path / "state.db").write_bytes(content)

    for _ in range(2):
        with State(tmp_path) as state:
            floor = state.floor("small")
            assert floor is not None
            assert (floor.release, floor.manifest_sha256) == (5, bundle(5).manifest.sha256)
            assert state.active() is None

    assert caplog.text.count("state.db no longer records which releases of small") == 1


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"floors": {"small": [1, "x"]}}'])
def test_damaged_copy_of_the_floors_is_logged_and_written_again(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(5))
    sound = (tmp_path / "floors.json").read_bytes()
    (tmp_path / "floors.json").write_bytes(content)

    State(tmp_path).close()

    assert "floors.json is damaged" in caplog.text
    assert sound == (tmp_path / "floors.json").read_bytes()


def test_higher_floor_of_the_two_files_counts(tmp_path: Path) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(5))
    (tmp_path / "floors.json").unlink()
    State(tmp_path).close()
    with State(tmp_path) as state, state._database.transaction() as cursor:
        cursor.execute("UPDATE floors SET release = 2")

    with State(tmp_path) as state:
        floor = state.floor("small")

    assert floor is not None
    assert floor.release == 5


@pytest.mark.parametrize("damage", ["size = 'many'", "sha256 = 'zz'", "version = x'00'"])
def test_invalid_row_is_reported(tmp_path: Path, damage: str) -> None:
    with State(tmp_path) as state:
        state.switch(bundle(5))
        with state._database.transaction() as cursor:
            cursor.execute(f"UPDATE bundles SET {damage}")  # noqa: S608 - constants

        with pytest.raises(StorageError, match=r"state\.db is damaged.*active bundle"):
            state.active()
