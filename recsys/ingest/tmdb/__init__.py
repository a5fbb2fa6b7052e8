"""The Movies Dataset: metadata of movies from TMDB."""
