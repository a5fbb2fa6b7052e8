-- Question: Which model is best on our data?
-- Read off: The newest figure of each model and metric, over everybody, with its 95 % interval, the
--   best model first: models whose intervals do not meet differ. Figures of different
--   protocols cannot be compared.
-- Change: Figures come from `recsys evaluate` and from the gate of each refresh. Figures on the
--   ratings that a model has learned from are left out.
WITH newest AS (
    SELECT DISTINCT ON (m.protocol, m.metric, m.model)
        m.protocol, m.metric, m.model, m.value, m.ci_low, m.ci_high, m.n, m.run_id
    FROM recsys.run_metrics AS m
    WHERE m.segment = 'all' AND m.protocol <> 'train'
    ORDER BY m.protocol, m.metric, m.model, m.run_id DESC
)
SELECT
    n.protocol, n.metric, n.model, round(n.value::numeric, 4) AS value,
    round(n.ci_low::numeric, 4) AS ci_low, round(n.ci_high::numeric, 4) AS ci_high, n.n, n.run_id
FROM newest AS n
-- Of errors, disliked movies, seconds and memory the least is the best.
ORDER BY
    n.protocol, n.metric,
    CASE WHEN n.metric ~ '^(rmse|mae|disliked_share)|_(seconds|mb)$' THEN n.value ELSE -n.value END, n.model;
