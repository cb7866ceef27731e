import codecs

import pytest

from nestling_core.parsing.text import EncodingError, decode_text

UMLAUT = "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"


def test_utf8_is_decoded_with_and_without_a_mark() -> None:
    assert decode_text(UMLAUT.encode()) == UMLAUT
    assert decode_text(codecs.BOM_UTF8 + UMLAUT.encode()) == UMLAUT
    assert decode_text(b"") == ""


@pytest.mark.parametrize("name", ["utf-16", "utf-32"])
def test_other_encodings_with_a_mark_are_reported_by_name(name: str) -> None:
    with pytest.raises(EncodingError, match=f"this is {name.upper()}: save it as UTF-8"):
        decode_text(UMLAUT.encode(name))


def test_encodings_without_a_mark_are_refused_with_the_line() -> None:
    with pytest.raises(EncodingError, match="zero bytes"):
        decode_text(UMLAUT.encode("utf-16-le"))
    with pytest.raises(EncodingError, match="line 2 is not UTF-8"):
        decode_text(f"[device]\n{UMLAUT}".encode("latin-1"))
