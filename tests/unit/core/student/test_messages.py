from nestling_core.student.config import conv_student
from nestling_core.student.messages import (
    LocalRecipe,
    local_recipe,
    recipe_fields,
    student_config,
    student_fields,
)


def test_student_sizes_survive_a_message() -> None:
    config = conv_student(channels=(6, 8), strides=(2, 1), kernel=5, fractions=(0.25, 1.0))

    assert config == student_config(student_fields(config))


def test_recipe_survives_a_message() -> None:
    recipe = LocalRecipe(epochs=3, batch=16, learning_rate=0.5, weight_decay=0.25)

    assert recipe == local_recipe(recipe_fields(recipe))
