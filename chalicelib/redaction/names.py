"""The grammar of a named secret: its name, what separates the two, and the value.

All patterns are verbose, ignore case and match ASCII. A quantifier that could scan the same
characters from several starts is bounded, so that a search takes linear time.
"""

import re
from functools import cache, lru_cache
from typing import Final


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII | re.DOTALL | re.VERBOSE)


_COMPOUNDS: Final = (
    "db my pg ftp sql ssh user smtp mail root admin store key http ldap redis mongo become require"
    " proxy login sudo"
)
_AFTER_COMPOUND: Final = re.sub(r"(\w+) ?", r"(?<=\1)|", _COMPOUNDS).rstrip("|")

# After "password" any suffix is a part of the name (PASSWORD_OLD, password-replica) but these,
# which name something about the password.
_ABOUT: Final = r"""(?: file | path | dir | stdin | command | cmd | prompt | env | var | name | id
    | arn | ur[il] | ref | min | max | len | size | count | polic | expir | age | ttl | timeout
    | rotat | reset | chang | strength | manager | store | protect | requir | enable | disable
    | field | column | hint | type | mode | method | auth | attempt | retr | valid | encod
    | alg | complex | source | provider | from
    | check | length | label | key | secret | is | has )"""
_SUFFIX: Final = r"""
    (?: [_.-]? \d{1,3}
      | [_.-] (?: old | new | prev | previous | current | next | primary | secondary | backup | base
          | value | plain | plaintext | raw | string | str | text | prod | production | staging
          | stage | stg | dev | test | qa | uat | live | ci | local | default | main | admin | root
          | user | db | ro | rw | read | write | github | gitlab | gh | gl | aws | gcp | azure | hf
          | slack | openai | us | eu | hash | b64 | base64 | encoded ) (?![a-z0-9])
    ){0,2}
"""

# The end of a name whose value is a secret even if it is a number: what precedes it matters only if
# the name then means something else (PWD=/home, the ":secret:" of an ARN).
_STRONG: Final = rf"""
    (?: (?=pass) (?: passwords? | passwd | passphrase | passcode )
        (?: [_-] (?! {_ABOUT} ) [a-z0-9]{{1,24}} (?![a-z0-9]) )?
      | (?=pwd) (?: (?<=\w) (?<!old) (?<!\$) pwd | (?<! [\w$\{{] ) pwd (?! =/ ) )
      | (?=s) (?<! \d{{12}}: ) (?<! existing ) secrets?
      | credentials? | (?=c) (?<![a-z]) creds?
      | connection [_-]? string | access [_-]? signature | oauth2 [_-] bearer
    )
"""
# The end of a name that is also used for other things: ExpiredToken, pad_token, bypass.
_WEAK: Final = rf"""
    (?: (?: (?=pass)
            (?: (?<![a-z0-9]) pass | (?-i: (?<=[a-z]) Pass ) | (?: {_AFTER_COMPOUND} ) pass )
          | (?=auth) (?: (?<![a-z0-9]) auth | (?-i: (?<=[a-z]) Auth ) ) )
        (?! [ \t]{{0,40}} : [ \t] )
      | (?=token) (?<! (?:pad|eos|bos|sep|unk|cls|max|min|num|per|new) [_-] ) (?<! mask[_-] )
        (?<! expired ) (?<! invalid ) (?<! expired[ ] ) (?<! invalid[ ] ) (?<! unexpected[ ] ) token
      | (?-i: (?=P) (?<![A-Za-z0-9]) PAT )
      | (?: api | app | access | secret | private | encryption | signing | account | auth | master
          | subscription | storage | session ) [_.-]? keys? (?: [_-]? id )?
        (?: \. [\w-]{{1,40}} (?: \. [a-z]{{1,12}} ){{1,5}} \.net )?
    )
"""
NAME: Final = rf"(?= [pstcaemo] ) (?: (?: {_STRONG} | {_WEAK} ) {_SUFFIX} )"
_NAME_MARKED: Final = rf"(?= [pstcaemo] ) (?: (?: {_STRONG} | (?P<weak> {_WEAK} ) ) {_SUFFIX} )"
NAME_HINTS: Final = (
    "pass pwd secret token cred auth onstring on_string on-string signature key bearer identified"
    " pat= pat:"
)

QUOTE: Final = r"""(?: \\{0,3} ["'] )"""
SEPARATOR: Final = rf"""{QUOTE}? \]? [ \t]{{0,40}} (?: => | := | \+?={{1,3}} | : )
    (?: \s{{1,40}} (?={QUOTE}) | [ \t]{{0,40}} )"""
BEHIND: Final = r"""(?= [\s"'\\;&|,)\]}<>] | /> | \Z )"""
ARN: Final = r"arn:aws[a-z-]{0,20}:[a-z0-9-]{1,40}:"

# Values that are not secrets: an ARN, a path, a boolean, a small number, a reference to a variable,
# a parameter or a command's output, a placeholder.
_ROOTS: Final = (
    "app bin certs config credentials data dev efs etc fsx home input keys lib mnt mount opt output"
    " proc ref root run scratch secrets shared srv ssl tmp users usr var vault w work workdir"
    " workspace"
).replace(" ", "|")
_PLAIN: Final = rf"""
    (?: {QUOTE}? {ARN}
      | \$ [({{]? \{{? \w{{0,100}} (?: pass | pw | secret | token | key | cred ) \w{{0,100}} \}}?
        {BEHIND}
      | REDACTED @ | (?: "" | '' | \\"\\" ) {BEHIND} (?! ["'] ) | <{{2,3}} | [<>] \s
      | {QUOTE}? (?: \$\( | ` | \{{\{{ | file:// | id= | type= | src= )
      | {QUOTE}?
        [=+-]? (?: true | false | yes | no | on | off | none | null | nil | undefined
          | enabled | disabled | required | optional | iam | stdin | \*{{3,20}} | [?+-]
          | \$ (?-i: [A-Z_][A-Z0-9_]{{0,100}} )
          | \$\{{ \w{{1,100}} (?: :?- (?: none | null )? )? \}}
          | % \w{{1,100}} % | Ref::[\w-]{{1,100}} | < [a-z] [\w -]{{0,40}} >
          | (?: env | file | fd ) : [\w./-]{{1,200}}
          | \d{{0,3}} \. \d{{1,3}} | (?(weak) \d{{1,6}} | \d{{1,3}} )
          | (?: ~ | \.{{1,2}} | / (?: {_ROOTS} ) | \$\{{? [a-z_]{{1,40}} \}}? )
            / [\w./@%+:-]{{0,300}}
          | / (?: {_ROOTS} )
          | [\w./-]{{1,200}} \. (?: txt | json | ya?ml | toml | ini | cfg | conf | pem | key | crt
              | p12 | pfx | jks | csv | tsv | xml | properties | env )
        ) {BEHIND} (?! [\\,;&|)\]}}]{{1,3}} [\w$] )
    )
"""

# A quoted value extends to the same quotes or, if the text was truncated, to its end. Quotes that a
# word or a colon follows begin another text and don't end this one.
# A value without quotes extends over ; & | , ) ] } unless these end a command or a structure.
# The beginning of a structure and another secret's name are not values.
QUOTED: Final = rf"""
    (?P<quote> {QUOTE} ) (?=\S)
    (?: (?! (?P=quote) {BEHIND} (?! (?P=quote) \w ) ) (?: \\. | [^\\] ) )* (?: (?P=quote) | \Z )
"""
VALUE: Final = rf"""
    (?: {QUOTED}
      | (?! [\[{{(]{{1,3}} (?: [\s"'\\\]] | \Z ) )
        (?: (?! {NAME} {SEPARATOR} \S )
            (?: [^\s"'\\;&|,)\]}}] | \\[^"'\r\n]
              | [;&|,)\]}}] (?! [\s"';&|,)\]}}{{] | \Z | [\w.-]{{1,64}} = ) ) )+
    )
"""

# A word of a shell, with quotes within it: 'a'"b"c, a'b c'd. The first quotes don't end it.
_BARE: Final = r"(?: [^\s\"'\\;&|()<>`=] | \\[^\"'\r\n] )"
_IN_QUOTES: Final = r"""(?: '[^'\n]*' | "(?: \\. | [^"\\\n] )*" )"""
SHELL_WORD: Final = rf"""
    (?<! [^\s;&|(] ) (?= -{{0,2}} [\w.-]{{1,80}} [=\s] [^\s;&|()<>]{{0,200}} ['"] )
    (?> (?P<kept> (?P<dash> (?! --?no- ) --? )? [\w.-]{{0,80}}? {NAME}
        (?: = | (?(dash) [ \t] | (?!) ) ) ) )
    (?! ['"]?\$ | [\[{{(] )
    (?: {_BARE}+ {_IN_QUOTES} | {_IN_QUOTES} (?= [\w$'"\\.-] ) )
    (?: {_BARE} | {_IN_QUOTES} )* (?= [\s;&|()<>"'] | \Z )
"""

# NAME=value, "name": "value"; --name value, "--name", "value"; name=NAME,value=value.
NAMED_VALUE: Final = rf"""
    (?= [-pstcaemokn] ) (?> (?P<kept>
        (?: (?P<option> (?<! [\w-] ) (?: (?! --?no- ) --? [\w.-]{{0,80}}? | aws_ [a-z_]{{0,20}}? ) )
          | (?P<pair> (?<! [a-z] ) (?: name | key ) {SEPARATOR} {QUOTE}? [\w.-]{{0,80}}? ) )?
        {_NAME_MARKED}
        (?: (?(pair) {QUOTE}? \s{{0,20}} , \s{{0,20}} {QUOTE}? value {SEPARATOR} | {SEPARATOR} )
          | (?(option)
              (?: (?: \s | \\\s ){{1,8}} | {QUOTE} \s{{0,20}} , \s{{0,20}} (?= {QUOTE} ) )
              (?! (?-i: {QUOTE}? --[a-z] ) | -\w (?!\S) | :?=>? | : )
            | (?!) ) )
    ) )
    (?! {_PLAIN} ) {VALUE}
"""
LIST_VALUE: Final = rf"""
    (?P<kept> {NAME} {SEPARATOR} \[ \s{{0,20}} ) (?P<quote> {QUOTE} )
    (?: (?! (?P=quote) \s{{0,20}} \] ) . )* (?: (?P=quote) | \Z )
"""
XML_VALUE: Final = rf"""
    (?P<kept> (?P<tag> < [\w.:-]{{0,80}}? )? {NAME}
        (?(tag) (?: \s [^<>]{{0,200}} )? > | \s{{0,40}} </ \w{{1,20}} > \s{{0,40}} < value > ) )
    (?! \s*< | (?: true | false | \d{{1,3}} | \$ [({{] [^<]{{0,100}} ) < ) [^<]+
"""
SQL_VALUE: Final = rf"""
    (?P<kept> (?: {_STRONG} | access_key (?: _id )? | identified \s [\w\s]{{0,60}}? by
          | password \s{{1,8}} for \s [^=\n]{{1,100}} = ) \s{{1,8}} )
    (?= ["'] ) {QUOTED}
"""

MAX_NAME: Final = 120
"""Characters of a name that are examined, at its end."""
ASSIGNED_ARGUMENT: Final = rf"""(?P<kept> (?! -{{0,2}}no- ) -{{0,2}} [\w.-]{{0,80}}? {_NAME_MARKED}
        (?: :?=>? | : ) [ \t]{{0,40}} )
    (?! {_PLAIN} )"""
_NAMED: Final = rf"{NAME} \Z"
_HEADERS: Final = ("authorization", "cookie")
_CACHE_SIZE: Final = 4_096


@lru_cache(_CACHE_SIZE)
def is_assignment_to_secret(argument: str) -> bool:
    """Return whether an argument is a secret's name with a separator: `X-Api-Key:`."""
    if len(argument) > MAX_NAME:
        return False
    return compiled(ASSIGNED_ARGUMENT).fullmatch(f"{argument} ") is not None


def is_option_of_secret(argument: str) -> bool:
    return argument.startswith(("-", "aws_")) and is_assignment_to_secret(f"{argument}=")


def is_secret(name: str, value: str) -> bool:
    """Return whether a value is a secret because of its name. A boolean is not, for example."""
    end = _end_of_name(name[-MAX_NAME:])
    if not value or end is None:
        return False
    return end in _HEADERS or compiled(ASSIGNED_ARGUMENT).match(f"{end}={value}") is not None


@lru_cache(_CACHE_SIZE)
def _end_of_name(name: str) -> str | None:
    """Return the part of a name that makes its value a secret."""
    lower = name.lower()
    found = compiled(_NAMED).search(name)
    return next(filter(lower.endswith, _HEADERS), found[0] if found else None)
