"""Plots of evaluations, compared with the measured values."""

import xml.etree.ElementTree as ET

import pytest

from recsys.domain import Metric
from recsys.errors import InvalidArgument, MissingDependency
from recsys.evaluation.protocols import PROTOCOLS
from recsys.evaluation.results import Evaluated, EvaluationReport
from recsys.report import evaluation_plot, pictures

PNG = b"\x89PNG\r\n\x1a\n"


def evaluated(model, **values):
    metrics = tuple(
        Metric("random-90-10", name, value, 100, "all", value - 0.02, value + 0.03)
        for name, value in ((key.replace("_at_", "@"), value) for key, value in values.items())
    )
    return Evaluated(model, metrics, 1.0, 2.0, 3)


def report(*found):
    return EvaluationReport(7, PROTOCOLS["random-90-10"], 5, found, (), 1.0)


BOTH = report(
    evaluated("mf", ndcg_at_10=0.1, rmse=0.9),
    evaluated("ease", ndcg_at_10=0.4),
    evaluated("svd", ndcg_at_10=0.2, rmse=0.95),
)


def rows(axes):
    """The values of the dots by the name of their row."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    found = [line for line in axes.lines if line.get_marker() == "o"]
    return dict(zip(names, (line.get_xdata()[0] for line in found), strict=True))


def intervals(axes):
    lines = [line for line in axes.lines if line.get_marker() != "o"]
    return [tuple(round(end, 6) for end in line.get_xdata()) for line in lines]


def test_each_panel_shows_the_models_best_first():
    lists, ratings = evaluation_plot.evaluation_figure(BOTH).axes
    assert list(rows(lists).items()) == [("ease", 0.4), ("svd", 0.2), ("mf", 0.1)]
    assert list(rows(ratings).items()) == [("mf", 0.9), ("svd", 0.95)]
    assert lists.yaxis_inverted()  # the first is at the top
    assert intervals(lists) == [(0.38, 0.43), (0.18, 0.23), (0.08, 0.13)]
    assert lists.get_title("left") == "nDCG@10: more is better (100 users, 95 % intervals)"
    assert ratings.get_title("left") == "RMSE: less is better (100 ratings, 95 % intervals)"
    assert [text.get_text() for text in lists.texts] == ["0.4000", "0.2000", "0.1000"]
    assert evaluation_plot.evaluation_figure(BOTH).get_suptitle() == "random-90-10, seed 5"


def test_liked_movies_have_a_panel_of_their_own():
    both = (
        evaluated("a", ndcg_at_10=0.4, ndcg_liked_at_10=0.1),
        evaluated("b", ndcg_liked_at_10=0.3),
    )
    _, liked = evaluation_plot.evaluation_figure(report(*both)).axes
    assert list(rows(liked).items()) == [("b", 0.3), ("a", 0.1)]
    assert liked.get_title("left") == (
        "nDCG@10 of liked movies: more is better (100 users, 95 % intervals)"
    )


def test_the_default_model_is_highlighted():
    lists, ratings = evaluation_plot.evaluation_figure(BOTH, "svd").axes
    for axes in (lists, ratings):
        assert "svd (default)" in rows(axes)
        shown = {label.get_text(): label.get_fontweight() for label in axes.get_yticklabels()}
        assert [name for name, weight in shown.items() if weight == "bold"] == ["svd (default)"]
        colors = {line.get_color() for line in axes.lines}
        assert colors == {pictures.BAR, pictures.ACCENT}


def test_the_axis_spans_the_values_and_not_zero():
    near = report(evaluated("a", rmse=0.9), evaluated("b", rmse=0.91))
    [axes] = evaluation_plot.evaluation_figure(near).axes
    low, high = axes.get_xlim()
    assert 0.87 < low < 0.88  # the lowest interval starts at 0.88
    assert 0.94 < high < 0.96  # the highest ends at 0.94; a label stands behind it
    # A single value without an interval has an axis too.
    alone = Evaluated("a", (Metric("random-90-10", "rmse", 0.9, 9, "all", None, None),), 1, 1, 1)
    [axes] = evaluation_plot.evaluation_figure(report(alone)).axes
    low, high = axes.get_xlim()
    assert low < 0.9 < high


@pytest.mark.parametrize("count", [1, 24])
def test_one_model_or_all_of_them(tmp_path, count):
    names = [f"model_{number}" for number in range(count)]
    many = report(*(evaluated(name, ndcg_at_10=0.3) for name in names))
    figure = evaluation_plot.evaluation_figure(many)
    [axes] = figure.axes
    assert list(rows(axes)) == sorted(names)
    assert figure.get_size_inches()[1] == pytest.approx(
        evaluation_plot.REST_IN + count * evaluation_plot.ROW_IN
    )


def test_a_value_of_zero_can_be_drawn(tmp_path):
    evaluation_plot.plot_evaluation(report(evaluated("ease", ndcg_at_10=0.0)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_the_suffix_decides_the_format(tmp_path):
    evaluation_plot.plot_evaluation(BOTH, tmp_path / "a.png")
    evaluation_plot.plot_evaluation(BOTH, tmp_path / "a.SVG")
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    root = ET.parse(tmp_path / "a.SVG").getroot()
    text = " ".join(each.text or "" for each in root.iter())
    assert all(name in text for name in ("ease", "svd", "mf", "nDCG@10", "random-90-10, seed 5"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.SVG", "a.png"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_figures_give_the_same_file(tmp_path, suffix):
    for name in ("a", "b"):
        evaluation_plot.plot_evaluation(BOTH, tmp_path / f"{name}.{suffix}")
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
    assert first == second


def test_invalid_targets(tmp_path, monkeypatch):
    with pytest.raises(InvalidArgument, match=r"a\.pdf is neither a \.png nor an \.svg file$"):
        pictures.check_target(tmp_path / "a.pdf")
    with pytest.raises(InvalidArgument, match="there is no folder"):
        pictures.check_target(tmp_path / "none" / "a.png")
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="matplotlib, which is not installed") as caught:
        pictures.check_target(tmp_path / "a.png")
    assert caught.value.hint == "pip install 'recsys[report]'"


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.png").write_text("before")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InvalidArgument, match=r"a\.png cannot be written: No space left on device"):
        evaluation_plot.plot_evaluation(BOTH, tmp_path / "a.png")
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_text() == "before"
