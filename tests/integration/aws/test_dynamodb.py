"""Conditional writes to the table of the local AWS."""

import pytest

from chalicelib.aws.dynamodb import Item, Outcome, Statement, Table, key_of
from local.aws import LocalAws, Resources

KEY: Item = {"pk": {"S": "test"}, "sk": {"S": "item"}}


@pytest.fixture
def table(aws: LocalAws, resources: Resources) -> Table:
    return Table(aws.dynamodb, resources.jobs_table)


def execute(table: Table, statement: Statement) -> Outcome:
    return table.execute([statement])[statement.key]


def stored(table: Table) -> Item:
    (item,), _ = table.read([KEY], attributes=("color", "size", "version"), consistent=True)
    return item


def color(name: str) -> Item:
    return {"color": {"S": name}}


def test_an_item_is_inserted_only_if_it_is_absent(table: Table) -> None:
    assert execute(table, table.insert_if_absent(KEY | color("red"))) is Outcome.SAVED
    assert execute(table, table.insert_if_absent(KEY | color("blue"))) is Outcome.CONFLICT
    assert stored(table) == color("red")


def test_an_item_is_updated_only_if_the_expected_attributes_are_equal(table: Table) -> None:
    execute(table, table.insert_if_absent(KEY | color("red") | {"size": {"N": "3"}}))

    late = table.update_if_equal(color("green"), KEY, color("blue"))
    valid = table.update_if_equal(color("red"), KEY, color("blue"), removals=("size",))

    assert execute(table, late) is Outcome.CONFLICT
    assert execute(table, valid) is Outcome.SAVED
    assert stored(table) == color("blue")


def test_of_two_saves_of_the_same_version_the_second_conflicts(table: Table) -> None:
    first = [execute(table, table.save_if_version_is(0, KEY, color(c))) for c in ("red", "blue")]
    second = [execute(table, table.save_if_version_is(1, KEY, color(c))) for c in ("red", "blue")]

    assert first == second == [Outcome.SAVED, Outcome.CONFLICT]
    assert stored(table) == color("red") | {"version": {"N": "2"}}


def test_an_item_that_dynamodb_rejects_does_not_affect_the_others(table: Table) -> None:
    huge = KEY | {"sk": {"S": "huge"}} | color("x" * 500_000)
    small = KEY | color("red")

    outcomes = table.put([huge, small])

    assert outcomes == {key_of(huge): Outcome.REFUSED, key_of(small): Outcome.SAVED}


def test_a_missing_table_is_an_outage(aws: LocalAws, resources: Resources) -> None:
    table = Table(aws.dynamodb, "missing")

    items, unread = table.read([KEY], attributes=("pk",), consistent=True)

    assert (items, unread) == ([], {key_of(KEY): Outcome.OUTAGE})
    assert table.put([KEY]) == {key_of(KEY): Outcome.OUTAGE}
