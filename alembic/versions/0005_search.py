"""search that forgives accents and a letter that is wrong"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STORE = "recsys_store"

# In a database of locale C, [[:alnum:]] and lower() know ASCII alone: hence separators instead of
# letters, and capitals by name.
FOLDED = r"""
CREATE FUNCTION recsys_store.folded(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT btrim(regexp_replace(
        replace(replace(replace(replace(
            translate(
                lower(normalize(
                    regexp_replace(normalize(folded.written, NFD), '[\u0300-\u036f]', '', 'g'), NFC
                )),
                'øłđıØŁĐÆŒẞςАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЄΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ',
                'oldioldæœßσабвгдежзиклмнопрстуфхцчшщъыьэюяієαβγδεζηθικλμνξοπρστυφχψω'
            ),
            'æ', 'ae'), 'œ', 'oe'), 'ß', 'ss'), '&', ' and '),
        '[\u0001-/:-@[-`{-\u00bf×÷\u02b0-\u02ff\u2000-\u206f\u2190-\u2bff\u3000-\u3004'
        '\u3008-\u3020\u3030\u30a0\u30fb\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40'
        '\uff5b-\uff65]+',
        ' ', 'g'
    ))
$$
"""
BARE_NAME = r"""
CREATE FUNCTION recsys_store.bare_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT regexp_replace(
        recsys_store.folded(regexp_replace(
            bare_name.name,
            '^(.*),\s*(the|an?|l[eao]s?|l[''’]|une?|il|gli|el|der|das)\s*$', '\1', 'i'
        )),
        '^(the|an?|l[eao]s?|l|une?|il|gli|el|der|das) (?=.)', ''
    )
$$
"""
# A tsvector for its prefix search; the terms in it are ours, no parser has a say. Loops take a
# third of the time of one query.
SEARCH_TERMS = r"""
CREATE FUNCTION recsys_store.search_terms(title text, year smallint) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000
AS $$
DECLARE
    written text := left(search_terms.title, 1000);
    -- Spider-Man is spiderman as well, Schindler's is schindlers, E.T. is et.
    joined text := translate(written, '''’ʼ`.·-', '');
    words text[] := string_to_array(recsys_store.folded(written), ' ');
    names text[] := ARRAY[written];
    terms text[] := ARRAY[]::text[];
    word text;
    name text;
BEGIN
    IF joined <> written THEN
        words := words || string_to_array(recsys_store.folded(joined), ' ');
    END IF;
    IF strpos(written, '(') > 0 THEN
        names := names || regexp_split_to_array(written, '\s\(|\)');
    END IF;
    FOREACH word IN ARRAY words LOOP
        -- An entry of the index has its limits.
        terms := terms || left(word, 100);
        IF word ~ '^[^0-9]{4,30}$' THEN
            FOR place IN 1..length(word) LOOP
                terms := terms || ('_' || overlay(word PLACING '_' FROM place));
            END LOOP;
        END IF;
    END LOOP;
    FOREACH name IN ARRAY names LOOP
        name := left(recsys_store.bare_name(name), 200);
        terms := terms || ('=' || nullif(name, ''));
    END LOOP;
    RETURN array_to_tsvector(array_remove(terms || search_terms.year::text, NULL));
END
$$
"""
COMMENTS = {
    "folded(text)": "Words apart by one space: lower case, without accents and punctuation",
    "bare_name(text)": "A name folded, without the article in front of it or behind a comma",
    "search_terms(text, smallint)": "What a movie is found by: words and year; _ and a word with "
    "one letter made _, which a word with another letter there has as well; = and a whole name",
}
TITLE_WORDS = (
    "to_tsvector('simple'::regconfig, "
    "regexp_replace(title, '[^[:alnum:]]+'::text, ' '::text, 'g'::text))"
)


def upgrade() -> None:
    for function in (FOLDED, BARE_NAME, SEARCH_TERMS):
        op.get_bind().exec_driver_sql(function, execution_options={"no_parameters": True})
    for function, comment in COMMENTS.items():
        op.execute(f"COMMENT ON FUNCTION {STORE}.{function} IS '{comment}'")
    op.drop_index("ix_movies_title_words", "movies", schema=STORE)
    op.create_index(
        "ix_movies_search_terms",
        "movies",
        [sa.literal_column(f"{STORE}.search_terms(title, year)")],
        schema=STORE,
        postgresql_using="gin",
        # Else the first searches after an ingest read through what it left pending.
        postgresql_with={"fastupdate": False},
    )
    op.execute(
        f"COMMENT ON INDEX {STORE}.ix_movies_search_terms IS "
        "'search_movies: words, their beginnings, names, words with a letter wrong'"
    )


def downgrade() -> None:
    op.drop_index("ix_movies_search_terms", "movies", schema=STORE)
    for function in reversed(COMMENTS):
        op.execute(f"DROP FUNCTION {STORE}.{function}")
    op.create_index(
        "ix_movies_title_words",
        "movies",
        [sa.literal_column(TITLE_WORDS)],
        schema=STORE,
        postgresql_using="gin",
    )
    op.execute(
        f"COMMENT ON INDEX {STORE}.ix_movies_title_words IS "
        "'search_movies: words and beginnings of words'"
    )
