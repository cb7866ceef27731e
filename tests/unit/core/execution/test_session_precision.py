import pytest

from nestling_core.execution.session import saturates


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ("flags : fpu avx2 avx512f avx512_vnni", False),
        ("flags : fpu avx2 avx_vnni", False),
        ("flags : fpu avx2 avx512f", True),
        ("Features : fp asimd", True),
        ("", True),
    ],
)
def test_fast_product_saturates_without_vnni(processor: str, expected: bool) -> None:
    assert saturates(processor) is expected
