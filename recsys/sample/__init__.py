"""The generated demo data: fictional movies and people, written as MovieLens and TMDB files."""
