"""Texts to vectors: TF-IDF of word n-grams, as scikit-learn's `TfidfVectorizer` defines it."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix, diags_array, hstack
from sklearn.feature_extraction.text import CountVectorizer

from recsys.domain import Float64, Int64
from recsys.numerics.sparse import row_sums, unit_rows


def text_vectors(texts: Sequence[str], ngrams: int) -> csr_matrix:
    """Return a unit vector for each text, texts x n-grams, float64; zero where no word counts.

    Words of one letter and English stop words do not count; up to `ngrams` of the others in a row
    are a term of weight `tf * (ln((1 + texts) / (1 + df)) + 1)`. Most terms occur in one text
    only, where they make it longer and nothing else: those of a text share one column, which
    changes no dot product and makes the matrix many times smaller.
    """
    words, text_of = _words(texts)
    shared: list[csr_matrix] = []
    own_squares = np.zeros(len(texts))
    for starts, terms in _terms(words, text_of, ngrams):
        weights = _weights(terms, text_of[starts], len(texts))
        alone = np.bincount(weights.indices, minlength=weights.shape[1]) == 1
        own_squares += row_sums(weights[:, alone].power(2))
        shared.append(weights[:, ~alone])
    own = diags_array(np.sqrt(own_squares), format="csr")
    return unit_rows(csr_matrix(hstack([*shared, own], format="csr")))


def _words(texts: Sequence[str]) -> tuple[Int64, Int64]:
    """Number the words of all texts, one after the other; return them and the text of each."""
    analyze = CountVectorizer(stop_words="english").build_analyzer()
    # A dictionary that numbers each new word on first sight.
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    words, lengths = array("q"), array("q")
    for text in texts:
        before = len(words)
        words.extend([numbers[word] for word in analyze(text)])
        lengths.append(len(words) - before)
    text_of = np.repeat(np.arange(len(texts)), np.frombuffer(lengths, np.int64))
    return np.frombuffer(words, np.int64), text_of


def _terms(words: Int64, text_of: Int64, ngrams: int) -> Iterator[tuple[Int64, Int64]]:
    """Yield for each length of n-grams where they start and, numbered from 0, which they are."""
    starts, terms = np.arange(len(words)), words
    for length in range(1, ngrams + 1):
        if length > 1:
            last = starts + length - 1
            inside = np.flatnonzero(last < len(words))
            inside = inside[text_of[last[inside]] == text_of[starts[inside]]]
            starts, last = starts[inside], last[inside]
            # An n-gram is the number of its first n - 1 words and its last word, renumbered:
            # integers instead of millions of strings.
            pairs = terms[inside] * (words.max(initial=0) + 1) + words[last]
            terms = np.unique(pairs, return_inverse=True)[1]
        yield starts, terms


def _weights(terms: Int64, rows: Int64, texts: int) -> csr_matrix:
    shape = (texts, int(terms.max(initial=-1)) + 1)
    counts = csr_matrix((np.ones(len(terms)), (rows, terms)), shape=shape)
    counts.sum_duplicates()
    df = np.bincount(counts.indices, minlength=shape[1])
    idf: Float64 = np.log((1 + texts) / (1 + df)) + 1
    return csr_matrix((counts.data * idf[counts.indices], counts.indices, counts.indptr), shape)
