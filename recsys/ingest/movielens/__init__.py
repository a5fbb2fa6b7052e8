"""The MovieLens editions: their formats, titles and downloads."""
