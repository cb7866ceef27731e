import stat
from pathlib import Path

import pytest

from nestling_cloud import cli
from nestling_cloud.console.auth.password import (
    PasswordError,
    PasswordFile,
    first_password,
    generate,
)
from nestling_cloud.console.auth.sessions import IDLE_S, LONGEST_S, Sessions
from nestling_cloud.console.auth.tokens import TokenError, TokenFile


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_only_the_first_start_makes_a_password(tmp_path: Path) -> None:
    folder = tmp_path / "console"

    password = first_password(folder)

    assert password is not None
    assert PasswordFile(folder).check(password)
    assert first_password(folder) is None


def test_password_is_stored_hashed_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "console"
    PasswordFile(folder).set("a long password")

    assert "a long password" not in (folder / "password").read_text("utf-8")
    assert (folder / "password").read_text("utf-8").startswith("$argon2id$")
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("wrong", ["", "a long passwore", "x" * 100_000, "\ud800"])
def test_wrong_password_is_refused(tmp_path: Path, wrong: str) -> None:
    file = PasswordFile(tmp_path)
    file.set("a long password")

    assert not file.check(wrong)


@pytest.mark.parametrize("unusable", ["", "short", "x" * 2000])
def test_unusable_password_is_not_set(tmp_path: Path, unusable: str) -> None:
    with pytest.raises(PasswordError, match="10 to 1000"):
        PasswordFile(tmp_path).set(unusable)


CUT_HASH = b"$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA"


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe", CUT_HASH, CUT_HASH + b"$YfwJ"])
def test_damaged_password_file_raises_an_error_with_a_remedy(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "password").write_bytes(content)

    with pytest.raises(PasswordError, match="nestling-cloud console password"):
        PasswordFile(tmp_path).check("a long password")


def test_generated_passwords_differ_and_may_be_set(tmp_path: Path) -> None:
    first, second = generate(), generate()

    PasswordFile(tmp_path).set(first)
    assert first != second


def test_token_is_known_until_it_is_removed(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    token = tokens.add("script", now_ms=5)

    assert tokens.holder(token) == "script"
    assert tokens.holder(token + "x") is None
    tokens.remove("script")
    assert tokens.holder(token) is None


def test_token_is_stored_hashed_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "console"
    token = TokenFile(folder).add("script", now_ms=5)

    assert token not in (folder / "tokens.json").read_text("utf-8")
    assert stat.S_IMODE((folder / "tokens.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x"])
def test_token_needs_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(TokenError, match="letters"):
        TokenFile(tmp_path).add(name, now_ms=5)


def test_second_token_of_a_name_is_refused_and_the_first_is_kept(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    token = tokens.add("script", now_ms=5)

    with pytest.raises(TokenError, match="remove it first"):
        tokens.add("script", now_ms=6)
    assert tokens.holder(token) == "script"


def test_removing_an_unknown_token_lists_the_existing_ones(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    tokens.add("script", now_ms=5)

    with pytest.raises(TokenError, match="existing tokens: script"):
        tokens.remove("other")


@pytest.mark.parametrize("content", ["[", "{}x", '[{"name": 1}]', "[3]"])
def test_damaged_token_file_lets_nobody_in(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens.json").write_text(content)

    with pytest.raises(TokenError, match="add the tokens again"):
        TokenFile(tmp_path).holder("nest_x")


def test_session_stays_open_while_it_is_used_but_at_most_a_week() -> None:
    clock = Clock()
    sessions = Sessions(clock, lambda: "mark")
    key = sessions.open()
    end_s = clock.now_s + LONGEST_S

    while clock.now_s < end_s:
        assert sessions.use(key)
        clock.now_s += IDLE_S / 2

    assert not sessions.use(key)


def test_idle_session_ends() -> None:
    clock = Clock()
    sessions = Sessions(clock, lambda: "mark")
    key = sessions.open()

    clock.now_s += IDLE_S

    assert not sessions.use(key)


def test_logout_ends_only_its_own_session() -> None:
    sessions = Sessions(Clock(), lambda: "mark")
    first, second = sessions.open(), sessions.open()

    sessions.close(first)

    assert (sessions.use(first), sessions.use(second)) == (False, True)


def test_new_password_ends_every_session() -> None:
    mark = "old"
    sessions = Sessions(Clock(), lambda: mark)
    key = sessions.open()

    mark = "new"

    assert not sessions.use(key)
    mark = "old"
    assert not sessions.use(key)


@pytest.mark.parametrize("command", [["password"], ["token", "add", "script"], ["token", "list"]])
def test_no_credentials_are_written_to_a_folder_without_a_cloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert cli.main(["console", *command, "--state", str(tmp_path / "slip")]) == 1

    assert "name that with --state" in capsys.readouterr().err
    assert not (tmp_path / "slip").exists()


@pytest.mark.parametrize(
    "entry",
    [
        '{"name": 1, "sha256": "a", "added_at_ms": 5}',
        '{"name": "a", "sha256": 7, "added_at_ms": 5}',
        '{"name": "a", "sha256": "\u00e9", "added_at_ms": 5}',
    ],
)
def test_invalid_token_entry_raises_an_error_with_a_remedy(tmp_path: Path, entry: str) -> None:
    (tmp_path / "tokens.json").write_text(f"[{entry}]", "utf-8")

    with pytest.raises(TokenError, match="add the tokens again"):
        TokenFile(tmp_path).holder("nest_x")
