-- Question: Which model is best on our data?
-- Read off: The newest figure of each model and metric, over everybody, with its 95 % interval:
--   models whose intervals do not meet differ. Figures of different protocols cannot be
--   compared.
-- Change: Figures come from `recsys evaluate` and from the gate of each refresh.
SELECT DISTINCT ON (m.protocol, m.metric, m.model)
    m.protocol, m.metric, m.model, round(m.value::numeric, 4) AS value,
    round(m.ci_low::numeric, 4) AS ci_low, round(m.ci_high::numeric, 4) AS ci_high, m.n, m.run_id
FROM recsys.run_metrics AS m
WHERE m.segment = 'all'
ORDER BY m.protocol, m.metric, m.model, m.run_id DESC;
