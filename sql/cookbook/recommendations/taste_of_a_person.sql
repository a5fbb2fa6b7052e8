-- Question: What does a person like, and how do they rate against others?
-- Read off: against_others above 0 in a genre or decade that they rate higher than most people do.
-- Change: the user.
SELECT
    t.facet,
    t.name,
    t.ratings,
    round(t.mean_rating::numeric, 2) AS mean_rating,
    round(t.against_others::numeric, 2) AS against_others
FROM recsys.user_taste(1) AS t;
