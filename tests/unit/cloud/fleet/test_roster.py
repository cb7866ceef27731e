import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from nestling_cloud.fleet.authority import Authority
from nestling_cloud.fleet.certificates import read_request
from nestling_cloud.fleet.roster import EnrolmentTokenError, Roster
from nestling_cloud.fleet.roster_database import RosterDatabase, RosterError
from tests.support.enrolled import signing_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roster(tmp_path: Path, clock: Clock) -> Iterator[Roster]:
    with Roster(tmp_path / "devices.sqlite", clock) as opened:
        yield opened


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    return Authority.open(tmp_path / "authority", clock)


def fresh() -> x509.CertificateSigningRequest:
    return read_request(signing_request(ec.generate_private_key(ec.SECP256R1())))


def enrol(roster: Roster, authority: Authority, name: str) -> int:
    """Enrol a device and return the serial number of its certificate."""
    _, certificate = roster.redeem(roster.invite(name, HOUR), fresh(), authority.sign)
    return certificate.serial_number


def statuses(roster: Roster) -> dict[str, str]:
    return {member.name: member.status for member in roster.members()}


def test_token_is_valid_once(roster: Roster, authority: Authority) -> None:
    secret = roster.invite("porch", HOUR)
    name, certificate = roster.redeem(secret, fresh(), authority.sign)

    assert name == "porch"
    assert roster.name_of(certificate.serial_number) == "porch"
    with pytest.raises(EnrolmentTokenError, match="has been used"):
        roster.redeem(secret, fresh(), authority.sign)


def test_token_can_be_redeemed_again_with_the_same_key(
    roster: Roster, authority: Authority
) -> None:
    secret, request = roster.invite("porch", HOUR), fresh()
    _, lost = roster.redeem(secret, request, authority.sign)
    _, again = roster.redeem(secret, request, authority.sign)

    assert roster.name_of(lost.serial_number) is None
    assert roster.name_of(again.serial_number) == "porch"


def test_token_expires(roster: Roster, authority: Authority, clock: Clock) -> None:
    secret = roster.invite("porch", HOUR)
    clock.now += HOUR

    with pytest.raises(EnrolmentTokenError, match="expired at 2026-01-01 01:00 UTC"):
        roster.redeem(secret, fresh(), authority.sign)
    assert statuses(roster) == {"porch": "expired"}


def test_newer_token_replaces_the_older(roster: Roster, authority: Authority) -> None:
    older, newer = roster.invite("porch", HOUR), roster.invite("porch", HOUR)

    with pytest.raises(EnrolmentTokenError, match="unknown here"):
        roster.redeem(older, fresh(), authority.sign)
    roster.redeem(newer, fresh(), authority.sign)


def test_failed_signing_does_not_use_up_the_token(roster: Roster, authority: Authority) -> None:
    secret = roster.invite("porch", HOUR)

    def broken(_name: str, _request: x509.CertificateSigningRequest) -> x509.Certificate:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        roster.redeem(secret, fresh(), broken)
    roster.redeem(secret, fresh(), authority.sign)


def test_enrolling_again_revokes_the_earlier_certificate(
    roster: Roster, authority: Authority
) -> None:
    old = enrol(roster, authority, "porch")
    new = enrol(roster, authority, "porch")

    assert (roster.name_of(old), roster.name_of(new)) == (None, "porch")
    with roster.locked() as refused:
        assert [serial for serial, _ in refused.certificates] == [old]
        assert refused.names == []


def test_renewal_revokes_nothing(roster: Roster, authority: Authority) -> None:
    old = enrol(roster, authority, "porch")
    new = roster.renew("porch", fresh(), authority.sign).serial_number

    assert (roster.name_of(old), roster.name_of(new)) == ("porch", "porch")


def test_certificate_is_valid_until_it_expires(
    roster: Roster, authority: Authority, clock: Clock
) -> None:
    serial = enrol(roster, authority, "porch")
    clock.now += timedelta(days=364)
    assert roster.name_of(serial) == "porch"
    clock.now += timedelta(days=1)

    assert roster.name_of(serial) is None
    assert statuses(roster) == {"porch": "expired"}


def test_removed_device_has_no_valid_certificate_and_no_token(
    roster: Roster, authority: Authority
) -> None:
    serial = enrol(roster, authority, "porch")
    roster.renew("porch", fresh(), authority.sign)
    secret = roster.invite("porch", HOUR)

    roster.remove("porch")

    assert roster.name_of(serial) is None
    with roster.locked() as refused:
        assert len(refused.certificates) == 2
        assert refused.names == ["porch"]
    with pytest.raises(EnrolmentTokenError):
        roster.redeem(secret, fresh(), authority.sign)
    with pytest.raises(RosterError, match="no device 'porch'"):
        roster.remove("porch")


def test_members_have_a_status(roster: Roster, authority: Authority) -> None:
    roster.invite("attic", HOUR)
    enrol(roster, authority, "porch")
    roster.invite("porch", HOUR)  # invited again while its certificate is valid
    enrol(roster, authority, "shed")
    roster.remove("shed")

    assert statuses(roster) == {"attic": "invited", "porch": "enrolled", "shed": "removed"}


def test_revision_rises_with_every_change_of_access(roster: Roster, authority: Authority) -> None:
    seen = [roster.revision()]
    roster.invite("porch", HOUR)
    assert roster.revision() == seen[-1]
    for change in (
        lambda: enrol(roster, authority, "porch"),
        lambda: roster.renew("porch", fresh(), authority.sign),
        lambda: roster.remove("porch"),
    ):
        change()
        seen.append(roster.revision())

    assert seen == sorted(set(seen))


@pytest.mark.parametrize("name", ["", "a b", "../x", "+", "#", "nestling-cloud", "x" * 65])
def test_invalid_device_name_is_rejected(roster: Roster, name: str) -> None:
    with pytest.raises(RosterError):
        roster.invite(name, HOUR)


def test_secrets_are_not_in_the_file(roster: Roster, tmp_path: Path) -> None:
    secret = roster.invite("porch", HOUR)
    roster.close()

    everything = b"".join(path.read_bytes() for path in tmp_path.glob("devices.sqlite*"))
    assert secret not in everything
    assert secret.hex().encode() not in everything


def test_reader_does_not_wait_for_a_writer(
    roster: Roster, authority: Authority, tmp_path: Path
) -> None:
    serial = enrol(roster, authority, "porch")

    with RosterDatabase(tmp_path / "devices.sqlite") as other, other.transaction() as cursor:
        cursor.execute("UPDATE certificates SET revoked = 1")
        assert roster.name_of(serial) == "porch"
    assert roster.name_of(serial) is None


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE certificates SET serial = 'zz', revoked = 5",
        "UPDATE certificates SET expires = 'soon'",
        "UPDATE certificates SET expires = 1 << 60",
        "UPDATE certificates SET revoked = 'then'",
        "UPDATE revision SET number = 'x'",
        "DELETE FROM revision",
    ],
)
def test_damaged_row_raises_roster_error(
    roster: Roster, authority: Authority, tmp_path: Path, damage: str
) -> None:
    enrol(roster, authority, "porch")
    with RosterDatabase(tmp_path / "devices.sqlite") as other, other.transaction() as cursor:
        cursor.execute(damage)

    with pytest.raises(RosterError, match=r"devices\.sqlite is damaged"):
        read_everything(roster)


def read_everything(roster: Roster) -> None:
    roster.members()
    roster.revision()
    with roster.locked():
        pass


def test_token_redeemed_by_many_processes_at_once_works_for_one(
    roster: Roster, authority: Authority, tmp_path: Path
) -> None:
    roster._now = lambda: datetime.now(UTC)
    secret = roster.invite("porch", HOUR)
    program = (
        "import sys; from pathlib import Path; from nestling_cloud.fleet.enrolment import *\n"
        "from tests.support.enrolled import signing_request\n"
        "from cryptography.hazmat.primitives.asymmetric import ec\n"
        "from nestling_cloud.fleet.roster import EnrolmentTokenError\n"
        "request = read_request(signing_request(ec.generate_private_key(ec.SECP256R1())))\n"
        "folder = Path(sys.argv[1]); authority = Authority.open(folder / 'authority')\n"
        "roster = Roster(folder / 'devices.sqlite')\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try: print(roster.redeem(bytes.fromhex(sys.argv[2]), request, authority.sign)[0])\n"
        "except EnrolmentTokenError as err: print(err)\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), secret.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    outputs = sorted(racer.communicate(timeout=60)[0].strip() for racer in racers)

    assert outputs == ["porch", *["this token has been used"] * 3]
