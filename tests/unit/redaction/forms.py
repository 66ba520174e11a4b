"""Reads `forms.txt`: texts in which the secrets are marked.

The tokens that it names are made up, and put together here, so that secret scanners don't report
this repository.
"""

import re
from pathlib import Path
from typing import NamedTuple

from chalicelib.redaction import REDACTED

_FORMS = Path(__file__).with_name("forms.txt")
_MARKED = re.compile("«(.*?)»", re.DOTALL)

_HEX, _WORD = "0a1b2c3d4e5f6789", "Zq1Yx2Wv3Ut4Sr5P"
TOKENS = {
    "aws_id": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret": "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "aws_session": "IQoJb3" + "JpZ2luX2VjE" + _WORD * 3 + "==",
    "github": "gh" + "p_" + _WORD * 2 + "abcd",
    "github_fine": "github" + "_pat_" + _WORD * 4,
    "gitlab": "gl" + "pat-" + _WORD + "_x-y",
    "bitbucket": "ATBB" + _WORD + _HEX,
    "stripe": "sk_" + "test_" + _WORD,
    "google_oauth": "ya" + "29." + _WORD * 2,
    "google": "AI" + "za" + _WORD * 2 + "a-_",
    "hugging_face": "hf" + "_" + "Zq" * 17,
    "openai": "sk" + "-" + _WORD * 3,
    "openai_project": "sk" + "-proj-" + _WORD * 3,
    "anthropic": "sk" + "-ant-api03-" + _WORD * 3,
    "slack_bot": "xo" + "xb-123456789012-" + _WORD,
    "vault": "hv" + "s." + _WORD * 2,
    "digitalocean": "dop" + "_v1_" + _HEX * 4,
    "nvidia": "nv" + "api-" + _WORD * 4,
    "atlassian": "ATA" + "TT3xFfGF0" + _WORD * 4 + "=0A1B2C3D",
    "npm": "np" + "m_" + _WORD * 2 + "abcd",
    "pypi": "py" + "pi-AgEIcHlwaS5vcmc" + _WORD * 3,
    "sendgrid": "S" + "G." + _WORD + "abcdef." + _WORD * 2,
    "databricks": "da" + "pi" + _HEX * 2,
    "groq": "gs" + "k_" + _WORD * 3,
    "replicate": "r8" + "_" + _WORD * 2 + "abcde",
    "xai": "xa" + "i-" + _WORD * 5,
    "linear": "lin" + "_api_" + _WORD * 2 + "abcdefgh",
    "grafana": "gl" + "sa_" + _WORD * 2 + "_0a1b2c3d",
    "newrelic": "NR" + "AK-" + "Q1W2E3R4T5Y6U7I8O9P0A1S2D3F",
    "shopify": "shp" + "at_" + _HEX * 2,
    "terraform": _WORD[:14] + ".atlas" + "v1." + _WORD * 4,
    "pulumi": "pu" + "l-" + _HEX * 2 + "0a1b2c3d",
    "doppler": "dp" + ".pt." + _WORD * 2 + "abcdefghijk",
    "planetscale": "pscale" + "_tkn_" + _WORD * 2,
    "postman": "PM" + "AK-" + _HEX + "0a1b2c3d-" + _HEX * 2 + "0a",
    "telegram": "123456789" + ":AA" + _WORD * 2 + "z",
    "age": "AGE-SECRET" + "-KEY-1" + "QPZRY9X8GF2TVDW0S3JN" * 3,
    "prefect": "pn" + "u_" + _WORD * 2 + "abcd",
    "airtable": "pat" + _WORD[:14] + "." + _HEX * 4,
    "figma": "fi" + "gd_" + _WORD * 2 + "abcdefgh",
    "notion": "nt" + "n_" + _WORD * 3,
    "docker": "dckr" + "_pat_" + _WORD * 2,
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiJhZGEifQ" + "." + _WORD * 2,
    "pem_base64": "LS0tLS1" + "CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ" + _WORD * 3 + "==",
}


class Form(NamedTuple):
    """A text, its secrets, and the text with the secrets redacted."""

    text: str
    secrets: tuple[str, ...]
    redacted: str


def forms() -> list[Form]:
    """Return all forms, in the order of the file."""
    lines = _FORMS.read_text().splitlines()
    return [_form(line) for line in lines if line and not line.startswith("#")]


def _form(line: str) -> Form:
    line = re.sub(r"(?<!\\)\\n", "\n", line).replace("\\\\n", "\\n").replace("\\t", "\t")
    marked = re.sub(r"@@(\w+)", lambda match: TOKENS.get(match[1], match[0]), line)
    secrets = tuple(_MARKED.findall(marked))
    return Form(_MARKED.sub(r"\1", marked), secrets, _MARKED.sub(REDACTED, marked))
