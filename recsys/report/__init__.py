"""A report on what the database holds and how it recommends: a page, its plots as pictures."""
