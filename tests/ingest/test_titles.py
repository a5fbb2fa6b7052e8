"""The article moves to the front, the year leaves the end, and nothing else changes."""

import pytest

from recsys.ingest.movielens.titles import split_title


@pytest.mark.parametrize(
    ("original", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Matrix, The  (1999) ", "The Matrix", 1999),
        ("American President, The", "The American President", None),
        ("Misérables, Les (1995)", "Les Misérables", 1995),
        ("Enfer, L' (1994)", "L'Enfer", 1994),
        ("Hip Hop Witch, Da (2000)", "Da Hip Hop Witch", 2000),
        ("Vitelloni, I (a.k.a. The Young) (1953)", "I Vitelloni (a.k.a. The Young)", 1953),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus)",
            1995,
        ),
        (
            "Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il) (1966)",
            "The Good, the Bad and the Ugly (Il Buono, il brutto, il cattivo)",
            1966,
        ),
        (
            "City of the Living Dead (a.k.a. Gates of Hell, The) (Paura nella città) (1980)",
            "City of the Living Dead (a.k.a. The Gates of Hell) (Paura nella città)",
            1980,
        ),
        ("Trou, Le (Hole, The) (Watch, The) (1960)", "Le Trou (The Hole) (The Watch)", 1960),
        ("Land Before Time III (1995) (V)", "Land Before Time III", 1995),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("Big Bang Theory, The (2007-)", "The Big Bang Theory", 2007),
        ("I, The Jury (1982)", "I, The Jury", 1982),
        ("Lock, Stock & Two Smoking Barrels (1998)", "Lock, Stock & Two Smoking Barrels", 1998),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Evangelion: 1.0 You Are (Not) Alone (2007)", "Evangelion: 1.0 You Are (Not) Alone", 2007),
        ("Paris, Texas (1984)", "Paris, Texas", 1984),
        ("I, Robot (2004)", "I, Robot", 2004),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("1984 (1984)", "1984", 1984),
        ("Babylon 5", "Babylon 5", None),
        ("unknown", "unknown", None),
        ("(2019)", "(2019)", None),
        ("Route (9999)", "Route (9999)", None),
        ("", "", None),
    ],
)
def test_title_and_year(original: str, title: str, year: int | None) -> None:
    assert split_title(original) == (title, year)
