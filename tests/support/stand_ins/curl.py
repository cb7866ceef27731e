"""curl, with the options that the documentation uses; exits with 22 on a status from 400."""

import argparse
import sys
from pathlib import Path

import httpx


def main() -> int:
    """Send the request that the command line describes."""
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-X", dest="method", default="GET")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    parser.add_argument("-o", dest="file", type=Path)
    options = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in options.headers)
    answer = httpx.request(
        options.method,
        options.url,
        headers=headers,
        content=options.body,
        timeout=60,
    )
    if answer.is_error:
        print(f"curl: {answer.status_code}: {answer.text}", file=sys.stderr)
        return 22
    if options.file is None:
        print(answer.text)
    else:
        options.file.write_bytes(answer.content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
