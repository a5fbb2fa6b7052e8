"""Split the year off MovieLens titles and move the article to the front."""

from __future__ import annotations

import re

ARTICLES = (
    *("The", "A", "An", "Da"),
    *("Le", "La", "Les", "L'", "L’", "Un", "Une", "Des"),
    *("Il", "Lo", "I", "Gli", "Uno", "Una", "Un'"),
    *("El", "Los", "Las"),
    *("O", "Os", "As", "Um", "Uma"),
    *("Der", "Die", "Das", "Ein", "Eine"),
    *("De", "Het", "Een"),
    *("Den", "Det", "En", "Et", "Ett"),
)
"""English, French, Italian, Spanish, Portuguese, German, Dutch, Scandinavian."""

# Only at the end: numbers elsewhere belong to the name. Some titles have `(V)` or `(TV)` behind it.
_YEAR = re.compile(
    r"\s*\((?P<year>1[89]\d\d|20\d\d)(?:\s*[-–—]\s*(?:\d{4})?\s*)?\)\s*(?:\((?:V|TV|VG)\)\s*)?$"
)
_INVERTED = re.compile(
    r"(?P<aka>a\.?k\.?a\.?\s+)?(?P<rest>.+?),\s"
    rf"(?P<article>{'|'.join(map(re.escape, ARTICLES))})\s*"
)
_GROUP = re.compile(r"\(([^()]*)\)")
_GROUPS_AT_END = re.compile(r"(?:\s*\([^()]*\))*\s*$")


def split_title(original: str) -> tuple[str, int | None]:
    """Return the title in natural word order, and its year.

    `City of Lost Children, The (Cité des enfants perdus, La) (1995)` gives
    `The City of Lost Children (La Cité des enfants perdus)` and 1995. The first
    year of a range counts. Only known articles are moved.
    """
    title = " ".join(original.split())
    year = _YEAR.search(title)
    # A title that consists of a year keeps it.
    if year is None or year.start() == 0:
        return _names_in_order(title), None
    return _names_in_order(title[: year.start()]), int(year["year"])


def _names_in_order(title: str) -> str:
    """Put the article in front in the main name and in each name in parentheses."""
    end = _GROUPS_AT_END.search(title)
    cut = end.start() if end and end.start() > 0 else len(title)
    alternatives = _GROUP.sub(lambda group: f"({_article_first(group[1])})", title[cut:])
    return _article_first(title[:cut]) + alternatives


def _article_first(name: str) -> str:
    inverted = _INVERTED.fullmatch(name)
    if inverted is None:
        return name
    article, rest = inverted["article"], inverted["rest"]
    space = "" if article[-1] in "'’" else " "
    return f"{inverted['aka'] or ''}{article}{space}{rest}"
