"""Decodes UTF-8 text from files or standard input, with or without a byte-order mark."""

import codecs

# Longest first: the mark of UTF-16 is a prefix of that of UTF-32.
_OTHERS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class EncodingError(ValueError):
    """Raised when data is not UTF-8 text."""


def decode_text(data: bytes) -> str:
    """Return the text of UTF-8 data, without the byte-order mark that some Windows editors add.

    Raises:
        EncodingError: the data is not UTF-8 or has zero bytes. The message says what is wrong and
            what to do.
    """
    for mark, name in _OTHERS.items():
        if data.startswith(mark):
            raise EncodingError(f"this is {name}: save it as UTF-8")
    if b"\0" in data:
        raise EncodingError("this is not UTF-8 text: it has zero bytes; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise EncodingError(f"line {line} is not UTF-8: save it as UTF-8") from err
