"""The keys of the table: their stored form, their order, and that no other module builds any."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import table_keys
from chalicelib.table_keys import Key, Prefix, Range

ROOT = Path(__file__).parents[2]
OTHER_MODULES = [
    module
    for module in [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]
    if module.name != "table_keys.py"
]
HOUR_3 = 1_795_489_200_000
"""2026-11-24T03:00 UTC in epoch milliseconds."""

KEYS: list[tuple[Key, str, str]] = [
    (table_keys.job("r"), "JOB#r", "JOB"),
    (table_keys.child("r", 12), "JOB#r", "CHILD#00012"),
    (table_keys.node("r", 3), "JOB#r", "NODE#003"),
    (table_keys.description("r", "d1"), "JOB#r", "SPEC#d1"),
    (table_keys.preemption("r", 5, "d1"), "JOB#r", "PREEMPTION#000000000000005#d1"),
    (table_keys.array_block("r", 3), "JOB#r", "SUMMARY#03"),
    (table_keys.notice("JOB#r", "room", "FAILED", 1), "JOB#r", "NOTICE#room#FAILED#1"),
    (table_keys.thread("JOB#r", "room"), "JOB#r", "THREAD#room"),
    (table_keys.queue_environment("q"), "QUEUE#q", "ENVIRONMENT"),
    (table_keys.queue_head("q"), "QUEUE#q", "HEAD"),
    (table_keys.queue_state("q"), "QUEUE#q", "STATE"),
    (table_keys.last_event("q"), "QUEUE#q", "LAST_EVENT"),
    (table_keys.blocked_event("q", 5, "j", "d1"), "QUEUE#q", "BLOCKED#000000000000005#j#d1"),
    (table_keys.queue_counts("q"), "QUEUE#q", "COUNTS"),
    (table_keys.hour("q", HOUR_3), "QUEUE#q", "HOUR#2026-11-24T03"),
    (table_keys.day("q", HOUR_3), "QUEUE#q", "DAY#2026-11-24"),
    (table_keys.checkpoint("q"), "QUEUE#q", "RECONCILE"),
    (table_keys.parent_to_check("q", "r"), "QUEUE#q", "PARENT#r"),
    (table_keys.notice("QUEUE#q", "room", "STUCK", 7), "QUEUE#q", "NOTICE#room#STUCK#7"),
    (table_keys.thread("QUEUE#q", "room", 7), "QUEUE#q", "THREAD#room#7"),
    (table_keys.registered_queue("q"), "QUEUES", "q"),
    (table_keys.in_flight("run"), "RECONCILE", "IN_FLIGHT#run"),
    (table_keys.room("room"), "ROOM#room", "ROOM"),
    (table_keys.poison_mark("m"), "MESSAGE#m", "POISON"),
    (table_keys.long_poll_slot("7"), "LONG_POLL", "7"),
]


def stored(key: Key) -> tuple[str, str]:
    return key["pk"]["S"], key["sk"]["S"]


@pytest.mark.parametrize(("key", "pk", "sk"), KEYS)
def test_each_item_has_the_documented_key(key: Key, pk: str, sk: str) -> None:
    assert stored(key) == (pk, sk)


def test_no_two_kinds_of_items_share_a_key() -> None:
    assert len({stored(key) for key, _, _ in KEYS}) == len(KEYS)


def test_every_kind_of_key_is_in_the_table_of_the_docstring() -> None:
    documented = table_keys.__doc__ or ""

    for _, pk, sk in KEYS:
        for part in (pk, sk):
            kind = re.match(r"[A-Z_]+#|[A-Z_]+\Z", part)
            assert kind is None or kind[0] in documented


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (
            table_keys.blocked_events("q", after=5),
            [table_keys.blocked_event("q", at, "j", "d") for at in (6, 1_795_489_200_000)],
            [table_keys.blocked_event("q", 5, "j", "d"), table_keys.queue_counts("q")],
        ),
        (
            table_keys.hours("q", HOUR_3, HOUR_3 + 7_200_000),
            [table_keys.hour("q", HOUR_3 + hours * 3_600_000) for hours in (0, 1, 2)],
            [table_keys.hour("q", HOUR_3 + hours * 3_600_000) for hours in (-1, 3)],
        ),
        (
            table_keys.days("q", HOUR_3, HOUR_3 + 86_400_000),
            [table_keys.day("q", HOUR_3 + days * 86_400_000) for days in (0, 1)],
            [table_keys.day("q", HOUR_3 + days * 86_400_000) for days in (-1, 2)],
        ),
    ],
)
def test_a_range_includes_its_ends_and_nothing_else(
    range_: Range, inside: list[Key], outside: list[Key]
) -> None:
    def is_inside(key: Key) -> bool:
        pk, sk = stored(key)
        return pk == range_.pk and range_.first <= sk <= range_.last

    assert all(map(is_inside, inside))
    assert not any(map(is_inside, outside))
    assert not range_.is_empty
    assert Range("q", "b", "a").is_empty


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        (table_keys.children("r"), table_keys.child("r", 9_999)),
        (table_keys.nodes("r"), table_keys.node("r", 999)),
        (table_keys.preemptions("r"), table_keys.preemption("r", 5, "d")),
        (table_keys.parents_to_check("q"), table_keys.parent_to_check("q", "r")),
        (table_keys.in_flight_runs(), table_keys.in_flight("run")),
    ],
)
def test_a_prefix_selects_one_kind_of_items(prefix: Prefix, key: Key) -> None:
    selected = [
        stored(other)
        for other in [key, *(each for each, _, _ in KEYS)]
        if stored(other)[0] == prefix.pk and stored(other)[1].startswith(prefix.sk)
    ]

    assert stored(key) in selected
    assert {sk.partition("#")[0] for _, sk in selected} == {prefix.sk.rstrip("#")}


def test_what_a_key_was_built_of_can_be_read_from_it() -> None:
    assert table_keys.root_of(table_keys.job("r")) == "r"
    assert table_keys.queue_of(table_keys.queue_counts("q")) == "q"
    assert table_keys.registered_name(table_keys.registered_queue("q")) == "q"
    assert table_keys.begin_of(table_keys.hour("q", HOUR_3)) == HOUR_3
    assert table_keys.begin_of(table_keys.day("q", HOUR_3)) == HOUR_3 - 3 * 3_600_000
    assert table_keys.run_of(table_keys.in_flight("run")) == "run"
    assert table_keys.message_of(stored(table_keys.poison_mark("m"))[0]) == "m"
    assert table_keys.slot_of(table_keys.long_poll_slot("7")) == "7"
    assert table_keys.job_id_of(table_keys.status_sort(5, "r:1")) == "r:1"


def test_a_notice_is_stored_with_its_job_or_else_its_queue() -> None:
    assert table_keys.notice_subject("q", "r") == stored(table_keys.job("r"))[0]
    assert table_keys.notice_subject("q", None) == stored(table_keys.queue_state("q"))[0]


# Indexes

TIMES = st.integers(0, 9_999_999_999_999)
JOB_IDS = st.from_regex(r"[A-Za-z0-9._-]{1,20}([:#][0-9]{1,4})?", fullmatch=True)
SORTS = st.builds(table_keys.status_sort, TIMES, JOB_IDS)


@given(TIMES, TIMES, JOB_IDS)
def test_rows_by_status_sort_by_time(first: int, second: int, job_id: str) -> None:
    sorts = table_keys.status_sort(first, job_id), table_keys.status_sort(second, job_id)

    assert (sorts[0] < sorts[1]) == (first < second)


@given(SORTS, SORTS)
def test_no_row_by_status_lies_between_a_key_and_its_neighbours(one: str, other: str) -> None:
    assert table_keys.just_before(one) < one < table_keys.just_after(one)
    assert not table_keys.just_before(one) <= other < one
    assert not one < other <= table_keys.just_after(one)


@given(TIMES, TIMES)
def test_of_one_name_the_newest_sorts_first(older: int, newer: int) -> None:
    by_name = [table_keys.name_sort("align", at, "r") for at in (older, newer)]

    assert (by_name[0] < by_name[1]) == (older > newer)


def test_members_and_roots_are_in_different_partitions() -> None:
    assert table_keys.status_partition("q", "FAILED") == "q#FAILED"
    assert table_keys.members_partition("q", "FAILED", 1) == "CHILDREN#q#FAILED#1"


def test_active_and_ended_roots_are_in_different_partitions() -> None:
    assert table_keys.activity_partition("q", ended=False) == "q#ACTIVE"
    assert table_keys.activity_partition("q", ended=True) == "q#ENDED"


# The only module


KEY_ATTRIBUTES = {"pk", "sk", "activityKey", "statusKey", "statusSort", "nameKey", "nameSort"}
KEY_PREFIXES = tuple(
    {f"{part.partition('#')[0]}#" for _, *key in KEYS for part in key if "#" in part}
)


def hand_built_keys(tree: ast.AST) -> Iterator[str]:
    """Yield dictionaries with a key attribute, and texts that begin like a key."""
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in set(ast.walk(tree)) - documentation:
        if isinstance(node, ast.Dict):
            names = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if names & KEY_ATTRIBUTES:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and str(node.value).startswith(KEY_PREFIXES):
            yield f"line {node.lineno}: {node.value}"


@pytest.mark.parametrize("module", OTHER_MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_builds_a_key(module: Path) -> None:
    assert list(hand_built_keys(ast.parse(module.read_text()))) == []


def test_a_key_that_is_built_elsewhere_is_found() -> None:
    source = '''"""JOB#<root> is only documented."""
key = {"pk": {"S": queue}}
prefix = f"QUEUE#{queue}"
'''

    found = sorted(hand_built_keys(ast.parse(source)))

    assert [each[:7] for each in found] == ["line 2:", "line 3:"]
