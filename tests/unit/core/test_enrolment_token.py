import pytest

from nestling_core.enrolment_token import SECRET_BYTES, EnrolmentToken

# A DER sequence with 300 bytes of content.
AUTHORITY = b"\x30\x82\x01\x2c" + bytes(range(200)) + bytes(100)
TOKEN = EnrolmentToken(device_id="porch", secret=bytes(range(SECRET_BYTES)), authority=AUTHORITY)


def test_token_is_one_line_with_all_its_fields() -> None:
    text = TOKEN.to_text()

    assert text.isascii()
    assert text.split() == [text]
    assert EnrolmentToken.from_text(text) == TOKEN


def test_white_space_is_ignored() -> None:
    text = TOKEN.to_text()

    assert EnrolmentToken.from_text(f"  {text[:70]}\n{text[70:]}\r\n") == TOKEN


@pytest.mark.parametrize("length", [0, 1, 3, 10, 50, 100, len(TOKEN.to_text()) - 1])
def test_truncated_token_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="copy the whole line"):
        EnrolmentToken.from_text(TOKEN.to_text()[:length])


@pytest.mark.parametrize(
    "text",
    [
        "hello world!",
        "ä" * 600,
        "_" * 600,
        TOKEN.to_text() + "AAAA",
        "Ag" + TOKEN.to_text()[2:],
        "A" * 100_000,
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="copy the whole line"):
        EnrolmentToken.from_text(text)


def test_invalid_device_name_is_refused() -> None:
    invalid = EnrolmentToken(device_id="../x", secret=TOKEN.secret, authority=AUTHORITY)

    with pytest.raises(ValueError, match="copy the whole line"):
        EnrolmentToken.from_text(invalid.to_text())
