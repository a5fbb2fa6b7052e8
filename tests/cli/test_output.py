import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from recsys.cli import output
from recsys.cli.stages import in_words
from recsys.models.registry import MODELS

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    rank: int
    title: str
    score: float | None


ROWS = [Row(1, "[red]Amélie[/red]", 0.25), Row(12, "七人の侍", 1234.5), Row(3, "Third", None)]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")


CELLS = [
    (None, "-"),
    (0, "0"),
    (1234567, "1234567"),
    (True, "True"),
    (0.0, "0.0"),
    (-0.5, "-0.5"),
    (4.5, "4.5"),
    (306.0, "306.0"),
    (12345.0, "12,345.0"),
    (0.25, "0.250"),
    (-0.12345, "-0.123"),
    (4.3375, "4.34"),
    (12345.6789, "12,346"),
    (1e-9, "0.000000"),
    (float("nan"), "nan"),
    (float("inf"), "inf"),
    ("", ""),
    ("[bold]", "[bold]"),
    (["Drama", "War"], "Drama, War"),
    ("a\x1b[31m\r\n\x7f\x9b\u202e\u2066z", r"a\x1b[31m\r\n\x7f\x9b\u202e\u2066z"),
]


@pytest.mark.parametrize(("value", "text"), CELLS)
def test_cell(value, text):
    assert output.cell(value) == text


def test_a_time_is_shown_in_the_local_zone():
    expected = MOMENT.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert output.cell(MOMENT) == expected
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert output.cell(elsewhere) == expected


AGES = [
    (0, "0 s"),
    (0.4, "0 s"),
    (59, "59 s"),
    (60, "1 min"),
    (3_599, "60 min"),
    (3_600, "1 h"),
    (10_800, "3 h"),
    (86_399, "24 h"),
    (86_400, "1 d"),
    (86_400 * 45, "45 d"),
]


@pytest.mark.parametrize(("seconds", "words"), AGES)
def test_age(seconds, words):
    assert output.duration(seconds) == words


def test_json_of_rows(capsys):
    output.json_rows(ROWS)
    text = capsys.readouterr().out
    assert json.loads(text) == [
        {"rank": 1, "title": "[red]Amélie[/red]", "score": 0.25},
        {"rank": 12, "title": "七人の侍", "score": 1234.5},
        {"rank": 3, "title": "Third", "score": None},
    ]
    assert "七人の侍" in text
    output.json_rows([])
    assert capsys.readouterr().out == "[]\n"


def test_json_of_times_and_paths(capsys):
    output.write_json({"at": MOMENT, "path": Path("/a b"), "none": None})
    assert json.loads(capsys.readouterr().out) == {
        "at": "2026-03-04T05:06:07.891000+00:00",
        "path": "/a b",
        "none": None,
    }


def test_a_table(capsys):
    output.table(ROWS, ("rank", "title", "score"), title="The [best]", caption="run 1")
    captured = capsys.readouterr()
    assert [line.rstrip() for line in captured.out.splitlines()] == [
        "The [best]",
        "",
        " rank  title                 score",
        " " + "─" * 33,
        "    1  [red]Amélie[/red]         0",
        "   12  七人の侍              1,234",
        "    3  Third                     -",
        "",
        "run 1",
    ]
    assert captured.err == ""


def test_a_table_without_rows(capsys):
    output.table([], ("rank", "title"), title="None", caption="nothing fits")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line] == ["None", "rank  title", "─" * 26, "nothing fits"]


def test_facts(capsys):
    output.properties("A title", {"edition": None, "[x]": "[y]", "score": 0.25})
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["A title", " edition  -", " [x]      [y]", " score    0.250"]


def test_long_titles_do_not_break_at_the_width_of_the_table(capsys):
    output.properties("A title that is longer than what is below it", {"a": "b"})
    output.table([], ("rank",), title="Another title longer than what is below", caption="c " * 20)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "A title that is longer than what is below it"
    assert "Another title longer than what is below" in lines
    assert ("c " * 20).strip() in lines


ATTACK = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\r\nerror: spoofed"


def test_control_characters_of_a_title_do_not_reach_the_terminal(capsys):
    output.table([Row(1, ATTACK, 0.5)], ("title",), title=ATTACK, caption=ATTACK)
    output.properties(ATTACK, {ATTACK: ATTACK})
    output.message(f"{ATTACK} is blocked")
    with output.reporting() as reporter:
        reporter.begin(f"download {ATTACK}")
        reporter.end(ATTACK)
    captured = capsys.readouterr()
    controls = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
    assert controls.findall(captured.out + captured.err) == []
    assert r"\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e" in captured.out.replace("\n", "")


def test_json_has_no_control_characters_and_the_same_value(capsys):
    output.write_json({"title": ATTACK})
    text = capsys.readouterr().out
    assert json.loads(text) == {"title": ATTACK}
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text) == []


STAGES = [
    ("read", "reading ratings"),
    ("item_knn", "similar movies (item_knn)"),
    ("user_knn", "similar users (user_knn)"),
    ("popular", "chart (popular)"),
    ("mf, split 2", "factors of taste (mf), split 2"),
    ("hybrid_mixed", "combined lists (hybrid_mixed)"),
    ("neural_dot", "network (neural_dot)"),
    ("trial 3", "trial 3"),
    ("download ml-1m", "downloading ml-1m"),
]


@pytest.mark.parametrize(("stage", "words"), STAGES)
def test_stages_in_words(stage, words):
    assert in_words(stage) == words


def test_the_words_of_every_model_fit():
    assert max(len(in_words(name)) for name in MODELS) <= output.STAGE_WIDTH


def test_messages_are_not_data(capsys):
    output.message("[bold] a message that is long " + "x" * 200)
    captured = capsys.readouterr()
    assert captured == ("", "[bold] a message that is long " + "x" * 200 + "\n")


def test_one_line_per_stage_without_a_terminal(capsys):
    with output.reporting() as reporter:
        reporter.begin("read [files]")
        reporter.advance(1, 2)
        reporter.end("10 rows")
    captured = capsys.readouterr()
    assert captured == ("", f"{'read [files]':<33} {'10 rows':>20} {0.0:8.1f} s\n")


EPOCH = "epoch 12/100, loss 0.8123, ndcg@10 0.0913"


def test_a_line_for_each_epoch_without_a_terminal(capsys):
    with output.reporting() as reporter:
        reporter.begin("neural_dot")
        reporter.advance(12, 100, EPOCH)
    assert capsys.readouterr().err == f"{'network (neural_dot)':<29} {EPOCH}\n"


def test_an_epoch_takes_the_room_of_the_bar(monkeypatch, capsys):
    monkeypatch.setattr(
        output, "stderr", output.Console(file=sys.stderr, force_terminal=True, width=80)
    )
    with output.reporting() as reporter:
        reporter.begin("read")
        reporter.end("100,836 ratings")
        reporter.begin("youtube_dnn, split 12345")
        reporter.advance(12, 100, EPOCH)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).splitlines()
    assert re.fullmatch(r"reading ratings +━{10} +100,836 ratings +0\.0 s *", lines[-2])
    assert re.fullmatch(rf"network \(youtube_dnn\), split… {EPOCH} +0\.0 s *", lines[-1])
    assert len(lines[-1]) <= 80


def test_a_bar_a_stage_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(
        output, "stderr", output.Console(file=sys.stderr, force_terminal=True, width=90)
    )
    with output.reporting() as reporter:
        reporter.end("before any stage")
        reporter.begin("read [files]")
        reporter.advance(1, 4)
        reporter.advance(0, 0)
        reporter.end("10 rows")
    captured = capsys.readouterr()
    assert captured.out == ""
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", captured.err.split("\r")[-1])
    assert re.fullmatch(r"read \[files\] +━{10} +10 rows +0\.0 s\s*", last)
    assert max(map(len, last.splitlines())) <= 80
