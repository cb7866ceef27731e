"""Releases the models of a trained task as a bundle in a repository."""

from nestling.v1 import bundle_pb2
from nestling.v1.delivery_pb2 import GetDesiredBundleResponse
from nestling_cloud.bundles.release_check import try_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_cloud.learning.pipeline import LearnedTask
from nestling_cloud.learning.train_teacher import cloud_model_name
from nestling_cloud.tasks.task import Task
from nestling_core.media.front_end import PICTURE
from nestling_core.nest.bundle_files import MANIFEST_FORMAT, blob_of, bundle_version
from nestling_core.student.weights import write_arrays


def release_bundle(
    repository: Repository, task: Task, learned: LearnedTask, *, release: int
) -> GetDesiredBundleResponse:
    """Release the models of a trained task as the bundle that devices should run.

    The bundle is checked first, and is not released if the check fails. The repository also
    receives the teacher, and the checkpoint from which federated rounds start.

    Args:
        repository: the repository to release to.
        task: the task that was trained.
        learned: the trained models.
        release: the release number, which must be above the current one.

    Returns:
        The version and manifest of the released bundle.

    Raises:
        RepositoryError: the release number is not above the task's current release number.
        UnfitBundleError: the bundle cannot be served, or no device could run it.
    """
    cloud = bundle_pb2.CloudModel(
        name=cloud_model_name(task),
        macs=learned.cloud.macs,
        accuracy=learned.cloud.accuracy,
        wire_forms=learned.cloud.wire_forms,
        wire_tolerance=task.wire_tolerance,
        onnx=blob_of(learned.cloud.onnx),
    )
    is_picture = task.signature.media == PICTURE
    manifest = bundle_pb2.Manifest(
        format=MANIFEST_FORMAT,
        task=task.name,
        quick=task.quick,
        release=release,
        keep_inputs=task.stored_inputs,
        signature=task.signature,
        tensors=learned.layout,
        capacities=[
            bundle_pb2.Capacity(
                template=repository.add(capacity.template),
                template_int8=repository.add(capacity.template_int8),
                ring=repository.add(capacity.ring),
                macs=capacity.macs,
                memory_bytes=capacity.memory_bytes,
                accuracy=capacity.accuracy,
            )
            for capacity in learned.capacities
        ],
        cloud=cloud,
        calibration=repository.add(learned.calibration.SerializeToString(deterministic=True)),
        golden=repository.add(_golden(learned).SerializeToString(deterministic=True)),
        front_end=repository.add(picture_graph(task.signature)) if is_picture else None,
    )
    try_bundle(manifest, repository.read_whole, learned.cloud.onnx)
    # Before anything else is written: a refused release leaves nothing.
    repository.check_release(manifest)
    repository.add_model(learned.cloud.onnx)
    # Before the release: every bundle that devices may run has what a federated round needs.
    repository.add_checkpoint(_version(manifest), write_arrays(learned.checkpoint))
    return repository.release(manifest)


def _version(manifest: bundle_pb2.Manifest) -> str:
    return bundle_version(manifest, blob_of(manifest.SerializeToString(deterministic=True)))


def _golden(learned: LearnedTask) -> bundle_pb2.GoldenInputs:
    return bundle_pb2.GoldenInputs(
        inputs=learned.golden_inputs.astype("<f4").tobytes(),
        count=len(learned.golden_inputs),
        logits=[c.golden_logits.astype("<f4").tobytes() for c in learned.capacities],
        tolerance=learned.golden_tolerance,
    )
