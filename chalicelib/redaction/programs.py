"""Options of programs that take a secret although their names don't show it: `mysql -p…`.

Only options are listed that mean nothing else in that program.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from chalicelib.redaction.names import compiled


class SecretOption(NamedTuple):
    """An option of `programs`, after `subcommand` if there is one.

    The secret is `attached` to the option, or the next argument, or either. `user` precedes it
    within the value. Without options, it is an argument of its own.
    """

    programs: str
    options: str
    attached: bool = True
    separate: bool = True
    subcommand: str = ""
    user: str = ""


OPTIONS: Final = (
    SecretOption(
        "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlslap"
        " mysql_upgrade mariadb mariadb-dump mariadb-admin mariadb-import mycli",
        "-p",
        separate=False,
    ),
    SecretOption("7z 7za 7zr 7zz", "-p", separate=False),
    SecretOption("rar unrar", "-hp -p", separate=False),
    SecretOption(
        "docker podman nerdctl buildah skopeo crane helm oras oc az singularity apptainer cf",
        "-p",
        subcommand="login",
    ),
    SecretOption("sshpass", "-p"),
    SecretOption("redis-cli", "-a"),
    SecretOption(
        "mongo mongosh mongodump mongorestore mongoexport mongoimport cqlsh", "-p", attached=False
    ),
    SecretOption("sqlcmd bcp isql mosquitto_pub mosquitto_sub zip unzip zipcloak ipmitool", "-P"),
    SecretOption("ldapsearch ldapmodify ldapadd ldapdelete ldappasswd ldapwhoami", "-w"),
    SecretOption("openssl", "-k", attached=False, subcommand="enc"),
    SecretOption("http https xh", "-a --auth", user=r"[^\s:'\"]{0,100} :"),
    SecretOption("lftp", "-u", user=r"[^\s,'\"]{1,100} ,"),
    SecretOption("smbclient rpcclient net", "-U --user", user=r"[^\s%'\"]{1,100} %"),
    SecretOption("curl", "-u -U", separate=False, user=r"[^\s:'\"]{0,100} :"),
    SecretOption("curl", "-b --cookie", user=r"(?= [^\s='\"]{1,100} = )"),
    SecretOption(
        "sqlplus expdp impdp sqlldr rman", "", user=r"[\w$\#]{1,64} / (?= [^/@]{1,64} @ )"
    ),
    SecretOption("put-parameter", "--value", attached=False, subcommand="SecureString"),
)


def patterns() -> Iterator[tuple[str, str]]:
    """Yield, for each row of OPTIONS, its hints and a pattern that finds the secret in a text."""
    for row in filter(lambda each: each.options, OPTIONS):
        names = "|".join(re.escape(name) for name in row.programs.split())
        options = "|".join(re.escape(option) for option in row.options.split())
        gap = {(True, True): r"[\s=]{0,3}", (True, False): "=?", (False, True): r"[\s=]{1,3}"}
        before = rf"(?= [^\n;|&]{{0,400}} \b {row.subcommand} \b )" if row.subcommand else ""
        yield (
            row.programs,
            rf"""(?-i: (?P<kept> (?<![\w.-]) (?: {names} ) (?=\s) {before} [^\n;|&]{{0,400}}? \s
                (?: {options} ) {gap[row.attached, row.separate]}
                (?: (?P<single> ' ) | (?P<double> " ) )? {row.user} ) )
            (?! \s | -[a-z] | \$ ) (?(single) [^']+ | (?(double) [^"]+ | [^\s"';&|)]+ ) )""",
        )


class _Known(NamedTuple):
    options: tuple[str, ...]
    row: SecretOption
    user: re.Pattern[str]


_BY_PROGRAM: Final[dict[str, list[_Known]]] = {}
for _row in OPTIONS:
    for _program in _row.programs.split():
        _BY_PROGRAM.setdefault(_program, []).append(
            _Known(tuple(_row.options.split() or [""]), _row, compiled(_row.user))
        )


def secrets_of(arguments: Sequence[str]) -> dict[int, int]:
    """Return the positions of arguments that contain such a secret, and where it begins in each."""
    found: dict[int, int] = {}
    for at, argument in enumerate(arguments):
        for known in _BY_PROGRAM.get(argument.rpartition("/")[2], ()):
            rest = arguments[at + 1 :]
            if known.row.subcommand in ("", *rest):
                found.update((at + 1 + index, begin) for index, begin in _secrets(known, rest))
    return found


def _secrets(known: _Known, arguments: Sequence[str]) -> Iterator[tuple[int, int]]:
    before = ""
    for index, argument in enumerate(arguments):
        begin = _begin(known, before, argument)
        user = known.user.match(argument, begin or 0)
        if begin is not None and user and user.end() < len(argument):
            yield index, user.end()
        before = argument


def _begin(known: _Known, before: str, argument: str) -> int | None:
    """Return where the value begins in an argument, if it is the value of the option."""
    if known.row.separate and before in known.options:
        return None if argument.startswith("$") else 0
    if known.row.attached:
        for option in known.options:
            if argument.startswith(option) and len(argument) > len(option):
                return len(option)
    return None
