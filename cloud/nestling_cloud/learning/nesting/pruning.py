"""Finds small capacities (sizes of a student) inside the largest one by pruning filters.

Each step ranks the filters, prunes the worst ones, and fine-tunes the filters that remain.
"""

import dataclasses
import itertools

import numpy as np
import torch

from nestling_cloud.learning.input_tensors import fit_normalizer, tensors_of
from nestling_cloud.learning.nesting.channel_order import ranked_layers, reorder
from nestling_cloud.learning.nesting.filter_ranking import best_first, draw_triplets, filter_worths
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.recipes.nesting import Grow
from nestling_core.student.blocks import Conv
from nestling_core.student.config import StudentConfig
from nestling_core.student.layers import ConvLayer, RecurrentLayer
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate
from nestling_core.student.weights import arrays_of, load_prefix

# Inputs used to rank filters; more hardly change the order and cost memory.
_RANKING_INPUTS = 1024


def prune(training_set: TrainingSet, grow: Grow) -> NestedStudent:
    """Return a nested student whose capacities were found by pruning its trained largest capacity.

    Args:
        training_set: the training data with the teacher's answers.
        grow: the options of pruning, such as the number and length of the steps.

    Returns:
        A nested student with the task's capacities. In each layer, the channels that pruning kept
        longest come first.

    Raises:
        OrderError: the student has shuffle blocks, so its channels cannot be reordered.
        RankingError: there is only one class, or no class has two inputs.
        TrainingError: the data is too small, or a loss or a weight is no longer finite.
    """
    task = training_set.task
    steps = NestedStudent(task.signature, pruning_config(task.student, grow.prunings))
    fit_normalizer(steps.normalizer, training_set.train_inputs)
    ranked_layers(steps)  # raises before anything is trained
    largest = steps.config.capacities
    training_set.teach(steps, above=0, up_to=largest, share=1.0, what="largest capacity")
    for width in range(largest - 1, 0, -1):
        rank(steps, training_set, width + 1, grow.triplets)
        _inherit(steps, width)
        what = f"pruning {largest - width} of {largest - 1}"
        training_set.teach(steps, above=0, up_to=width, share=grow.pruning_share, what=what)
    return _capacities_of(steps, training_set)


def pruning_config(config: StudentConfig, prunings: int) -> StudentConfig:
    """Return a student's sizes with additional capacities between the existing ones.

    The additional capacities let pruning proceed in small steps.

    Args:
        config: the sizes of the student.
        prunings: the number of pruning steps from each capacity to the next smaller one. Steps that
            would change no width are left out.
    """
    parts = [
        block.groups if isinstance(block, Conv) else 1
        for block in config.blocks
        if hasattr(block, "channels")
    ]
    rows = [config.widths_at(capacity) for capacity in range(1, config.capacities + 1)]
    found = {rows[0]: None}
    for small, large in itertools.pairwise(rows):
        for step in range(1, prunings + 1):
            found[_between(small, large, parts, step / prunings)] = None
    return dataclasses.replace(config, widths=tuple(found))


def _between(
    small: tuple[int, ...], large: tuple[int, ...], parts: list[int], share: float
) -> tuple[int, ...]:
    return tuple(
        a + part * round((b - a) / part * share)
        for a, b, part in zip(small, large, parts, strict=True)
    )


def rank(student: NestedStudent, training_set: TrainingSet, capacity: int, triplets: int) -> None:
    """Reorder the filters of a capacity so that the best filters of each layer come first.

    The function first measures the normalization statistics of this capacity and of all smaller
    ones again. The reordering does not change this capacity's output, but it changes which filters
    the smaller capacities use. In a layer with groups, the filters at the same position in their
    groups are ranked together.

    Args:
        student: the nested student, which is changed in place and left in evaluation mode.
        training_set: the training data. The filters are ranked on a random sample of its inputs.
        capacity: the capacity whose filters are ranked.
        triplets: the number of random triplets of inputs to rank the filters by.

    Raises:
        OrderError: the student has a shuffle block, so its channels cannot be reordered.
        RankingError: there is only one class, or no class has two inputs.
    """
    recalibrate(student, tensors_of(training_set.train_inputs), capacity)
    labels = training_set.views.labels.numpy()
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=training_set.generator)))
    chosen = rng.permutation(len(labels))[:_RANKING_INPUTS]
    drawn = draw_triplets(labels[chosen], triplets, rng)
    with torch.no_grad():
        outputs = student.features(torch.from_numpy(training_set.train_inputs[chosen]), capacity)
    for layer in ranked_layers(student):
        responses = outputs[layer.plan.index].flatten(2).amax(2).numpy()  # (N, G W)
        worths = filter_worths(responses, drawn)
        of_places = worths.reshape(layer.plan.groups, -1).sum(axis=0)
        reorder(student, layer.plan.index, best_first(of_places))


@torch.no_grad()
def _inherit(student: NestedStudent, capacity: int) -> None:
    """Initialize a capacity's own arrays with values of the next larger capacity.

    Capacities do not share the arrays of normalizations and gates, or the head offsets. Only the
    values that belong to the capacity's filters are copied.
    """
    for layer in student.stack:
        if not isinstance(layer, ConvLayer | RecurrentLayer):
            continue
        groups = layer.plan.groups
        small, large = (layer.plan.widths[number] for number in (capacity - 1, capacity))
        larger = layer.capacities[capacity].state_dict()
        for name, array in layer.capacities[capacity - 1].state_dict().items():
            boxed = larger[name].unflatten(0, (groups, large))[:, :small]
            array.copy_(boxed.flatten(0, 1))
    student.head_offsets[capacity - 1] = student.head_offsets[capacity]


def _capacities_of(steps: NestedStudent, training_set: TrainingSet) -> NestedStudent:
    """Return the student with only the task's capacities, without those added for pruning."""
    config = training_set.task.student
    student = NestedStudent(training_set.task.signature, config)
    arrays = arrays_of(steps)
    rows = [
        steps.config.widths.index(config.widths_at(capacity))
        for capacity in range(1, config.capacities + 1)
    ]
    kept = {name: array for name, array in arrays.items() if ".capacities." not in name}
    kept["head_offsets"] = arrays["head_offsets"][rows]
    for name in student.state_dict():
        if ".capacities." in name:
            where, number, what = name.rsplit(".", 2)
            kept[name] = arrays[f"{where}.{rows[int(number)]}.{what}"]
    load_prefix(student, kept)
    return student
