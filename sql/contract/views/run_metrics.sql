CREATE OR REPLACE VIEW recsys.run_metrics AS
SELECT k.run_id, d.name AS model, k.protocol, k.metric, k.segment, k.value, k.ci_low, k.ci_high, k.n
FROM recsys_store.run_metrics AS k
JOIN recsys_store.models AS d ON d.model_id = k.model_id;

COMMENT ON VIEW recsys.run_metrics IS 'Measured quality of the models of a run';
COMMENT ON COLUMN recsys.run_metrics.run_id IS 'The run';
COMMENT ON COLUMN recsys.run_metrics.model IS 'The model measured';
COMMENT ON COLUMN recsys.run_metrics.protocol IS 'How it was measured; train: on the ratings it learned from; holdout 0.1: on a random tenth it did not see, by a fit of its own';
COMMENT ON COLUMN recsys.run_metrics.metric IS 'What was measured, as rmse or ndcg@10';
COMMENT ON COLUMN recsys.run_metrics.segment IS 'Which users or movies; all: every one';
COMMENT ON COLUMN recsys.run_metrics.value IS 'The figure';
COMMENT ON COLUMN recsys.run_metrics.ci_low IS 'Lower end of its 95 % interval; NULL where none was computed';
COMMENT ON COLUMN recsys.run_metrics.ci_high IS 'Upper end of its 95 % interval; NULL where none was computed';
COMMENT ON COLUMN recsys.run_metrics.n IS 'Over how many users or ratings';
