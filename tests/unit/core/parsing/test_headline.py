import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_core.parsing.headline import LONGEST_HEADLINE, headline


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("no such file", "no such file"),
        ("", ""),
        (" \n\n ", ""),
        ("first\nsecond", "first"),
        ("\n\n  first  one\nsecond", "first one"),
        (
            "Error(s) in loading:\n\tMissing key: 'a'\n\tother",
            "Error(s) in loading: Missing key: 'a'",
        ),
        ("only:", "only:"),
        ("\x1b[96mblue\x1b[0m text\x1b[K", "blue text"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\ and more", "link and more"),
        ("bell\x07 tab\tnull\x00 back\x08", "bell tab null back"),
    ],
)
def test_headline_is_the_first_line_without_commands_to_the_terminal(
    message: str, line: str
) -> None:
    assert headline(message) == line


def test_long_line_is_cut() -> None:
    assert headline("x" * 1000) == "x" * (LONGEST_HEADLINE - 3) + "..."


@given(st.text(alphabet=st.sampled_from("ab :\n\r\x1b[]0;\x07\x00\u2028\u202e")))
def test_headline_is_one_printable_line(message: str) -> None:
    assert headline(message).isprintable()
