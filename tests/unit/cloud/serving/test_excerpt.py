from nestling_cloud.serving.excerpt import excerpt, excerpts


def test_short_inputs_are_repeated_in_full() -> None:
    assert excerpt("model") == "'model'"
    assert excerpts(["a", "b"]) == "['a', 'b']"
    assert excerpts([1, -1]) == "[1, -1]"
    assert excerpts([]) == "[]"


def test_long_inputs_are_cut() -> None:
    assert len(excerpt("x" * 4_000_000)) < 80
    assert excerpts(range(1_000_000)) == "[0, 1, 2, 3, 4, 5, 6, 7, …]"
    assert len(excerpts(["x" * 1000] * 1000)) < 800
