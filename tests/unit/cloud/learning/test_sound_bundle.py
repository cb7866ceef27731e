"""A small sound task is learned and released as a whole, and a device answers raw samples."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning.pipeline import LearnedTask, learn
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import concatenate
from nestling_core.nest.bundle_files import Activations
from nestling_core.student.weights import student_of
from nestling_core.wire.choice import best_form
from nestling_core.wire.forms import WIRE_NAMES
from nestling_device.bundle.loaded_bundle import load_bundle
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import VerifiedBundle
from nestling_device.delivery.release_rules import needed_blobs
from nestling_device.inference.agent import Agent
from nestling_device.inference.input_errors import InputError, UnanswerableError
from tests.support.agent_rig import METER, KnowingCloud, ListJournal, budget
from tests.support.memory_source import MemorySource
from tests.support.sound_task import FRONT_END, LENGTH, SOUND_TASK, note_splits

SPLITS = note_splits()


@pytest.fixture(scope="module")
def learned() -> LearnedTask:
    return learn(SOUND_TASK, SPLITS, seed=0, progress=SilentProgress())


@pytest.fixture(scope="module")
def repository(learned: LearnedTask, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("sound") / "repository")
    release_bundle(made, SOUND_TASK, learned, release=1)
    return made


def installed(
    repository: Repository, folder: Path, activations: Activations
) -> tuple[VerifiedBundle, BlobStore]:
    """Fetch the bundle as a device does."""
    manifest, source, store = repository.manifest(), MemorySource(), BlobStore(folder)
    needed = needed_blobs(manifest, 2, activations)
    source.release(manifest, {blob.sha256: repository.read(blob.sha256) for blob in needed})
    for blob in needed:
        store.download(source, blob)
    desired = repository.desired()
    assert desired is not None
    version = desired.bundle_version
    bundle = VerifiedBundle(manifest=manifest, version=version, capacity=2, activations=activations)
    return bundle, store


def agent_of(repository: Repository, folder: Path) -> Agent:
    bundle, store = installed(repository, folder, "uint8")
    return Agent(
        load_bundle(bundle, store),
        KnowingCloud([np.zeros(3, np.float32)]),
        METER,
        deadline_ms=100,
        journal=ListJournal([], []),
        grow=lambda _: load_bundle(bundle, store),
    )


ALL_OF_IT = budget(memory_bytes=1 << 30, latency_ms=1e6, energy_mj=1e6, offload_share=0.0)


def test_device_answers_raw_samples(repository: Repository, tmp_path: Path) -> None:
    agent, test = agent_of(repository, tmp_path), concatenate(SPLITS.test)

    receipts = [agent.answer(0, window, ALL_OF_IT) for window in test.inputs]

    answers = np.array([receipt.answer for receipt in receipts])
    assert (answers == test.labels).mean() > 0.8
    assert {receipt.route.capacity for receipt in receipts} <= {1, 2}


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_bundle_passes_the_devices_self_test(
    repository: Repository, tmp_path: Path, activations: Activations
) -> None:
    bundle, store = installed(repository, tmp_path, activations)

    self_test(bundle.manifest, 2, store, activations)


def test_silence_and_full_scale_are_answered(repository: Repository, tmp_path: Path) -> None:
    agent = agent_of(repository, tmp_path)

    for window in (
        np.zeros((1, LENGTH), np.float32),
        np.ones((1, LENGTH), np.float32),
        np.where(np.arange(LENGTH) % 8 < 4, 1, -1).astype(np.float32)[None],
    ):
        assert agent.answer(0, window, ALL_OF_IT).answer in {0, 1, 2}


def test_sample_more_or_less_or_no_number_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    agent = agent_of(repository, tmp_path)

    for length in (LENGTH - 1, LENGTH + 1):
        with pytest.raises(InputError, match=rf"takes float32 \(1, {LENGTH}\)"):
            agent.answer(0, np.zeros((1, length), np.float32), ALL_OF_IT)
    with pytest.raises(UnanswerableError, match="not finite"):
        agent.answer(0, np.full((1, LENGTH), np.nan, np.float32), ALL_OF_IT)


def test_student_of_the_checkpoint_answers_almost_as_the_devices_graphs(
    learned: LearnedTask, repository: Repository, tmp_path: Path
) -> None:
    bundle, store = installed(repository, tmp_path, "uint8")
    nest, inputs = load_bundle(bundle, store).nest, concatenate(SPLITS.test).inputs
    student = student_of(SOUND_TASK.signature, SOUND_TASK.student, learned.checkpoint)

    for capacity in (1, 2):
        nest.load(capacity)
        found = nest.run(inputs[:]).logits.argmax(1)
        with torch.no_grad():
            expected = student(torch.from_numpy(inputs), capacity).argmax(1).numpy()
        assert (found == expected).mean() > 0.9  # the rest is rounding to eight bits


def test_samples_are_sent_in_few_bytes(repository: Repository) -> None:
    manifest = repository.manifest()

    forms = {form.name: form for form in manifest.cloud.wire_forms}
    assert forms["int16"].scales == [1 / 32768]
    assert forms["int16"].changed == 0
    assert forms["int16"].lost == pytest.approx(0, abs=1e-6)  # one sample is -1
    assert best_form(manifest, WIRE_NAMES).payload_bytes <= forms["int16"].payload_bytes
    assert forms["int16"].payload_bytes < forms["fp32"].payload_bytes / 2


def test_memory_and_operations_include_the_front_end(repository: Repository) -> None:
    shape = (1, LENGTH)

    for entry in repository.manifest().capacities:
        assert entry.macs > FRONT_END.macs(shape)
        assert entry.memory_bytes > FRONT_END.memory_bytes(shape) + entry.template.size
