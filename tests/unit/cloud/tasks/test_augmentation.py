import torch

from nestling_cloud.tasks.augmentation import Augmentation


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_nothing_is_changed_unless_it_is_said() -> None:
    pictures = torch.rand(4, 3, 8, 8)

    assert torch.equal(Augmentation()(pictures, generator()), pictures)


def test_every_change_keeps_the_shape_and_changes_inputs() -> None:
    pictures, windows = torch.rand(8, 3, 8, 8), torch.rand(8, 2, 20)
    sounds = torch.rand(8, 1, 40)
    for change, inputs in (
        (Augmentation(flip=True), pictures),
        (Augmentation(shift=2), pictures),
        (Augmentation(erase=5), pictures),
        (Augmentation(scale=0.1), pictures),
        (Augmentation(shift=3), windows),
        (Augmentation(stretch=0.2), windows),
        (Augmentation(speed=0.2), sounds),
        (Augmentation(tone_db=6), sounds),
        (Augmentation(mute=20), sounds),
        (Augmentation(level_db=6), sounds),
        (Augmentation(noise_db=20), sounds),
    ):
        changed = change(inputs, generator())
        assert changed.shape == inputs.shape
        assert not torch.equal(changed, inputs)
        assert torch.equal(changed, change(inputs, generator()))


def test_shift_moves_all_channels_of_an_input_alike() -> None:
    windows = torch.arange(1.0, 7).repeat(50, 2, 1)

    moved = Augmentation(shift=2)(windows, generator())

    assert torch.equal(moved[:, 0], moved[:, 1])
    assert {tuple(row) for row in moved[:, 0].tolist()} == {
        (3, 4, 5, 6, 0, 0),
        (2, 3, 4, 5, 6, 0),
        (1, 2, 3, 4, 5, 6),
        (0, 1, 2, 3, 4, 5),
        (0, 0, 1, 2, 3, 4),
    }
