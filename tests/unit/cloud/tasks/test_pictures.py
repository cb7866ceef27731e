import torch

from nestling_cloud.tasks.pictures import erase, flip, shift

WHITE = torch.ones(200, 2, 9, 12)
NUMBERED = torch.arange(2 * 9 * 12.0).reshape(1, 2, 9, 12).expand(200, -1, -1, -1)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_half_of_the_images_are_mirrored_left_to_right() -> None:
    mirrored = [torch.equal(one, NUMBERED[0].flip(2)) for one in flip(NUMBERED, drawn())]
    kept = [torch.equal(one, NUMBERED[0]) for one in flip(NUMBERED, drawn())]

    assert [a or b for a, b in zip(mirrored, kept, strict=True)] == [True] * 200
    assert 70 < sum(mirrored) < 130


def test_shifted_image_keeps_its_content_and_gets_black_borders() -> None:
    moved = shift(NUMBERED, 2, drawn())

    centre = NUMBERED[0, :, 4, 6]
    for one in moved:
        (place,) = (one[0] == centre[0]).nonzero()
        assert (place - torch.tensor([4, 6])).abs().max() <= 2
        assert one[1, *place] == centre[1]  # all channels move together
    assert {tuple((one[0] == centre[0]).nonzero()[0].tolist()) for one in moved} == {
        (row, column) for row in range(2, 7) for column in range(4, 9)
    }


def test_erasing_blackens_one_rectangle_in_half_of_the_images() -> None:
    erased = erase(WHITE, 6, drawn()) == 0

    touched = erased.flatten(1).any(1)
    assert 70 < touched.sum() < 130
    for mask in erased[touched]:
        rows, columns = mask[0].any(1), mask[0].any(0)
        assert torch.equal(mask[0], rows[:, None] & columns[None, :])  # a rectangle
        assert torch.equal(mask[0], mask[1])
        assert rows.sum() <= 6
        assert columns.sum() <= 6


def test_same_generator_gives_the_same_images() -> None:
    for augment in (lambda x, g: shift(x, 2, g), lambda x, g: erase(x, 6, g), flip):
        assert torch.equal(augment(NUMBERED, drawn(1)), augment(NUMBERED, drawn(1)))
        assert not torch.equal(augment(NUMBERED, drawn(1)), augment(NUMBERED, drawn(2)))
