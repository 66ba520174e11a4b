"""The rules of redaction, in the order in which they are applied."""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from chalicelib.redaction import names, programs, tokens
from chalicelib.redaction.names import BEHIND, NAME_HINTS, QUOTE, compiled

REDACTED: Final = "REDACTED"


class Rule(NamedTuple):
    """A pattern, and the replacement of what it matches.

    A text that the pattern matches contains one of `hints`, in lower case, and one of the
    characters `with_any`, if there are any. Most texts contain none of any rule, and that check is
    cheap. A pattern is compiled at its first use, because compiling all of them takes a tenth of
    the imports of a function.
    """

    hints: tuple[str, ...]
    source: str
    replacement: Callable[[re.Match[str]], str]
    with_any: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        return compiled(self.source)

    def may_match(self, lower: str) -> bool:
        return contains_any(self.hints, lower) and (
            not self.with_any or contains_any(self.with_any, lower)
        )


def contains_any(hints: Sequence[str], lower: str) -> bool:
    for hint in hints:  # noqa: SIM110 - any() is 50% slower, and every text passes here
        if hint in lower:
            return True
    return False


def _whole(_: re.Match[str]) -> str:
    return REDACTED


def _after_kept(match: re.Match[str]) -> str:
    return f"{match['kept']}{REDACTED}"


def _within_quotes(match: re.Match[str]) -> str:
    quote = match["quote"] or ""
    return f"{match['kept']}{quote}{REDACTED}{quote}"


_Replacement = Callable[[re.Match[str]], str]


def _rule(hints: str, pattern: str, replacement: _Replacement = _after_kept) -> Rule:
    return Rule(tuple(dict.fromkeys(hints.split())), pattern, replacement)


def _named(pattern: str, replacement: _Replacement, with_any: str = "") -> Rule:
    return _rule(NAME_HINTS, pattern, replacement)._replace(with_any=with_any)


_BLANK: Final = r"(?: [ \t]{1,3} | \\[ ] | %20 )"

_TOKENS: Final = (
    _rule(
        "akia asia abia acca",
        r"""
        (?: (?<! [a-z0-9/+] ) [a-z0-9/+]{40} [\s:,;|"'=]{1,4} )?
        (?<! [a-z0-9] ) (?-i: (?: AKIA | ASIA | ABIA | ACCA ) [A-Z0-9]{16} ) (?! [a-z0-9] )
        (?: [\s:,;|"'=]{1,4} [a-z0-9/+]{40} (?! [a-z0-9/+] ) )?
        """,
        _whole,
    ),
    _rule(
        " ".join(each.hints for each in tokens.FORMATS),
        rf"(?<! [\w-] ) (?-i: {' | '.join(each.pattern for each in tokens.FORMATS)} )",
        _whole,
    ),
)

_CREDENTIALS: Final = (
    _rule(
        "-----begin",
        r"-----BEGIN [ ] [a-z0-9 ]{0,40} PRIVATE [ ] KEY [a-z ]{0,10} -----"
        r"(?: .*? -----END [ ] [a-z0-9 ]{1,60} ----- (?: \\n )? | .* )",
        _whole,
    ),
    _rule(
        "authorization cookie",
        rf"""
        (?P<kept> (?<! [a-z] ) (?: authorization | cookie )
            {QUOTE}? [ \t]{{0,3}} [:=] {_BLANK}? {QUOTE}?
            (?P<scheme> (?: basic | bearer | token | negotiate | apikey ) {_BLANK} )? )
        (?! (?: required | none | true | false ) {BEHIND} )
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
        (?: [^\s/"<>]+ | (?: [^\s/"<>] | / (?!/) )+? ) (?= @ (?! sha256: ) )
        """,
    ),
    _rule("@", r"(?P<kept> :// ) [\w-]{20,} (?=@)"),
    _rule(
        "hooks.slack.com/ webhooks/ webhook/ hooks.zapier.com/",
        r"""
        (?P<kept> hooks\.slack\.com/ (?: services | workflows | triggers )/ | webhooks/incoming/
          | discord (?: app )? \.com/api/webhooks/ | office\.com/webhook (?: b2 )? /
          | hooks\.zapier\.com/hooks/ )
        [^\s"'<>?\#]+
        """,
    ),
    _rule(
        "signature sig= credential",
        r"""
        (?P<kept> (?<= [?&] ) (?: x-(?: amz | goog )- )? (?: signature | sig | credential ) = )
        [^&\#\s"'<>]+
        """,
    ),
    _rule(
        "-u --user --proxy-user curl",
        r"""
        (?P<kept> (?<! [\w-] ) (?: -[a-z]{0,8}u | --user | --proxy-user ) [\s=]{1,3}
            (?: (?P<single> ' ) | (?P<double> " ) )? (?! arn: ) [^\s:"']{0,100} : )
        (?! // | \d{1,10} (?! [^\s"'] ) )
        (?(single) [^']+ | (?(double) [^"]+ | [^\s"']+ ) )
        """,
    ),
    _rule(
        ":5432: :*:",
        r"""
        (?P<kept> (?<! [\w.:/-] ) [\w.*-]{1,100} : (?: \d{2,5} | \* )
            : [\w.*-]{1,63} : [\w.*-]{1,63} : )
        [^\s"':]+
        """,
    ),
    _rule(
        "sqlplus expdp impdp sqlldr rman oracle:thin oracle:oci",
        r"""
        (?P<kept> (?: (?<! [\w-] ) (?: sqlplus | expdp | impdp | sqlldr | rman )
            \s{1,3} (?: -\w{1,3} \s{1,3} ){0,4} | oracle: (?: thin | oci8? ) : )
            ["']? [\w$\#]{1,64} / )
        [^\s/"'@]+
        """,
    ),
    _rule("login", r"(?P<kept> \b login \s{1,8} \S{1,100} \s{1,8} password \s{1,8} ) \S+"),
    _rule(
        "--from-literal",
        r"""(?P<kept> --from-literal [=\s] ["']? [\w.-]{1,200} = ) (?! \$ )
        (?: (?P<single> ' ) [^']* '? | [^\s"']+ )""",
    ),
    _rule(
        "passin passout -pass",
        r"(?P<kept> (?<! [\w-] ) -pass (?: in | out )? [\s=] pass: ) [^\s\"']+",
    ),
    _rule(
        "chpasswd sudo password-stdin kinit cryptsetup --with-token",
        r"""
        (?P<kept> (?<! [\w-] ) (?: echo | printf ) \s{1,3} (?: -[a-z]{1,3} \s{1,3} )? )
        (?! ["']? \$ )
        (?: "[^"\n|]{1,200}" | '[^'\n|]{1,200}' | [^\s"'|]{1,200} )
        (?= \s{0,3} \| \s{0,3} (?: (?: sudo \s{1,3} )? (?: chpasswd | kinit | cryptsetup )
          | sudo \s [^|\n]{0,40}? -S | [^|\n]{1,200}? --(?: password-stdin | with-token ) ) )
        """,
    ),
)

_NAMED: Final = (
    _named(names.SHELL_WORD, _after_kept, "'\""),
    _named(names.LIST_VALUE, _within_quotes, "["),
    _named(names.XML_VALUE, _after_kept, "<"),
    _named(names.SQL_VALUE, _within_quotes, "'\""),
    _named(names.NAMED_VALUE, _within_quotes),
)


class Group(NamedTuple):
    """Rules that are tried if a text contains one of `hints`."""

    hints: tuple[str, ...]
    rules: tuple[Rule, ...]


def _group(rules: Sequence[Rule], hints: tuple[str, ...] = ()) -> Group:
    return Group(hints or tuple(dict.fromkeys(h for rule in rules for h in rule.hints)), (*rules,))


LONG_WORD: Final = re.compile(r"[\w-]{15}", re.ASCII)
"""A part of every token. A text that contains no long word contains no token."""
SHORT_WORD: Final = re.compile(r"[\w./-]{0,14}", re.ASCII)
"""A text that no rule matches: too short for a token, and without a separator."""
TOKEN_RULES: Final = _TOKENS
GROUPS: Final = (
    _group(_CREDENTIALS),
    _group([_rule(*each) for each in programs.patterns()], (" -", "\t-", "\n-")),
    _group(_NAMED),
)
