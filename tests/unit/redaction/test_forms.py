"""Forms of secrets in the public documentation of tools are redacted, and nothing else is."""

import re
import shlex

import pytest

from chalicelib.redaction import Redaction
from tests.unit.redaction.forms import Form, forms

FORMS = forms()
COMMANDS = [
    form
    for form in FORMS
    if re.match(r"(?!machine )[A-Za-z][\w-]* |[A-Z_]+=", form.text)
    and not re.search(r"[|\n]", form.text)
]
redaction = Redaction()


def text_of(form: Form) -> str:
    return form.redacted[:60]


@pytest.mark.parametrize("form", FORMS, ids=text_of)
def test_the_marked_secrets_are_redacted_and_nothing_else(form: Form) -> None:
    assert redaction.text(form.text) == form.redacted


@pytest.mark.parametrize("form", FORMS, ids=text_of)
def test_a_script_is_redacted_as_its_text_is(form: Form) -> None:
    assert redaction.command(["sh", "-c", form.text]) == ("sh", "-c", form.redacted)


@pytest.mark.parametrize("form", COMMANDS, ids=text_of)
def test_no_secret_is_left_in_the_arguments_of_the_command(form: Form) -> None:
    arguments = shlex.split(form.text)

    redacted = redaction.command(arguments)

    assert len(redacted) == len(arguments)
    visible = [secret for secret in form.secrets if secret not in form.redacted]
    assert [secret for secret in visible if secret in "\n".join(redacted)] == []
    if not form.secrets:
        assert redacted == tuple(arguments)


def test_there_are_more_than_200_forms_of_secrets_and_a_hundred_others() -> None:
    with_secrets = sum(bool(form.secrets) for form in FORMS)

    assert with_secrets > 200
    assert len(FORMS) - with_secrets >= 100
