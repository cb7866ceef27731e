"""Installs the templates for the device's processor, from a bundle that was really trained.

Both kinds of templates run on any machine: the integers that they sum are the same.
"""

from pathlib import Path

import pytest

from nestling.v1.bundle_pb2 import Blob, GoldenInputs, Manifest
from nestling_cloud.bundles.repository import Repository
from nestling_core.nest.bundle_files import Activations, every_blob, shared_blobs
from nestling_core.nest.capacity import golden_inputs
from nestling_device.bundle.loaded_bundle import load_bundle
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import Installer, SelfTestError, VerifiedBundle
from nestling_device.storage.state import State
from tests.support.memory_source import MemorySource

ENOUGH = 10**7


def source_of(manifest: Manifest, repository: Repository) -> MemorySource:
    source = MemorySource()
    source.release(manifest, {b.sha256: repository.read(b.sha256) for b in every_blob(manifest)})
    return source


def install(folder: Path, source: MemorySource, activations: Activations) -> VerifiedBundle:
    with State(folder) as state:
        installer = Installer(state, BlobStore(folder / "blobs"), source, self_test, activations)
        return installer.install(ENOUGH)


def answers_its_golden_inputs(installed: VerifiedBundle, blobs: BlobStore) -> bool:
    """Return whether every logit equals the bundle's, bit for bit."""
    golden = GoldenInputs.FromString(blobs.read(installed.manifest.golden))
    inputs = golden_inputs(installed.manifest, golden)
    nest = load_bundle(installed, blobs).nest
    right = []
    for number, logits in enumerate(golden.logits, start=1):
        nest.load(number)
        right.append(nest.run(inputs).logits.astype("<f4").tobytes() == logits)
    return all(right)


@pytest.fixture
def repository(tiny_bundle: Path) -> Repository:
    return Repository(tiny_bundle)


def names(blobs: list[Blob]) -> set[str]:
    return {blob.sha256 for blob in blobs}


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_device_fetches_rings_and_its_own_templates_and_answers_the_golden_inputs(
    repository: Repository, tmp_path: Path, activations: Activations
) -> None:
    manifest = repository.manifest()
    source = source_of(manifest, repository)

    installed = install(tmp_path, source, activations)

    assert source.desired is not None
    own = "template_int8" if activations == "int8" else "template"
    expected = [
        source.desired.manifest,
        *shared_blobs(manifest),
        *(entry.ring for entry in manifest.capacities),
        *(getattr(entry, own) for entry in manifest.capacities),
    ]
    assert names(expected) == {sha256 for sha256, _ in source.fetched}
    assert answers_its_golden_inputs(installed, BlobStore(tmp_path / "blobs"))


def test_signed_device_runs_an_older_bundle_by_its_only_templates(
    repository: Repository, tmp_path: Path
) -> None:
    manifest = repository.manifest()
    for entry in manifest.capacities:
        entry.ClearField("template_int8")

    installed = install(tmp_path, source_of(manifest, repository), "int8")

    assert installed.capacity == len(manifest.capacities)
    assert answers_its_golden_inputs(installed, BlobStore(tmp_path / "blobs"))


def test_bundle_with_templates_of_the_other_type_keeps_running_without_the_cloud(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(repository.manifest(), repository)
    install(tmp_path, source, "uint8")  # as an older program did, which knew only this type
    blobs = BlobStore(tmp_path / "blobs")

    with State(tmp_path) as state:
        held = Installer(state, blobs, MemorySource(), self_test, "int8").active(ENOUGH)

    assert held is not None
    assert held.activations == "uint8"
    assert answers_its_golden_inputs(held, blobs)
    assert install(tmp_path, source, "int8").activations == "int8"  # replaced with the cloud


def test_wrong_signed_template_fails_only_on_a_signed_device(
    repository: Repository, tmp_path: Path
) -> None:
    manifest = repository.manifest()
    manifest.capacities[0].template_int8.CopyFrom(manifest.golden)
    source = source_of(manifest, repository)

    with pytest.raises(SelfTestError, match="does not run"):
        install(tmp_path / "signed", source, "int8")

    assert install(tmp_path / "unsigned", source, "uint8").capacity == len(manifest.capacities)
