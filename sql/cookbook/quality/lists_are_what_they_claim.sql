-- Question: Can I trust the lists that are stored?
-- Read off: For each model whose lists follow from its similarities, lists are computed again
--   and compared row by row: missing and extra are 0 if all is well.
-- Change: 200 people; NULL checks all.
SELECT v.model, v.users, v.stored, v.recomputed, v.missing, v.extra
FROM recsys.verify_lists(NULL, 200) AS v
ORDER BY v.model;
