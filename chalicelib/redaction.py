"""What never gets in: secrets that people put into commands, parameters, tags and reasons.

AWS Batch events carry all of these in plain text, and whatever batchwatch stores it also shows and
sends. So every text passes through here first, and comes out with REDACTED in place of its secrets
and the rest readable: `--password REDACTED`, `https://ada:REDACTED@host/`. Redacting twice
changes nothing.

Covered, whatever the case:

- Values under a secret's name, as in `DB_PASSWORD=…`, `dbPassword: …`, `"api-key": "…"`,
  `--db-password …`, `os.environ["TOKEN"] = "…"`, quoted ones with their spaces. Such a name ends
  in password, passphrase, secret, token, credential, auth, connection string or an api, access,
  private, … key, perhaps with a number or a stage after it.
- `Authorization` and `Cookie` headers, bearer tokens, `curl -u user:…`.
- URLs: the password before the host, a token as the user, signatures and tokens in the query,
  Slack's and Webex's webhooks.
- Shapes that give themselves away: AWS key ids and a secret key beside one, AWS session tokens,
  private key blocks, JWTs, tokens of GitHub, GitLab, Slack, Webex, OpenAI, Anthropic, Stripe,
  Google, Hugging Face, npm, PyPI, Docker, SendGrid, Databricks.

Not covered: a bare password without a name (`mysql -phunter2`), a password in the middle of prose.
The `extra` patterns are for those. Values of environment variables are not for this module at all:
any of them may be a secret, so the caller drops every one and keeps the names.

Pure: knows nothing of events, AWS clients, the clock or the environment. Time is linear in the
length of the text, whoever wrote it: no run of characters is scanned from more than one start,
unless its length is bounded.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

REDACTED: Final = "REDACTED"

# A longer text is rarely seen twice, and would only push out others.
_REMEMBERED: Final = 4_096
_REMEMBERED_CHARACTERS: Final = 512


class Redaction:
    """Takes secrets out of texts: those of the module's docstring, and whatever `extra` matches.

    Raises ValueError, naming the pattern, for one that is no regular expression or that would
    redact "REDACTED" itself, as any does that matches everything. How long the others take is
    their author's affair.
    """

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._extra = tuple(_compiled(pattern) for pattern in extra)
        # The events of one job, and the children of one array, repeat their texts.
        self._remembered = lru_cache(_REMEMBERED)(self._redacted)

    def text(self, value: str) -> str:
        if len(value) <= _REMEMBERED_CHARACTERS:
            return self._remembered(value)
        return self._redacted(value)

    def command(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """A command as a container gets it: one argument can be the secret of the one before it.

        An argument needs no quotes, so the secret in `PASSWORD=a b c` goes on to its end. But what
        follows `-c` is a script, and there it ends where a shell ends it.
        """
        return tuple(map(self._argument, ("", *arguments), arguments))

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        """Parameters and tags: under a secret's name, whatever the value is goes."""
        return {
            key: REDACTED if _names_a_secret(key[-_LONGEST_NAME:]) else self.text(value)
            for key, value in values.items()
        }

    def _argument(self, before: str, argument: str) -> str:
        if len(before) <= _LONGEST_NAME:
            if _awaits_a_secret(before.removesuffix("=")) and not _NOT_ITS_VALUE.match(argument):
                return REDACTED
            if before in _AWAIT_A_USER:
                return self.text(f"-u {argument}").removeprefix("-u ")
        redacted = self.text(argument)
        if redacted != argument and not _AWAITS_A_SCRIPT.fullmatch(before):
            assigned = _ASSIGNED.match(argument)
            return assigned[0] + REDACTED if assigned else redacted
        return redacted

    def _redacted(self, value: str) -> str:
        lower = value.lower()
        if _holds_any(_HINTS, lower):
            for rule in _RULES:
                if _holds_any(rule.hints, lower):
                    value = rule.pattern.sub(rule.replacement, value)
        for pattern in self._extra:
            value = pattern.sub(REDACTED, value)
        return value


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {pattern!r}: {error}") from error
    if compiled.search(REDACTED):
        raise ValueError(f"the pattern would redact {REDACTED!r} itself: {pattern!r}")
    return compiled


def _holds_any(hints: Sequence[str], lower: str) -> bool:
    for hint in hints:  # noqa: SIM110 - any() takes half as long again, and every text comes here
        if hint in lower:
            return True
    return False


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.ASCII | re.DOTALL | re.VERBOSE)


class _Rule(NamedTuple):
    """What `pattern` matches becomes `replacement`. Wherever it matches, the text, in lower case,
    holds one of `hints`; most texts hold none of any rule, and to see that is cheap."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


def _rule(hints: str, pattern: str, replacement: str = rf"\g<kept>{REDACTED}") -> _Rule:
    return _Rule(tuple(hints.split()), _pattern(pattern), replacement)


# The end of a secret's name. What comes before it does not matter, except where it shows that the
# name means something else: PWD=/home, pad_token, ExpiredToken, bypass, an ARN's ":secret:".
_NAME: Final = r"""
    (?= [pstcaem] )
    (?: passwords? | passwd | passphrase | passcode
      | (?: (?<![a-z0-9]) (?: pass | auth ) | (?-i: (?<=[a-z]) (?: Pass | Auth ) ) )
        (?! [ \t]{0,3} : [ \t] )
      | (?<=\w) (?<!old) pwd | (?<!\w) pwd (?! =/ )
      | (?<! \d{12}: ) secrets?
      | (?<! (?:pad|eos|bos|sep|unk|cls|max|num|per|new) [_-] ) (?<! mask[_-] )
        (?<! expired ) (?<! invalid ) (?<! expired[ ] ) (?<! invalid[ ] ) (?<! unexpected[ ] ) token
      | credentials? | connection [_-]? string | access [_-]? signature
      | (?: api | access | secret | private | encryption | signing | account | auth | master
          | subscription ) [_-]? key (?: [_-]? id )?
    )
    (?: [_-]? \d{1,3} | [_-] (?: base | value | prod | production | staging | dev | test ) )?
"""
_NAME_HINTS: Final = "pass pwd secret token credential auth string signature key"
_OPTION: Final = rf"(?: --? [\w.-]{{0,80}}? | aws_ [a-z_]{{0,20}}? ) {_NAME}"
_LONGEST_NAME: Final = 120  # A longer one is judged by its end, if at all.

_QUOTE: Final = r"""(?: \\{0,3} ["'] )"""
_SEPARATOR: Final = rf"{_QUOTE}? \]? [ \t]{{0,3}} (?: => | := | \+?= | : ) [ \t]{{0,3}}"
_BEHIND: Final = r"""(?= [\s"'\\;&|,)\]}<>] | \Z )"""
_ARN: Final = r"arn:aws[a-z-]{0,20}:[a-z0-9-]{1,40}:"

# A value is quoted, perhaps with escaped quotes, up to the same quotes or, if it was cut, the end.
# Quotes with a word right behind them, or with a colon, begin something and don't end it.
# Or it is bare, and goes on over ; & | , ) ] } unless these end a command or a structure.
# It is no value if it refers to one (an ARN), opens a structure, or is itself a secret's name.
_VALUE: Final = rf"""
    (?! {_QUOTE}? {_ARN} )
    (?: (?P<quote> {_QUOTE} ) (?=\S)
        (?: (?! (?P=quote) {_BEHIND} ) (?: \\. | [^\\] ) )* (?: (?P=quote) | \Z )
      | (?! [\[{{(]{{1,3}} (?: [\s"'\\] | \Z ) )
        (?: (?! {_NAME} {_SEPARATOR} \S )
            (?: [^\s"'\\;&|,)\]}}] | \\[^"'\r\n]
              | [;&|,)\]}}] (?! [\s"';&|,)\]}}{{] | \Z | [\w.-]{{1,64}} = ) ) )+
    )
"""
_VALUE_REDACTED: Final = rf"\g<kept>\g<quote>{REDACTED}\g<quote>"

_RULES: Final = (
    _rule(
        "-----begin",
        r"-----BEGIN [ ] [a-z0-9 ]{0,40} PRIVATE [ ] KEY [a-z ]{0,10} -----"
        r"(?: .*? -----END [ ] [a-z0-9 ]{1,60} ----- | .* )",
        REDACTED,
    ),
    _rule(
        "akia asia abia acca",
        r"""
        (?: (?<! [a-z0-9/+] ) [a-z0-9/+]{40} [\s:,;|"'=]{1,4} )?
        (?<! [a-z0-9] ) (?-i: (?: AKIA | ASIA | ABIA | ACCA ) [A-Z0-9]{16} ) (?! [a-z0-9] )
        (?: [\s:,;|"'=]{1,4} [a-z0-9/+]{40} (?! [a-z0-9/+] ) )?
        """,
        REDACTED,
    ),
    _rule(
        """eyj iqojb3jpz2lu fwogzxivyxdz fqogzxivyxdz ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat-
        glptt- glrt- gldt- glcbt- glsoat- gloas- glft- glimt- glagent- xox xapp- _p sk- k_live_
        k_test_ whsec_ aiza ya29. gocspx- hf_ npm_ pypi- dckr_pat_ dapi sg.""",
        r"""
        (?<! [\w-] ) (?-i:
            eyJ [\w-]{8,} \. [\w-]{8,} \. [\w-]*
          | (?: IQoJb3JpZ2lu | F[wQ]oGZXIvYXdz ) [\w/+=]{20,}
          | (?: gh[pousr]_ | github_pat_ ) \w{20,}
          | gl (?: pat | ptt | rt | dt | cbt | soat | oas | ft | imt | agent )- [\w.-]{16,}
          | xox[a-z]- [\w-]{10,} | xapp- [\w-]{10,}
          | [\w-]{40,100} _P\w{3}_ [0-9a-f]{8} (?: -[0-9a-f]{4} ){3} -[0-9a-f]{12}
          | sk- (?: (?: proj | svcacct | admin | ant | or )- [\w-]{16,} | [A-Za-z0-9]{32,} )
          | [sr]k_ (?: live | test )_ [A-Za-z0-9]{10,} | whsec_ [\w+/=]{16,}
          | AIza [\w-]{35} | ya29\. [\w-]{20,} | GOCSPX- [\w-]{20,}
          | hf_ [A-Za-z0-9]{30,} | npm_ [A-Za-z0-9]{36} | pypi- [\w-]{40,}
          | dckr_pat_ [\w-]{20,} | dapi [0-9a-f]{32} | SG\. [\w-]{16,} \. [\w-]{16,}
        )
        """,
        REDACTED,
    ),
    _rule(
        "authorization cookie",
        rf"""
        (?P<kept> (?<! [a-z] ) (?: authorization | cookie )
            {_QUOTE}? [ \t]{{0,3}} [:=] [ \t]{{0,3}} {_QUOTE}?
            (?P<scheme> (?: basic | bearer | token | negotiate | apikey ) [ \t]{{1,3}} )? )
        (?(scheme) [^\s"'\\]+ | [^\s"'\\] [^"'\\\r\n]* )
        """,
    ),
    _rule(
        "bearer",
        r"""
        (?P<kept> (?<! [a-z] ) bearer (?: [ \t]{1,3} | [ \t]? [:=] [ \t]? ) )
        (?: (?= [a-z._~+/=-]* \d ) [\w.~+/=-]{6,} | [\w.~+/=-]{24,} )
        """,
    ),
    _rule(
        "@",
        r"""
        (?P<kept> :// [^\s/:@"<>]* : (?! \d{1,5} / ) )
        (?: [^\s/"<>]+ | (?: [^\s/"<>] | / (?!/) )+? ) (?=@)
        """,
    ),
    _rule("@", r"(?P<kept> :// ) [\w-]{20,} (?=@)"),
    _rule(
        "hooks.slack.com/ webhooks/incoming/",
        r"""
        (?P<kept> hooks\.slack\.com/ (?: services | workflows | triggers )/ | webhooks/incoming/ )
        [^\s"'<>?\#]+
        """,
    ),
    _rule(
        "signature sig= credential",
        r"""
        (?P<kept> (?<= [?&] ) (?: x-amz- )? (?: signature | sig | credential ) = ) [^&\#\s"'<>]+
        """,
    ),
    _rule(
        "-u",
        r"""
        (?P<kept> (?<! [\w-] ) (?: -u | --user | --proxy-user ) [\s=]{1,3} ["']?
            (?! arn: ) [^\s:"']{1,100} : )
        (?! // | \d{1,10} (?! [^\s"'] ) ) [^\s"']+
        """,
    ),
    _rule(
        _NAME_HINTS,
        rf"""
        (?> (?P<kept> (?<! [\w-] ) {_OPTION}
            (?: (?: \s | \\\s ){{1,8}} | {_QUOTE} \s? , \s? (?= {_QUOTE} ) ) ) )
        (?! --[a-z] | -\w (?!\S) | :?=>? | : ) {_VALUE}
        """,
        _VALUE_REDACTED,
    ),
    _rule(
        _NAME_HINTS,
        rf"""
        (?> (?P<kept> (?<! [a-z] ) (?: name | key ) {_SEPARATOR} {_QUOTE}? [\w.-]{{0,80}}? {_NAME}
            {_QUOTE}? \s{{0,3}} , \s{{0,3}} {_QUOTE}? value {_SEPARATOR} ) ) {_VALUE}
        """,
        _VALUE_REDACTED,
    ),
    _rule(
        _NAME_HINTS,
        rf"(?> (?P<kept> {_NAME} {_SEPARATOR} ) ) {_VALUE}",
        _VALUE_REDACTED,
    ),
)
_HINTS: Final = tuple(dict.fromkeys(hint for rule in _RULES for hint in rule.hints))

_SECRET_NAME: Final = _pattern(rf"(?: {_NAME} | authorization | cookie ) \Z")
_SECRET_OPTION: Final = _pattern(_OPTION)
_ASSIGNED: Final = _pattern(rf"-{{0,2}} [\w.-]{{0,80}}? {_NAME} [=:] [ \t]{{0,3}} (?! {_ARN} )")
_NOT_ITS_VALUE: Final = _pattern(rf"--[a-z] | -\w\Z | {_ARN}")
_AWAITS_A_SCRIPT: Final = re.compile(r"-[a-z]*c")
_AWAIT_A_USER: Final = frozenset({"-u", "--user", "--proxy-user"})


@lru_cache(_REMEMBERED)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


@lru_cache(_REMEMBERED)
def _awaits_a_secret(argument: str) -> bool:
    return _SECRET_OPTION.fullmatch(argument) is not None
