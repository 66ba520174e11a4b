"""Formats of times and durations for people."""

from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.text_format import Moment, duration, span

WINTER = 1_795_492_500_123
"""2026-11-24T03:55:00.123Z"""
SUMMER = 1_784_894_100_000
"""2026-07-24T11:55:00Z"""
LAST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "less than 1 s"),
        (0, "less than 1 s"),
        (0.4, "less than 1 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (245, "4 min 5 s"),
        (3_599.4, "59 min 59 s"),
        (3_599.6, "1 h"),
        (4_320, "1 h 12 min"),
        (86_369, "23 h 59 min"),
        (86_371, "1 d"),
        (273_600, "3 d 4 h"),
        (400 * 86_400, "400 d"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        (WINTER, "UTC", "Tue 24 Nov 2026, 03:55 UTC"),
        (WINTER, "Europe/Berlin", "Tue 24 Nov 2026, 04:55 CET"),
        (SUMMER, "Europe/Berlin", "Fri 24 Jul 2026, 13:55 CEST"),
        (WINTER, "America/Los_Angeles", "Mon 23 Nov 2026, 19:55 PST"),
        (WINTER, "Asia/Kolkata", "Tue 24 Nov 2026, 09:25 IST"),
        (WINTER, "America/Sao_Paulo", "Tue 24 Nov 2026, 00:55 UTC-03"),
        (WINTER, "Asia/Kathmandu", "Tue 24 Nov 2026, 09:40 UTC+0545"),
        (0, "UTC", "Thu 1 Jan 1970, 00:00 UTC"),
    ],
)
def test_a_moment_is_written_in_the_given_time_zone(at: int, zone: str, text: str) -> None:
    assert str(Moment.of(at, ZoneInfo(zone))) == text


@given(at=st.integers(0, LAST), zone=st.sampled_from(sorted(available_timezones())))
def test_every_moment_can_be_written_in_every_time_zone(at: int, zone: str) -> None:
    text = str(Moment.of(at, ZoneInfo(zone)))

    assert 24 <= len(text) <= 36


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ([WINTER], "Tue 24 Nov 2026, 04:55 CET"),
        ([WINTER + 9_000, WINTER], "Tue 24 Nov 2026, 04:55 CET"),
        ([WINTER + 600_000, WINTER], "Tue 24 Nov 2026, 04:55 to 05:05 CET"),
        (
            [WINTER, WINTER + 72_000_000],
            "Tue 24 Nov 2026, 04:55 CET to Wed 25 Nov 2026, 00:55 CET",
        ),
        (
            [1_792_888_200_000, 1_792_891_800_000],
            "Sun 25 Oct 2026, 02:30 CEST to Sun 25 Oct 2026, 02:30 CET",
        ),
    ],
)
def test_a_span_repeats_neither_day_nor_time_zone(times: list[int], text: str) -> None:
    assert span(times, ZoneInfo("Europe/Berlin")) == text
