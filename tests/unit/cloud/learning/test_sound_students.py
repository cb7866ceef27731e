"""Every step of the learning takes a student that reads raw samples through a front end."""

import dataclasses

import numpy as np
import pytest
import torch

from nestling_cloud.latency.family import Family, family_fields, family_of
from nestling_cloud.latency.features import features
from nestling_cloud.latency.model import LatencyModel, LatencyModelError
from nestling_cloud.latency.table import LatencyTable
from nestling_cloud.latency.widths import random_widths
from nestling_cloud.learning.check_teacher import check_teaching
from nestling_cloud.learning.distillation import make_views
from nestling_cloud.learning.loop import logits_of, seeded
from nestling_cloud.learning.macs import activation_counts, network_macs, student_macs
from nestling_cloud.learning.make_teacher import make_teacher
from nestling_cloud.learning.measure_wire_forms import calibrated_form
from nestling_cloud.learning.nesting.training_set import TrainingSet
from nestling_cloud.learning.nesting.width_cost import counted_cost
from nestling_cloud.learning.nesting.width_search import WidthSearch, search_widths
from nestling_cloud.learning.train_student import train_student
from nestling_cloud.learning.train_teacher import train_teacher
from nestling_cloud.models.sound_teacher import SoundTeacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Distillation, Grow, Nesting, Quantization, Recipe, Task, TaskError
from nestling_core.student.config import StudentConfig
from nestling_core.student.front_end import LogMelLayer, features_of
from nestling_core.student.messages import LocalRecipe, student_config, student_fields
from nestling_core.student.network import NestedStudent
from nestling_core.student.plan import layout
from nestling_core.student.weights import arrays_of, prefix_shapes, student_of
from nestling_core.wire import forms
from nestling_device.federated.examples import split
from nestling_device.federated.training import accuracy, train_prefix
from tests.support.sound_task import FRONT_END, LENGTH, SOUND_TASK, note_splits, notes

SHAPE = (1, LENGTH)
READ = FRONT_END.shape(SHAPE)
PICTURE = dataclasses.replace(FRONT_END, bands_as_channels=False)
SHORT = dataclasses.replace(
    SOUND_TASK,
    teacher_recipe=Recipe(epochs=1, batch=64, threads=1),
    student_recipe=Recipe(epochs=2, batch=64, threads=1),
    distillation=Distillation(views=2),
)


def behind(config: StudentConfig) -> StudentConfig:
    return dataclasses.replace(config, front_end=None)


def inner_signature() -> object:
    signature = type(SOUND_TASK.signature)()
    signature.CopyFrom(SOUND_TASK.signature)
    signature.shape[:] = READ
    return signature


def test_student_is_planned_for_the_features() -> None:
    whole = layout(SOUND_TASK.signature, SOUND_TASK.student)

    assert whole == layout(inner_signature(), behind(SOUND_TASK.student))  # type: ignore[arg-type]
    assert list(whole[0].prefixes[-1].shape) == [6, 12, 3]


def test_front_end_has_no_arrays_in_a_checkpoint_and_a_student_comes_back_from_one() -> None:
    student = NestedStudent(SOUND_TASK.signature, SOUND_TASK.student).eval()
    student.normalizer.fit(notes(20, 0).inputs[:])
    arrays = arrays_of(student)

    again = student_of(SOUND_TASK.signature, SOUND_TASK.student, arrays)

    assert arrays.keys() == prefix_shapes(SOUND_TASK.signature, SOUND_TASK.student, 2).keys()
    inputs = torch.from_numpy(notes(5, 1).inputs)
    assert torch.equal(again(inputs, 2), student(inputs, 2))


def test_normalization_is_that_of_the_features() -> None:
    student = NestedStudent(SOUND_TASK.signature, SOUND_TASK.student)
    inputs = notes(300, 0).inputs[:]

    student.normalizer.fit(inputs)

    found = student.normalizer(torch.from_numpy(inputs))
    assert tuple(found.shape[1:]) == READ
    assert found.mean().item() == pytest.approx(0, abs=1e-3)
    assert found.std().item() == pytest.approx(1, abs=1e-3)


def test_front_end_counts_among_the_multiply_accumulates() -> None:
    signature, config = SOUND_TASK.signature, SOUND_TASK.student
    teacher = ConvTeacher(signature, width=4, front_end=FRONT_END)
    without = ConvTeacher(inner_signature(), width=4)  # type: ignore[arg-type]

    own = FRONT_END.macs(SHAPE)

    waves = 2 * len(FRONT_END.bins)
    assert own == READ[1] * (waves * FRONT_END.window + waves * FRONT_END.mels)
    assert student_macs(signature, config, 1) == own + student_macs(
        inner_signature(),  # type: ignore[arg-type]
        behind(config),
        1,
    )
    assert network_macs(teacher, SHAPE) == own + network_macs(without, READ)
    assert activation_counts(signature, config, 1)[0] == READ[0] * READ[1]


def test_front_end_survives_a_message() -> None:
    assert student_config(student_fields(SOUND_TASK.student)) == SOUND_TASK.student


@pytest.mark.parametrize("changes", [{"hop": 0}, {"window": 1 << 40}, {"mels": 1 << 40}])
def test_front_end_without_features_in_a_message_is_refused(changes: dict[str, int]) -> None:
    fields = student_fields(SOUND_TASK.student)
    name = next(iter(changes))
    old = f'"{name}": {getattr(FRONT_END, name)}'
    fields["student"] = fields["student"].replace(old, f'"{name}": {changes[name]}')

    with pytest.raises(ValueError, match=r"at least 1|spectrum of"):
        student_config(fields)


def test_family_keeps_its_front_end_and_latency_models_tell_families_apart() -> None:
    family = Family(signature=SOUND_TASK.signature, config=SOUND_TASK.student)
    widths = tuple(random_widths(family.config, 20, np.random.default_rng(0)))
    table = LatencyTable(
        machine="made up",
        family=family,
        widths=widths,
        microseconds=tuple(float(10 + features(family, row).sum()) for row in widths),
    )

    model = LatencyModel(table)

    read = family_of(family_fields(family)).config
    assert read.front_end == FRONT_END
    assert model.predict(family.signature, SOUND_TASK.student, (4, 5)) > 0
    other = dataclasses.replace(
        SOUND_TASK.student, front_end=dataclasses.replace(FRONT_END, hop=50)
    )
    with pytest.raises(LatencyModelError, match="another student or input"):
        model.predict(family.signature, other, (4, 5))


def test_default_teacher_reads_what_the_student_reads() -> None:
    teacher = make_teacher(SOUND_TASK)

    assert isinstance(teacher, ConvTeacher)
    assert isinstance(teacher.normalizer.front_end, LogMelLayer)
    assert teacher.normalizer.front_end.sizes == FRONT_END
    assert teacher(torch.zeros(2, *SHAPE)).shape == (2, 3)
    picture = SoundTeacher(SOUND_TASK.signature, PICTURE, width=4).eval()
    assert picture(torch.zeros(2, *SHAPE)).shape == (2, 3)


def test_front_end_that_does_not_suit_the_signature_is_refused_with_the_task() -> None:
    longer = dataclasses.replace(FRONT_END, window=LENGTH + 1)

    with pytest.raises(TaskError, match="shorter than a window"):
        dataclasses.replace(
            SOUND_TASK, student=dataclasses.replace(SOUND_TASK.student, front_end=longer)
        )


def trained(task: Task) -> tuple[torch.nn.Module, NestedStudent]:
    generator, examples = seeded(0), note_splits().train
    check_teaching(task, examples.inputs)
    teacher = train_teacher(task, examples, generator, SilentProgress())
    return teacher, train_student(task, teacher, examples, generator, SilentProgress())


@pytest.mark.parametrize(
    "task",
    [
        SHORT,
        dataclasses.replace(SHORT, distillation=Distillation(views=2, feature="hints")),
        dataclasses.replace(SHORT, distillation=Distillation(views=2, assistants=(4,))),
        dataclasses.replace(SHORT, nesting=Nesting(way="grow", grow=Grow(prunings=1))),
        dataclasses.replace(SHORT, quantization=Quantization(aware_epochs=1)),
        dataclasses.replace(
            SHORT,
            student=dataclasses.replace(SHORT.student, front_end=PICTURE),
            distillation=Distillation(views=2, feature="attention"),
        ),
    ],
    ids=["joint", "hints", "assistants", "grown", "aware", "picture"],
)
def test_student_is_trained_on_features_and_answers_samples(task: Task) -> None:
    _, student = trained(task)

    inputs = torch.from_numpy(notes(40, 5).inputs)
    assert student.config == task.student
    assert not student.training
    front_end = task.student.front_end
    assert front_end is not None
    body = student_of(
        type(task.signature)(shape=front_end.shape(SHAPE), classes=task.signature.classes),
        behind(task.student),
        arrays_of(student),
    )
    read = features_of(front_end, inputs)
    for capacity in (1, 2):
        assert torch.allclose(student(inputs, capacity), body(read, capacity), atol=1e-5)


def test_searched_capacities_keep_the_front_end() -> None:
    generator, examples = seeded(0), note_splits().train
    task = dataclasses.replace(SHORT, student_recipe=Recipe(epochs=1, batch=64, threads=1))
    training_set = TrainingSet(
        task=task,
        views=make_views(task, make_teacher(task), examples, generator),
        train_inputs=examples.inputs,
        generator=generator,
        progress=SilentProgress(),
    )
    cost = counted_cost(task.signature, task.student)

    found = search_widths(training_set, cost, WidthSearch(targets=(0.5, 1.0), judged=50))

    assert found.config.front_end == FRONT_END
    assert found.config.capacities == 2


def test_device_trains_its_prefix_on_samples() -> None:
    made = notes(120, 5)
    given = split(made.inputs[:], made.labels)
    torch.manual_seed(0)
    student = NestedStudent(SOUND_TASK.signature, SOUND_TASK.student)
    student.normalizer.fit(given.inputs)
    student.eval()
    before = accuracy(student, given.held_out_inputs, given.held_out_labels, 1)

    recipe = LocalRecipe(epochs=8, batch=16, learning_rate=1e-2)
    train_prefix(student, given, 1, recipe, torch.Generator().manual_seed(0))

    assert accuracy(student, given.held_out_inputs, given.held_out_labels, 1) > before + 0.2


def test_teacher_is_trained_on_augmented_samples() -> None:
    task = dataclasses.replace(SHORT, teacher_recipe=Recipe(epochs=3, batch=64, threads=1))
    teacher = train_teacher(task, note_splits().train, seeded(0), SilentProgress())

    test = notes(100, 9)
    right = logits_of(teacher, torch.from_numpy(test.inputs)).argmax(1).numpy() == test.labels
    assert right.mean() > 0.6


def test_samples_of_sixteen_bits_are_sent_exactly() -> None:
    inputs = notes(50, 0).inputs[:]
    inputs[0, 0, :2] = (32767 / 32768, -32767 / 32768)

    form = calibrated_form("int16", inputs)

    assert form.scales == [1 / 32768]
    for window in inputs:
        assert np.array_equal(forms.decode("int16", forms.encode(form, window), SHAPE), window)


def test_soft_samples_take_fewer_bytes_than_with_a_scale_for_their_range() -> None:
    soft = np.rint(notes(50, 0).inputs[:] * 0.01 * 32768) / np.float32(32768)

    form = calibrated_form("int16", soft)
    fine = calibrated_form("int16", soft + np.float32(1e-6))

    exact, ranged = (sum(len(forms.encode(one, w)) for w in soft) for one in (form, fine))
    assert exact < 0.95 * ranged
