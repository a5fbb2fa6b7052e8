CREATE OR REPLACE VIEW recsys.run_metrics AS
SELECT k.run_id, d.name AS model, k.protocol, k.metric, k.segment, k.value, k.ci_low, k.ci_high, k.n
FROM recsys_store.run_metrics AS k
JOIN recsys_store.models AS d ON d.model_id = k.model_id;

COMMENT ON VIEW recsys.run_metrics IS 'Measured quality of the models of a run';
COMMENT ON COLUMN recsys.run_metrics.run_id IS 'The run';
COMMENT ON COLUMN recsys.run_metrics.model IS 'The model measured';
COMMENT ON COLUMN recsys.run_metrics.protocol IS 'How it was measured; train: on the training ratings; holdout 0.1: on a random tenth held out from a separate fit';
COMMENT ON COLUMN recsys.run_metrics.metric IS 'Name of the metric, such as rmse or ndcg@10';
COMMENT ON COLUMN recsys.run_metrics.segment IS 'Group of users or movies; all: every one';
COMMENT ON COLUMN recsys.run_metrics.value IS 'Value of the metric';
COMMENT ON COLUMN recsys.run_metrics.ci_low IS 'Lower end of its 95 % interval; NULL if not computed';
COMMENT ON COLUMN recsys.run_metrics.ci_high IS 'Upper end of its 95 % interval; NULL if not computed';
COMMENT ON COLUMN recsys.run_metrics.n IS 'Number of users or ratings';
