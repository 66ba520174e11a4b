"""Secrets are redacted, and everything else stays readable.

No secret here is real: each is made up, or an example from AWS's documentation.
"""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.redaction import REDACTED, Redaction

SECRET = "hunter2"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
GIT_SHA = "3f786850e387550fdaf836ed7e6dc881de23001b"
UUID = "1eb65fdf-9643-417f-9974-ad72cae0e10f"
SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbC123"

redaction = Redaction()


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("--password hunter2 --host db", "--password REDACTED --host db"),
        ("--password=hunter2 --host db", "--password=REDACTED --host db"),
        ("--db-password 'a b c' --host db", "--db-password 'REDACTED' --host db"),
        ("-password hunter2", "-password REDACTED"),
        ("--password \\\n  hunter2", "--password \\\n  REDACTED"),
        ("run(['mysql', '--password', 'a b'])", "run(['mysql', '--password', 'REDACTED'])"),
        ("aws configure set aws_session_token x", "aws configure set aws_session_token REDACTED"),
        ("--password = hunter2", "--password = REDACTED"),
        ("PASSWORD=hunter2", "PASSWORD=REDACTED"),
        ("PASSWORD=hunter2 python train.py", "PASSWORD=REDACTED python train.py"),
        ("PASSWORD=hunter2; python train.py", "PASSWORD=REDACTED; python train.py"),
        ("PASSWORD=hunter2&&python train.py", "PASSWORD=REDACTED&&python train.py"),
        ("export DB_PASSWORD='a b c' && run", "export DB_PASSWORD='REDACTED' && run"),
        ('PASSWORD="a b c" run', 'PASSWORD="REDACTED" run'),
        ('PASSWORD="a \\"b\\" c" run', 'PASSWORD="REDACTED" run'),
        ('PASSWORD="a b c', 'PASSWORD="REDACTED"'),
        ('password="a\ndb_password="hunter2"', 'password="REDACTED"'),
        ('password="a\n{"token": "hunter2"}', 'password="REDACTED"}'),
        ('password=a.db_password="a b"', 'password=REDACTEDpassword="REDACTED"'),
        ('password=a\\\ntoken="a b"', 'password=REDACTED\\\ntoken="REDACTED"'),
        ("PASSWORD=a\\ b run", "PASSWORD=REDACTED run"),
        ("PASSWORD=a;b,c|d run", "PASSWORD=REDACTED run"),
        ("password: hunter2", "password: REDACTED"),
        ("password : hunter2", "password : REDACTED"),
        ("password := hunter2", "password := REDACTED"),
        ("api_key => hunter2", "api_key => REDACTED"),
        ("connect(password=hunter2)", "connect(password=REDACTED)"),
        ('os.environ["TOKEN"] = "hunter2"', 'os.environ["TOKEN"] = "REDACTED"'),
        ('{"password": "hunter2", "user": "ada"}', '{"password": "REDACTED", "user": "ada"}'),
        ('{"password": "a \\"b\\" c"}', '{"password": "REDACTED"}'),
        ('{"auth": {"token": "hunter2"}}', '{"auth": {"token": "REDACTED"}}'),
        ('"{\\"password\\": \\"a b\\"}"', '"{\\"password\\": \\"REDACTED\\"}"'),
        ('{"token": 12345678, "b": 4}', '{"token": REDACTED, "b": 4}'),
        ("token: password: hunter2", "token: password: REDACTED"),
        (
            '[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"N","value":"1"}]',
            '[{"name":"DB_PASSWORD","value":"REDACTED"},{"name":"N","value":"1"}]',
        ),
        (
            "environment=[{name=TOKEN,value=hunter2},{name=N,value=1}]",
            "environment=[{name=TOKEN,value=REDACTED},{name=N,value=1}]",
        ),
        ("Server=db;UID=sa;PWD=hunter2;Database=d", "Server=db;UID=sa;PWD=REDACTED;Database=d"),
        ("postgres://ada:hunter2@db:5432/d", "postgres://ada:REDACTED@db:5432/d"),
        ("postgres://ada:p@ss@db/d?x=a@b", "postgres://ada:REDACTED@db/d?x=a@b"),
        ("postgres://ada:pa/ss@db/d", "postgres://ada:REDACTED@db/d"),
        ("redis://:hunter2@cache", "redis://:REDACTED@cache"),
        ("https://a1b2c3d4e5f6g7h8i9j0k1@git/x", "https://REDACTED@git/x"),
        ("https://h/x?token=hunter2&n=1#top", "https://h/x?token=REDACTED&n=1#top"),
        ("https://h/x?a=1&sig=ab%2Fc&n=1", "https://h/x?a=1&sig=REDACTED&n=1"),
        (
            "https://h/k?X-Amz-Credential=c&X-Amz-Security-Token=t&X-Amz-Signature=s&n=1",
            "https://h/k?X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED"
            "&X-Amz-Signature=REDACTED&n=1",
        ),
        ("https://hooks.slack.com/services/T1/B2/x", "https://hooks.slack.com/services/REDACTED"),
        ("https://hooks.slack.com/workflows/T1/x", "https://hooks.slack.com/workflows/REDACTED"),
        ("https://hooks.slack.com/triggers/T1/x", "https://hooks.slack.com/triggers/REDACTED"),
        (
            "https://webexapis.com/v1/webhooks/incoming/Y2lz",
            "https://webexapis.com/v1/webhooks/incoming/REDACTED",
        ),
        ("curl -u ada:hunter2 https://h", "curl -u ada:REDACTED https://h"),
        ("curl --user 'ada:hunter2' https://h", "curl --user 'ada:REDACTED' https://h"),
        (
            'curl -H "Authorization: Bearer abc.def" https://h',
            'curl -H "Authorization: Bearer REDACTED" https://h',
        ),
        ('-H "Authorization: Secret a, b=c" x', '-H "Authorization: REDACTED" x'),
        ('{"Authorization":"Basic YWRhOng=","n":1}', '{"Authorization":"Basic REDACTED","n":1}'),
        ("Authorization: token abc and more", "Authorization: token REDACTED and more"),
        ("Authorization: Negotiate abc and", "Authorization: Negotiate REDACTED and"),
        ("-H 'Cookie: sid=abc; x=y' https://h", "-H 'Cookie: REDACTED' https://h"),
        ("-H 'X-Api-Key: hunter2' https://h", "-H 'X-Api-Key: REDACTED' https://h"),
        ("sent bearer abc123 to it", "sent bearer REDACTED to it"),
        (f"{KEY_ID} is the key", "REDACTED is the key"),
        (f"{KEY_ID}:{SECRET_KEY} x", "REDACTED x"),
        (f"{SECRET_KEY}\n{KEY_ID} x", "REDACTED x"),
        (f"{'x' * 50} {KEY_ID} {'y' * 50}", f"{'x' * 50} REDACTED {'y' * 50}"),
        (f"aws_secret_access_key = {SECRET_KEY}", "aws_secret_access_key = REDACTED"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
            "a REDACTED b",
        ),
        ("a -----BEGIN PRIVATE KEY-----\nMIIE and then it was cut", "a REDACTED"),
    ],
)
def test_a_secret_is_replaced_and_the_text_around_it_stays(text: str, redacted: str) -> None:
    assert redaction.text(text) == redacted


@pytest.mark.parametrize(
    "name",
    [
        *("password", "PASSWORD", "Password", "passwd", "PGPASSWORD", "dbPassword", "db.password"),
        *("passphrase", "REDIS_PASS", "dbPass", "MYSQL_PWD", "secret", "CLIENT_SECRET", "secrets"),
        *(
            "clientSecret",
            "token",
            "GITHUB_TOKEN",
            "authToken",
            "session_token",
            "AUTH",
            "httpAuth",
        ),
        *("credential", "credentials", "api_key", "apikey", "apiKey", "x-api-key", "ACCESS_KEY"),
        *("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "private_key", "AccountKey"),
        *(
            "ENCRYPTION_KEY",
            "signing_key",
            "auth-key",
            "MASTER_KEY",
            "subscription-key",
            "passcode",
        ),
        *("connectionString", "SharedAccessSignature", "PASSWORD_2", "TOKEN1", "SECRET_KEY_BASE"),
        *(f"TOKEN_{stage}" for stage in ("PROD", "production", "STAGING", "dev", "test", "VALUE")),
    ],
)
def test_the_value_of_a_secrets_name_is_redacted_in_every_notation(name: str) -> None:
    assert redaction.text(f"a {name}={SECRET} b") == f"a {name}=REDACTED b"
    assert redaction.text(f'{{"{name}": "{SECRET}"}}') == f'{{"{name}": "REDACTED"}}'
    assert redaction.text(f"run --{name} {SECRET} b") == f"run --{name} REDACTED b"
    assert redaction.command(["run", f"--{name}", SECRET]) == ("run", f"--{name}", REDACTED)
    assert redaction.mapping({name: SECRET}) == {name: REDACTED}


@pytest.mark.parametrize(
    "token",
    [
        *(prefix + KEY_ID[4:] for prefix in ("AKIA", "ASIA", "ABIA", "ACCA")),
        *(start + "x" * 40 for start in ("IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz")),
        *(f"gh{kind}_" + "a1" * 18 for kind in "pousr"),
        "github_pat_" + "a1" * 11 + "_" + "b2" * 20,
        *(
            f"gl{kind}-" + "a1" * 10
            for kind in ("pat", "ptt", "rt", "dt", "cbt", "soat", "oas", "ft", "imt", "agent")
        ),
        *(f"xox{kind}-123456789012-" + "a1" * 12 for kind in "abeoprs"),
        "xapp-1-A012-123-" + "a1" * 16,
        "MDA0Y2VlMzktNDc2Ni00NzI5LWFiNmYtZmNmYzM3OTkyNjMxNmI0-VmNDVm_PF84_" + UUID,
        "sk-" + "a1" * 24,
        *(f"sk-{kind}-" + "a1_b-" * 8 for kind in ("proj", "svcacct", "admin", "or")),
        "sk-ant-api03-" + "a1_b-" * 8,
        *(f"{kind}_{mode}_" + "a1" * 12 for kind in ("sk", "rk") for mode in ("live", "test")),
        "whsec_" + "a1" * 16,
        "AIza" + "a1-_x" * 7,
        "ya29." + "a1-_x" * 7,
        "GOCSPX-" + "a1-_x" * 5,
        "hf_" + "aB" * 17,
        "npm_" + "aB" * 18,
        "pypi-" + "AgEIcHlwaS5vcmc" + "a1-_x" * 7,
        "dckr_pat_" + "a1-_x" * 5,
        "dapi" + "0a" * 16,
        "SG." + "a1" * 11 + "." + "b2" * 21,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.dozjgNryP4J3jVmNHl0w5N",
    ],
)
def test_a_token_of_a_known_format_is_redacted_without_a_name(token: str) -> None:
    assert redaction.text(token) == REDACTED
    assert redaction.text(f"upload '{token}', then stop") == "upload 'REDACTED', then stop"


@pytest.mark.parametrize(
    "text",
    [
        "python train.py --tokenizer bert --max-token 512 --max_new_tokens 5 --key-column id",
        "max_tokens=100 token_count=5 num_tokens: 7 keys=5 monkey=1 primary_key=id",
        "--pad-token [PAD] --eos_token </s> --mask_token=[MASK] --token-file /run/token",
        "--secrets-file /run/secrets --password-stdin passwordless PASSWORD_FILE=/run/p",
        "--bypass true compass=north author=ada --api-key-name n kms_key_id=1",
        "PWD=/home/ada OLDPWD=/root run `pwd`",
        "docker run -u 1000:1000 image",
        "get -u https://host/path --user ada",
        "second pass: aligning reads, PASS: test_one, auth: done",
        "ExpiredToken: The security token included in the request is expired",
        "unable to pull secrets or registry auth: execution resource retrieval failed",
        "a bearer instrument, the standardbearer 12345678",
        "an expired token: x, an invalid token: x, an unexpected token: x, InvalidToken: x",
        "a sub-token step, monkey=token,value=3, biscuitcookie: x",
        "menu-u ada:b -u arn:aws:iam::123456789012:role/reader",
        "https://a-very-long-bucket-name-here/x ada@example.org",
        f"task-{GIT_SHA} X{KEY_ID} {KEY_ID}X",
        "http://host:8080/users/ada@example.org",
        "ssh://git@github.com/org/repo git@github.com:org/repo.git",
        "s3://bucket/secret/token/2026-01-01T00:00:00/key=5/part-0001.parquet",
        "glove-wiki-gigaword-300-embeddings task-sk-learn-pipeline-training-job-long-name",
        "image@sha256:" + "0a" * 32,
        f"commit {GIT_SHA}",
        f"job {UUID}:12 node {UUID}#1 stream def/default/{GIT_SHA[:32]}",
        "arn:aws:iam::123456789012:role/token-reader",
        SECRET_ARN,
        f"--db-secret {SECRET_ARN} --secret={SECRET_ARN} {{'secret': '{SECRET_ARN}'}}",
        'echo "Enter password:" && echo done',
        "Host EC2 (instance i-0abc1234def567890) terminated.",
        "Essential container in task exited",
        "",
    ],
)
def test_a_text_that_only_resembles_a_secret_stays(text: str) -> None:
    assert redaction.text(text) == text


@pytest.mark.parametrize(
    ("command", "redacted"),
    [
        (["--password", "hunter2", "x"], ("--password", "REDACTED", "x")),
        (["--password", "-hunter2"], ("--password", "REDACTED")),
        (["--password", "a b c"], ("--password", "REDACTED")),
        (["--password=a b c"], ("--password=REDACTED",)),
        (["-e", "DB_PASSWORD=a b c"], ("-e", "DB_PASSWORD=REDACTED")),
        (["set", "aws_secret_access_key", "x"], ("set", "aws_secret_access_key", "REDACTED")),
        (["-H", "X-Api-Key: hunter2"], ("-H", "X-Api-Key: REDACTED")),
        (["curl", "-u", "ada:hunter2"], ("curl", "-u", "ada:REDACTED")),
        (
            ["sh", "-c", "TOKEN=hunter2 python train.py"],
            ("sh", "-c", "TOKEN=REDACTED python train.py"),
        ),
        (
            ["bash", "-lc", "fetch --password hunter2 s && run"],
            ("bash", "-lc", "fetch --password REDACTED s && run"),
        ),
    ],
)
def test_an_argument_is_redacted_if_the_one_before_it_names_a_secret(
    command: list[str], redacted: tuple[str, ...]
) -> None:
    assert redaction.command(command) == redacted


@pytest.mark.parametrize(
    "command",
    [
        ("--token", "--verbose"),
        ("--token", "-v"),
        ("--secret", SECRET_ARN),
        (f"--secret={SECRET_ARN}",),
        ("docker", "run", "-u", "1000:1000"),
        ("--tokenizer", "bert", "--key-column", "id"),
        ("vault", "token", "lookup"),
        (),
    ],
)
def test_a_command_without_secrets_stays(command: tuple[str, ...]) -> None:
    assert redaction.command(command) == command


def test_a_mapping_is_redacted_by_name_and_within_other_values() -> None:
    given = {"dbPassword": "a b", "Authorization": "x y", "options": "-v --token t", "team": "lab"}

    redacted = redaction.mapping(given)

    assert redacted == {
        "dbPassword": REDACTED,
        "Authorization": REDACTED,
        "options": "-v --token REDACTED",
        "team": "lab",
    }


def test_extra_patterns_are_redacted_everywhere() -> None:
    redaction = Redaction([r"(?i)lab-\d+", r"(?<=-p)\S+"])

    assert redaction.text("LAB-17 mysql -phunter2") == "REDACTED mysql -pREDACTED"
    assert redaction.command(["lab-1", "x"]) == (REDACTED, "x")
    assert redaction.mapping({"k": "lab-1"}) == {"k": REDACTED}


@pytest.mark.parametrize("pattern", ["(", "*", "a*", "", ".", r"\w+", "RED"])
def test_an_invalid_extra_pattern_raises_an_error_that_quotes_it(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|itself") as caught:
        Redaction(["fine", pattern])

    assert repr(pattern) in str(caught.value)


FRAGMENTS = st.sampled_from(
    [
        *("password", "PASSWORD", "--db-password", "token", "secret", "api_key", "PWD", "auth"),
        *("name", "value", "Authorization", "Cookie", "Bearer", "Basic", "-u", "-c", "-e", "--x"),
        *("=", ":", ": ", "=>", " ", "  ", "\n", "\t", ",", ";", "&", "?", "|", "@", "://", "/"),
        *('"', "'", '\\"', "\\'", "\\", "{", "}", "[", "]", "(", ")", "REDACTED", "hunter2"),
        *("a1b2c3d4e5f6g7h8i9j0k1", KEY_ID, SECRET_KEY, "ghp_" + "a1" * 18, "eyJhbGciOiJI."),
        *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "sig", "x", "é", "_2"),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=4), max_size=14).map("".join)


@given(TEXTS)
def test_redacting_a_redacted_text_changes_nothing(text: str) -> None:
    once = redaction.text(text)

    assert redaction.text(once) == once


@given(st.lists(FRAGMENTS | TEXTS, max_size=6))
def test_redacting_a_redacted_command_changes_nothing(command: list[str]) -> None:
    once = redaction.command(command)

    assert len(once) == len(command)
    assert redaction.command(once) == once


@given(
    TEXTS,
    st.sampled_from(
        [
            'db_password="{}"',
            '{{"db_password": "{}", "n": 1}}',
            "DB_PASSWORD={} run",
            "db_password: {}",
            "--db-password {} run",
            "--db-password = {}",
            "https://ada:{}@host/",
        ]
    ),
    st.from_regex(r"[A-Za-z0-9!#$%*+.^_~-]{4,40}", fullmatch=True).map("Zq{}Zq".format),
)
def test_a_named_secret_is_redacted_whatever_surrounds_it(
    around: str, form: str, secret: str
) -> None:
    text = f"{around}\n{form.format(secret)}\n{around}"

    assert secret not in redaction.text(text)
    assert secret not in "".join(redaction.command([around, form.format(secret), around]))


@pytest.mark.parametrize("text", ["password:-auth:x", "password:REDACTEDauth:REDACTED"])
def test_a_secret_that_only_another_pass_reveals_is_redacted(text: str) -> None:
    once = redaction.text(text)

    assert once == "password:REDACTED"
    assert redaction.text(once) == once


def test_a_text_that_does_not_settle_is_withheld() -> None:
    """Each pass reveals the next match of this pattern, as no rule of the product does."""
    endless = Redaction([r"\Ax|(?<=REDACTED)x"])

    assert endless.text("x" * 50) == REDACTED
    assert endless.text("xx") == REDACTED * 2


@pytest.mark.parametrize(
    ("command", "redacted"),
    [
        (["mysql", "-uroot", "-phunter2", "db"], ("mysql", "-uroot", "-pREDACTED", "db")),
        (["/usr/bin/mysql", "-p", "db"], ("/usr/bin/mysql", "-p", "db")),
        (["docker", "login", "-p", "hunter2"], ("docker", "login", "-p", "REDACTED")),
        (["docker", "run", "-p", "80:80"], ("docker", "run", "-p", "80:80")),
        (["sudo", "sshpass", "-p", "a b", "ssh"], ("sudo", "sshpass", "-p", "REDACTED", "ssh")),
        (["curl", "-su", "ada:hunter2"], ("curl", "-su", "ada:REDACTED")),
        (["--password", "--S3cret"], ("--password", "REDACTED")),
        (["--no-password", "host"], ("--no-password", "host")),
        (["--password", "123456"], ("--password", "REDACTED")),
        (["--pass", "2", "--auth", "false"], ("--pass", "2", "--auth", "false")),
        (["password", "=", "hunter2"], ("password", "=", "REDACTED")),
        (["-H", "X-Api-Key:", "hunter2"], ("-H", "X-Api-Key:", "REDACTED")),
        (["run", KEY_ID, SECRET_KEY], ("run", REDACTED, REDACTED)),
        (
            ["run", "--id", KEY_ID, "--key", SECRET_KEY],
            ("run", "--id", REDACTED, "--key", REDACTED),
        ),
        (
            ["-----BEGIN PRIVATE KEY-----", "MIIE", "-----END PRIVATE KEY-----", "x"],
            (REDACTED, REDACTED, REDACTED, "x"),
        ),
    ],
)
def test_a_secret_that_several_arguments_reveal_is_redacted(
    command: list[str], redacted: tuple[str, ...]
) -> None:
    assert redaction.command(command) == redacted


@pytest.mark.parametrize("value", ["true", "12", "/run/secrets/db", "${DB}", "Ref::password", ""])
def test_the_value_of_a_secrets_name_stays_if_it_is_evidently_no_secret(value: str) -> None:
    values = {"db-password": value}

    assert redaction.mapping(values) == values


HOSTILE = (
    *("a", "=", "-", "_", "@", "[", "\\", " ", '"', "password", "password=", "password='"),
    *('password=\\"', "token: ", "--password ", "://a:", "://a:/", "eyJaaaaaaaa.", "-eyJaaaaaa"),
    *("AKIA", f"{KEY_ID} ", "a" * 40 + " ", "-----BEGIN PRIVATE KEY-----", "bearer ", "-u a: "),
    *("authorization: ", "name=", "?sig=", "key=a,value", " aws_secret", ";a", "_PF84_"),
    *("<password>", "<password ", 'password=["', "x' password='x", " password=a'b", "mysql -x "),
    *("docker login -x ", "curl -u", "echo a | ", "identified by ", "password for a", "a:5432:"),
    *("login a password ", "api.key.a.b.net", "password_a", "password=${", "--from-literal=a="),
)


@pytest.mark.parametrize("unit", HOSTILE)
def test_redaction_takes_linear_time_for_a_hostile_text(unit: str) -> None:
    """Four times the text takes four times as long; in quadratic time, it would take sixteen."""
    short, long = (min(_seconds(unit, characters) for _ in range(2)) for characters in SIZES)

    assert long < 9 * short + 0.01


SIZES = (5_000, 20_000)


def _seconds(unit: str, characters: int) -> float:
    """Return the CPU time of the redaction of texts that consist of repetitions of the unit."""
    hostile = unit * (characters // len(unit))
    started = process_time()
    for text in (hostile, f"password={hostile}", f'"token": "{hostile}', f"{hostile}@ =password"):
        redaction.text(text)
    return process_time() - started
