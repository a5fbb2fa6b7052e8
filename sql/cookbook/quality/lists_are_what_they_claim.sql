-- Question: Can I trust the lists that are stored?
-- Read off: For each model whose lists follow from its similarities, lists are computed again
--   and compared row by row: missing and extra are 0 if all is well.
-- Change: 10 people, at most 100. `recsys verify --all` checks everybody.
SELECT v.model, v.users, v.stored, v.recomputed, v.missing, v.extra
FROM recsys.verify_lists(NULL, 10) AS v
ORDER BY v.model;
