"""Numbers as people read them."""

import pytest

from mscol_cli.system.units import counted, format_bytes, format_duration


def test_bytes_have_three_digits_and_a_unit() -> None:
    texts = {0: "0 bytes", 999: "999 bytes", 1000: "1.00 kB", 999_600: "1.00 MB"}
    texts |= {35_637_796: "35.6 MB", 23_815_298_079: "23.8 GB", 5 * 10**15: "5000 TB"}
    assert {count: format_bytes(count) for count in texts} == texts


def test_counts_have_a_singular() -> None:
    assert [counted(count, "clip") for count in (0, 1, 2000)] == [
        "0 clips",
        "1 clip",
        "2,000 clips",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.04, "under 0.1 s"),
        (0.34, "0.3 s"),
        (13.6, "14 s"),
        (99.4, "99 s"),
        (99.7, "1.7 min"),
        (138, "2.3 min"),
        (720, "12 min"),
        (4320, "1.2 h"),
        (36 * 3600, "36 h"),
        (3 * 86_400, "3.0 days"),
    ],
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
