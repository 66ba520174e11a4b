"""A record states what it leaves out of long values."""

from chalicelib.jobs.job_detail.fields import (
    MAX_COMMAND,
    MAX_ENTRIES,
    MAX_NAME,
    MAX_TEXT,
    marked_names,
    redacted_command,
    redacted_mapping,
    redacted_text,
)
from chalicelib.redaction import Redaction

redaction = Redaction()


def test_a_text_states_how_many_characters_are_left_out() -> None:
    assert redacted_text("a" * MAX_TEXT, redaction) == "a" * MAX_TEXT
    assert redacted_text("a" * (MAX_TEXT + 1), redaction) == "a" * MAX_TEXT + "… 1 more character"
    assert redacted_text("a" * (MAX_TEXT + 12_000), redaction) == (
        "a" * MAX_TEXT + "… 12,000 more characters"
    )


def test_names_state_how_many_are_left_out() -> None:
    names = [f"N{index:03}" for index in range(MAX_ENTRIES + 50)]

    assert marked_names(names) == (*names[:MAX_ENTRIES], "… 50 more names")
    assert marked_names(names[:MAX_ENTRIES]) == tuple(names[:MAX_ENTRIES])
    assert marked_names(["N" * (MAX_NAME + 1)]) == ("N" * MAX_NAME,)


def test_a_mapping_states_how_many_names_and_characters_are_left_out() -> None:
    tags = {f"T{index:03}": "v" for index in range(MAX_ENTRIES + 50)}

    assert redacted_mapping(tags, redaction) == {
        **dict.fromkeys(sorted(tags)[:MAX_ENTRIES], "v"),
        "…": "50 more names",
    }
    assert redacted_mapping({"T": "v" * (MAX_TEXT + 2)}, redaction) == {
        "T": "v" * MAX_TEXT + "… 2 more characters"
    }


def test_a_command_states_how_many_characters_and_arguments_are_left_out() -> None:
    long = "a" * (MAX_COMMAND + 5)

    assert redacted_command([long, "b", "c"], redaction) == (
        "a" * MAX_COMMAND + "… 5 more characters",
        "… 2 more arguments",
    )
    assert redacted_command(["a", "b"], redaction) == ("a", "b")
