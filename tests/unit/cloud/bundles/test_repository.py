from collections.abc import Callable
from pathlib import Path

import pytest

from nestling.v1 import bundle_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import BlobNotFoundError, RepositoryError

MakeManifest = Callable[..., bundle_pb2.Manifest]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_models_are_kept_by_their_content(repository: Repository) -> None:
    versions = [
        bundle_pb2.CloudModel(name="teacher", onnx=repository.add_model(content))
        for content in (b"old", b"new")
    ]

    assert [repository.read_model(version) for version in versions] == [b"old", b"new"]


def test_missing_model_is_not_found(repository: Repository) -> None:
    lost = bundle_pb2.CloudModel(name="teacher", onnx=bundle_pb2.Blob(sha256="0" * 64, size=1))

    with pytest.raises(BlobNotFoundError, match="cloud model 'teacher' is missing"):
        repository.read_model(lost)


@pytest.mark.parametrize("sha256", ["", "../../evil", "A" * 64])
def test_model_whose_name_is_no_digest_is_not_found(repository: Repository, sha256: str) -> None:
    with pytest.raises(BlobNotFoundError, match="is missing; release the bundle again"):
        repository.read_model(bundle_pb2.CloudModel(onnx=bundle_pb2.Blob(sha256=sha256)))


def test_released_bundle_is_the_desired_one(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    manifest = make_manifest(repository, release=7)

    desired = repository.release(manifest)

    assert desired == repository.desired()
    assert desired.release == 7
    assert desired.bundle_version == f"tiny-7-{desired.manifest.sha256[:8]}"
    assert repository.manifest() == manifest


def test_empty_repository_has_no_desired_bundle(repository: Repository) -> None:
    assert repository.desired() is None
    with pytest.raises(RepositoryError, match="no bundle has been released"):
        repository.manifest()


def test_release_with_a_missing_blob_is_refused(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    manifest = make_manifest(repository)
    manifest.capacities[1].ring.sha256 = "0" * 64

    with pytest.raises(BlobNotFoundError):
        repository.release(manifest)
    assert repository.desired() is None


def test_release_with_a_missing_signed_template_is_refused(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    manifest = make_manifest(repository)
    manifest.capacities[1].template_int8.sha256 = "0" * 64

    with pytest.raises(BlobNotFoundError):
        repository.release(manifest)


def test_release_with_a_wrong_size_is_refused(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    manifest = make_manifest(repository)
    manifest.golden.size += 1

    with pytest.raises(RepositoryError, match="add it again"):
        repository.release(manifest)


@pytest.mark.parametrize("number", [1, 2])
def test_release_number_that_is_not_higher_is_refused(
    repository: Repository, make_manifest: MakeManifest, number: int
) -> None:
    current = repository.release(make_manifest(repository, release=2))
    other = make_manifest(repository, release=number)
    other.cloud.macs = 99

    with pytest.raises(RepositoryError, match="use a higher number"):
        repository.release(other)
    assert repository.desired() == current


def test_releasing_the_same_manifest_again_changes_nothing(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    manifest = make_manifest(repository)

    assert repository.release(manifest) == repository.release(manifest)


def test_another_task_starts_its_own_release_numbers(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    repository.release(make_manifest(repository, release=5))

    repository.release(make_manifest(repository, release=1, task="other"))

    assert repository.manifest().task == "other"


def test_damaged_manifest_is_reported(
    repository: Repository, make_manifest: MakeManifest, tmp_path: Path
) -> None:
    desired = repository.release(make_manifest(repository))
    path = tmp_path / "repository" / "blobs" / desired.manifest.sha256
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(RepositoryError, match="the manifest is damaged"):
        repository.manifest()


def test_failed_write_leaves_nothing_behind(repository: Repository, tmp_path: Path) -> None:
    repository.add_checkpoint("old", b"old")
    folder = tmp_path / "repository" / "checkpoints"
    (folder / "other.npz").mkdir()  # replacing a folder by a file fails

    with pytest.raises(OSError, match="directory"):
        repository.add_checkpoint("other", b"new")

    assert repository.read_checkpoint("old") == b"old"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_checkpoint_is_stored_by_bundle_version_and_not_as_a_blob(
    repository: Repository, tmp_path: Path
) -> None:
    repository.add_checkpoint("tiny-1-0123abcd", b"weights")

    assert repository.checkpoint_path("tiny-1-0123abcd").read_bytes() == b"weights"
    assert not (tmp_path / "repository" / "blobs").exists()  # devices fetch only blobs


def test_bundle_without_a_checkpoint_says_how_to_get_one(repository: Repository) -> None:
    with pytest.raises(BlobNotFoundError, match=r"no checkpoint .* --retrain"):
        repository.checkpoint_path("tiny-1-0123abcd")


@pytest.mark.parametrize("version", ["../evil", "", "a/b", ".hidden"])
def test_version_that_is_not_a_file_name_is_refused(repository: Repository, version: str) -> None:
    with pytest.raises(RepositoryError, match="not a bundle version"):
        repository.checkpoint_path(version)


def sealed(repository: Repository, make_manifest: MakeManifest) -> str:
    """Release a complete bundle; returns its version."""
    released = repository.release(make_manifest(repository, teacher=b"teacher"))
    repository.add_checkpoint(released.bundle_version, b"weights")
    return released.bundle_version


def test_complete_bundle_passes_the_check(
    repository: Repository, make_manifest: MakeManifest
) -> None:
    version = sealed(repository, make_manifest)

    assert repository.check() == repository.manifest()
    assert repository.read_model(repository.manifest().cloud) == b"teacher"
    assert repository.read_checkpoint(version) == b"weights"


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: None,
        lambda _: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: bytes([whole[0] ^ 1]) + whole[1:],
    ],
    ids=["missing", "empty", "cut", "one bit"],
)
def test_damage_of_any_part_of_a_bundle_is_detected(
    repository: Repository,
    make_manifest: MakeManifest,
    damage: Callable[[bytes], bytes | None],
) -> None:
    sealed(repository, make_manifest)
    parts = sorted(path for path in repository.root.rglob("*") if path.is_file())
    assert len(parts) > 8

    for path in parts:
        whole = path.read_bytes()
        path.unlink()
        if (damaged := damage(whole)) is not None:
            path.write_bytes(damaged)
        with pytest.raises(RepositoryError):
            repository.check()
        path.write_bytes(whole)
    repository.check()
