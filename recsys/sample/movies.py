"""The fictional movies of the sample: titles, series, remakes, genres, plots and figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys.sample.draw import Draw, words

MOVIES = 1_200
FIRST_YEAR, LAST_YEAR = 1930, 2024
REMAKES = 8
SERIES_SHARE = 0.07
NUMERALS = ("", "", " II", " III", " IV")
ORDINALS = ("", "", "second", "third", "fourth")

Forms = tuple[tuple[int, str], ...]

TITLE_FORMS: Forms = (
    (6, "The {adjective} {noun}"),
    (2, "The {town} {noun}"),
    (2, "The {surname} {noun}"),
    (2, "A {noun} for {first}"),
    (2, "{noun} at {hour}"),
    (1, "{month} {noun}"),
    (2, "The {noun} and the {other}"),
    (1, "The {noun} of {town}"),
    (2, "{adjective} {noun}"),
    (1, "{first} and the {noun}"),
    (1, "No {noun} for {first} {surname}"),
    (1, "A {adjective} {noun} in {town}"),
    (1, "{first} {surname}'s {adjective} {noun}"),
    (1, "The Other {noun}"),
    (1, "Before the {noun}"),
    (1, "Last {noun} to {town}"),
    (1, "{town}, {month}"),
    (1, "Goodnight, {town}"),
)
SUBTITLE_FORMS: Forms = (
    (3, "The {adjective} {noun}"),
    (2, "The {noun} and the {other}"),
    (1, "{noun} at {hour}"),
)
PLOT_FORMS = (
    (2, ("openings",)),
    (4, ("openings", "turns")),
    (2, ("openings", "ends")),
    (5, ("openings", "turns", "ends")),
)


@dataclass(frozen=True, slots=True)
class Protagonist:
    """The main character of a movie."""

    first: str
    surname: str
    role: str
    """Description, such as `a retired safecracker`."""


@dataclass(frozen=True, slots=True)
class SampleMovie:
    """One fictional movie; `title` has its article in front and no year."""

    title: str
    year: int
    themes: tuple[str, ...]
    """One theme, sometimes a second."""
    genres: tuple[str, ...]
    person: Protagonist
    overview: str
    tagline: str
    keywords: tuple[str, ...]
    runtime: int
    """Minutes."""
    quality: float
    """Quality, approximately standard normal."""
    fame: float
    """Popularity; finally the logarithm of a sampling weight."""
    series: str | None = None
    language: str = "en"
    title_at_home: str | None = None


def sample_movies(seed: int) -> list[SampleMovie]:
    """Return the movies; the best known come first, the others in no order of merit."""
    catalogue = _Catalogue(seed)
    leads = catalogue.leads()
    others = [*catalogue.sequels_of(leads), *catalogue.foreign()]
    for movie in catalogue.originals():
        others += [movie, *catalogue.series_of(movie)]
        if len(leads) + len(others) >= MOVIES - REMAKES:
            break
    others = others[: MOVIES - REMAKES - len(leads)]
    others += catalogue.remakes(others)
    order = np.argsort(Draw(seed, 2).uniforms(len(others)), kind="stable")
    return _with_fame([*leads, *(others[i] for i in order)], len(leads))


def _with_fame(movies: list[SampleMovie], leads: int) -> list[SampleMovie]:
    """Turn the raw fame into the logarithm of a power law of its rank, the leads far ahead."""
    raw = np.array([movie.fame for movie in movies])
    rank = np.arange(len(raw), dtype=np.float64)
    rank[leads + np.argsort(-raw[leads:], kind="stable")] = np.arange(leads, len(raw)) + 30
    log_weight = -1.9 * np.log(rank + 22.0)
    return [replace(movie, fame=float(log_weight[i])) for i, movie in enumerate(movies)]


class _Catalogue:
    """Generate movies with unique titles."""

    def __init__(self, seed: int) -> None:
        self._draw = Draw(seed, 1)
        self._words = words("words")
        self._themes = words("themes")
        self._titles = {lead["title"] for lead in self._words["leads"]}
        for theme in self._themes.values():
            self._titles.update(theme["titles"])

    def leads(self) -> list[SampleMovie]:
        """Return the movies written by hand."""
        return [
            replace(
                self._movie(
                    (lead["theme"],), lead["title"], Protagonist(*lead["person"]), lead["year"]
                ),
                overview=lead["overview"],
                tagline=lead["tagline"],
                genres=tuple(lead["genres"].split("|")),
                runtime=lead["runtime"],
                quality=self._draw.uniform(1.0, 2.0),
                series=_base(lead["title"]) if lead["parts"] > 1 else None,
            )
            for lead in self._words["leads"]
        ]

    def sequels_of(self, leads: list[SampleMovie]) -> list[SampleMovie]:
        parts = [lead["parts"] for lead in self._words["leads"]]
        # Sequels of well-known movies are well known.
        known = [replace(lead, fame=3.5) for lead in leads]
        return [part for lead, n in zip(known, parts, strict=True) for part in self._parts(lead, n)]

    def foreign(self) -> list[SampleMovie]:
        return [
            replace(
                self._movie((theme,), title, self._person(theme), year),
                language=language,
                title_at_home=at_home,
                quality=self._draw.bell() + 0.5,
            )
            for theme, rows in self._words["foreign"].items()
            for title, at_home, language, year in rows
        ]

    def originals(self) -> Iterator[SampleMovie]:
        """Yield every title written by hand, then titles made of words, without end."""
        names = list(self._themes)
        for name in names:
            for title in self._themes[name]["titles"]:
                movie = self._movie(self._two_themes(name), title, self._person(name))
                yield replace(movie, fame=movie.fame + 0.8)
        while True:
            name = self._draw.pick(names)
            person = self._person(name)
            yield self._movie(self._two_themes(name), self._new_title(name, person), person)

    def series_of(self, movie: SampleMovie) -> list[SampleMovie]:
        """Return the sequels of the movie; most movies have none."""
        if self._draw.uniform() > SERIES_SHARE or movie.year > LAST_YEAR - 12:
            return []
        return self._parts(movie, self._draw.whole(2, 4))

    def remakes(self, movies: list[SampleMovie]) -> list[SampleMovie]:
        """Return movies that share their title, but not their year, with an old one."""
        old = [m for m in movies if m.year < 1975 and m.language == "en" and m.series is None]
        return [
            replace(
                self._movie(
                    movie.themes,
                    movie.title,
                    movie.person,
                    movie.year + self._draw.whole(26, 48),
                ),
                keywords=(*movie.keywords, "remake"),
            )
            for movie in self._draw.some(old, REMAKES)
        ]

    # --- one movie -------------------------------------------------------------------------------

    def _movie(
        self, themes: tuple[str, ...], title: str, person: Protagonist, year: int | None = None
    ) -> SampleMovie:
        theme, draw = self._themes[themes[0]], self._draw
        if year is None:
            first, last = theme["years"]
            # Catalogues have more recent films than old ones.
            year = first + int((last - first) * draw.uniform() ** 0.6)
        genres = self._genres(themes, year)
        quality = draw.bell()
        return SampleMovie(
            title=title,
            year=year,
            themes=themes,
            genres=genres,
            person=person,
            overview=self._overview(themes, person),
            tagline=draw.pick(theme["taglines"]) if draw.uniform() < 0.7 else "",
            keywords=self._keywords(themes),
            runtime=_runtime(genres, draw.uniform()),
            quality=quality,
            fame=draw.bell() + 0.5 * quality + (year - FIRST_YEAR) / (LAST_YEAR - FIRST_YEAR),
        )

    def _parts(self, first: SampleMovie, count: int) -> list[SampleMovie]:
        """Return part two to part `count`; quality falls and fame fades along a series."""
        numbered, year, parts = self._draw.uniform() < 0.6, first.year, []
        for part in range(2, count + 1):
            year += self._draw.whole(2, 4)
            base = _base(first.title)
            movie = self._movie(
                first.themes,
                base + (NUMERALS[part] if numbered else f": {self._subtitle(first)}"),
                first.person,
                min(year, LAST_YEAR),
            )
            closing = self._draw.pick((f"{base} returns.", f"The {ORDINALS[part]} part of {base}."))
            parts.append(
                replace(
                    movie,
                    genres=first.genres,
                    overview=f"{movie.overview} {closing}",
                    keywords=(*movie.keywords, "sequel"),
                    quality=first.quality - 0.3 * (part - 1) + 0.4 * self._draw.bell(),
                    fame=first.fame - 0.3 * (part - 1),
                    series=base,
                )
            )
        return parts

    def _two_themes(self, name: str) -> tuple[str, ...]:
        """Return the theme and, for one movie in four, another one its public likes."""
        if self._draw.uniform() > 0.25:
            return (name,)
        near = {t for circle in self._words["circles"].values() if name in circle for t in circle}
        # Sorted, because the order of a set of strings changes from process to process.
        return (name, self._draw.pick(sorted(near - {name})))

    def _genres(self, themes: tuple[str, ...], year: int) -> tuple[str, ...]:
        chosen = set(self._themes[themes[0]]["genres"].split("|"))
        if len(themes) > 1:
            chosen.add(self._themes[themes[1]]["genres"].split("|")[0])
        elif self._draw.uniform() < 0.5:
            chosen.add(self._draw.pick(self._themes[themes[0]]["also"].split("|")))
        # Feature films have been shown in IMAX since 2002.
        if year < 2002:
            chosen.discard("IMAX")
        return tuple(sorted(chosen))

    def _keywords(self, themes: tuple[str, ...]) -> tuple[str, ...]:
        chosen = self._draw.some(self._themes[themes[0]]["keywords"], self._draw.whole(4, 6))
        if len(themes) > 1:
            chosen += self._draw.some(self._themes[themes[1]]["keywords"], 2)
        return tuple(dict.fromkeys(chosen))

    def _person(self, theme: str) -> Protagonist:
        """Return a person of the theme; `f:` and `m:` mark roles of a woman or a man."""
        role = self._draw.pick(self._themes[theme]["heroes"])
        women, men = self._words["women"], self._words["men"]
        first_names = {"f:": women, "m:": men}.get(role[:2], women + men)
        return Protagonist(
            self._draw.pick(first_names),
            self._draw.pick(self._words["surnames"]),
            role.removeprefix("f:").removeprefix("m:"),
        )

    def _overview(self, themes: tuple[str, ...], person: Protagonist) -> str:
        draw, theme = self._draw, self._themes[themes[0]]
        filling = {
            "first": person.first,
            "name": f"{person.first} {person.surname}",
            "hero": person.role,
            "foe": draw.pick(self._themes[themes[-1]]["foes"]),
            "town": draw.pick(self._words["towns"]),
        }
        for slot, source in (("place", "places"), ("thing", "things")):
            filling[slot] = draw.pick(theme[source]).format(town=filling["town"])
        sentences = (draw.pick(theme[kind]) for kind in draw.weighted(PLOT_FORMS))
        return " ".join(_sentence(sentence.format(**filling)) for sentence in sentences)

    def _subtitle(self, movie: SampleMovie) -> str:
        return self._new_title(movie.themes[0], movie.person, SUBTITLE_FORMS)

    def _new_title(self, theme: str, person: Protagonist, forms: Forms = TITLE_FORMS) -> str:
        """Return an unused title."""
        while (title := self._title(self._themes[theme], person, forms)) in self._titles:
            pass
        self._titles.add(title)
        return title

    def _title(self, theme: dict[str, Any], person: Protagonist, forms: Forms) -> str:
        draw = self._draw
        noun, other = draw.some(theme["nouns"], 2)
        title = draw.weighted(forms).format(
            noun=noun,
            other=other,
            adjective=draw.pick(theme["adjectives"]),
            first=person.first,
            surname=person.surname,
            town=draw.pick(self._words["towns"]),
            month=draw.pick(self._words["months"]),
            hour=draw.pick(self._words["hours"]),
        )
        return f"An {title[2:]}" if title[:3] in ("A A", "A E", "A I", "A O", "A U") else title


def _base(title: str) -> str:
    return title.split(":")[0]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _runtime(genres: tuple[str, ...], share: float) -> int:
    low, high = (72, 102) if {"Animation", "Children"} & set(genres) else (84, 148)
    return low + int((high - low) * share**1.5)
