"""Removes secrets from texts before anything is stored, logged, returned or sent.

AWS Batch events contain commands, parameters, tags and reasons in plain text, and people put
secrets into all of them. Every text is therefore redacted here first: `REDACTED` replaces each
secret, and the rest stays readable. Redacting a redacted text changes nothing.

    what                                     example                        why
    ---------------------------------------  -----------------------------  ------------------------
    value with a secret's name               DB_PASSWORD=…  dbPassword: …   named as a secret
                                             "api-key": "…"  --db-token …
                                             os.environ["TOKEN"] = "…"
    Authorization and Cookie headers,        Authorization: Basic …         credentials of HTTP
    bearer tokens, users of curl             Bearer …  curl -u ada:…
    password or token in a URL               https://ada:…@host/            credentials of a URL
    signature or token in a URL's query      ?X-Amz-Signature=…  &sig=…     grants access to the URL
    webhooks of Slack and Webex              hooks.slack.com/services/…     grants access to a room
    access keys and session tokens of AWS,   AKIA…  IQoJb3JpZ2lu…           format
    and a secret key next to an access key
    private keys                             -----BEGIN PRIVATE KEY-----    format
    JSON Web Tokens                          eyJ….….…                      format
    tokens of Anthropic, Databricks, Docker, ghp_…  glpat-…  xoxb-…  sk-…   format
    GitHub, GitLab, Google, Hugging Face,    hf_…  npm_…  pypi-…  SG.…
    npm, OpenAI, PyPI, SendGrid, Slack,
    Stripe and Webex
    matches of an `extra` pattern            as configured                  secrets of one operator

A secret's name, in upper or lower case, ends in password, passphrase, passcode, secret, token,
credential, auth, connection string, or in key after api, access, secret, private and others; a
number or a stage may follow (`_1`, `-prod`). Names that end like that but mean something else are
excepted: `pad_token`, `ExpiredToken`, `PWD=/home`, the `:secret:` in an ARN.

Not redacted: a password without a name (`mysql -phunter2`) and a password within prose; `extra`
patterns are for these. Values of environment variables are not passed to this module at all: any of
them may be a secret, so the caller drops all values and keeps the names.

Pure: this module must not know events, AWS clients, the clock or the environment. Redaction takes
time linear in the length of a text, even of one that was written to slow it down: no run of
characters is scanned from more than one start unless its length is bounded.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

REDACTED: Final = "REDACTED"

_CACHE_SIZE: Final = 4_096
_MAX_CACHED_CHARACTERS: Final = 512
"""Longer texts seldom repeat, and would only displace others from the cache."""


class Redaction:
    """Redacts what the table in the module's docstring lists, and all matches of `extra` patterns.

    The constructor raises ValueError for a pattern that is not a regular expression, or that
    matches "REDACTED" itself, as any pattern does that matches everything. It does not check how
    long a pattern takes.
    """

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._extra = tuple(_compiled(pattern) for pattern in extra)
        # The events of one job and the children of one array repeat their texts.
        self._cached = lru_cache(_CACHE_SIZE)(self._redacted)

    def text(self, value: str) -> str:
        if len(value) <= _MAX_CACHED_CHARACTERS:
            return self._cached(value)
        return self._redacted(value)

    def command(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the redacted arguments of a container's command.

        An argument can be the secret that the argument before it names (`--password`, `hunter2`).
        Arguments need no quotes, so the secret in the argument `PASSWORD=a b c` extends to its end.
        After `-c`, an argument is a script, in which the secret ends where it ends for a shell.
        """
        return tuple(map(self._argument, ("", *arguments), arguments))

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return redacted parameters or tags. The whole value of a secret's name is redacted."""
        return {
            name: REDACTED if _is_name_of_secret(name[-_MAX_NAME:]) else self.text(value)
            for name, value in values.items()
        }

    def _argument(self, before: str, argument: str) -> str:
        if len(before) <= _MAX_NAME:
            if _is_option_of_secret(before.removesuffix("=")) and not _OTHER_OPTION.match(argument):
                return REDACTED
            if before in _USER_OPTIONS:
                return self.text(f"-u {argument}").removeprefix("-u ")
        redacted = self.text(argument)
        if redacted != argument and not _SCRIPT_OPTION.fullmatch(before):
            assigned = _ASSIGNED.match(argument)
            return assigned[0] + REDACTED if assigned else redacted
        return redacted

    def _redacted(self, value: str) -> str:
        lower = value.lower()
        if _contains_any(_HINTS, lower):
            for rule in _RULES:
                if _contains_any(rule.hints, lower):
                    value = rule.pattern.sub(rule.replacement, value)
        for pattern in self._extra:
            value = pattern.sub(REDACTED, value)
        return value


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if compiled.search(REDACTED):
        raise ValueError(f"{pattern!r} matches {REDACTED!r} itself")
    return compiled


def _contains_any(hints: Sequence[str], lower: str) -> bool:
    for hint in hints:  # noqa: SIM110 - any() is 50% slower, and every text passes here
        if hint in lower:
            return True
    return False


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.ASCII | re.DOTALL | re.VERBOSE)


class _Rule(NamedTuple):
    """A pattern, and the replacement of what it matches.

    A text that the pattern matches contains one of `hints`, in lower case. Most texts contain none
    of any rule, and that check is cheap.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


def _rule(hints: str, pattern: str, replacement: str = rf"\g<kept>{REDACTED}") -> _Rule:
    return _Rule(tuple(hints.split()), _pattern(pattern), replacement)


# The end of a secret's name. What precedes it matters only if the name then means something else:
# PWD=/home, pad_token, ExpiredToken, bypass, the ":secret:" of an ARN.
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
_MAX_NAME: Final = 120  # Of a longer name, at most the end is examined.

_QUOTE: Final = r"""(?: \\{0,3} ["'] )"""
_SEPARATOR: Final = rf"{_QUOTE}? \]? [ \t]{{0,3}} (?: => | := | \+?= | : ) [ \t]{{0,3}}"
_BEHIND: Final = r"""(?= [\s"'\\;&|,)\]}<>] | \Z )"""
_ARN: Final = r"arn:aws[a-z-]{0,20}:[a-z0-9-]{1,40}:"

# A quoted value extends to the same quotes or, if the text was truncated, to its end. Quotes that a
# word or a colon follows begin another text and don't end this one.
# A value without quotes extends over ; & | , ) ] } unless these end a command or a structure.
# An ARN, the beginning of a structure and another secret's name are not values.
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
_OTHER_OPTION: Final = _pattern(rf"--[a-z] | -\w\Z | {_ARN}")
_SCRIPT_OPTION: Final = re.compile(r"-[a-z]*c")
_USER_OPTIONS: Final = frozenset({"-u", "--user", "--proxy-user"})


@lru_cache(_CACHE_SIZE)
def _is_name_of_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


@lru_cache(_CACHE_SIZE)
def _is_option_of_secret(argument: str) -> bool:
    return _SECRET_OPTION.fullmatch(argument) is not None
