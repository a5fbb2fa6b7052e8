CREATE OR REPLACE VIEW recsys.training_epochs AS
SELECT
    e.run_id,
    d.name AS model,
    e.epoch,
    e.loss,
    e.metric,
    e.validation,
    e.seconds,
    -- The first of equal ones: its network is kept.
    e.validation IS NOT NULL AND 1 = row_number() OVER (
        PARTITION BY e.run_id, e.model_id
        ORDER BY
            CASE WHEN e.metric IN ('rmse', 'mae') THEN e.validation ELSE -e.validation END
                NULLS LAST,
            e.epoch
    ) AS best
FROM recsys_store.training_epochs AS e
JOIN recsys_store.models AS d ON d.model_id = e.model_id;

COMMENT ON VIEW recsys.training_epochs IS 'Epochs of the networks that runs trained';
COMMENT ON COLUMN recsys.training_epochs.run_id IS 'The run';
COMMENT ON COLUMN recsys.training_epochs.model IS 'The model trained';
COMMENT ON COLUMN recsys.training_epochs.epoch IS 'Number of the epoch, a pass over the training ratings, from 1';
COMMENT ON COLUMN recsys.training_epochs.loss IS 'Mean of what the training minimizes';
COMMENT ON COLUMN recsys.training_epochs.metric IS 'Metric of the validation figure, such as rmse or ndcg@10; NULL: no ratings were held out';
COMMENT ON COLUMN recsys.training_epochs.validation IS 'Validation figure: the metric on ratings held out of the training; NULL: no ratings were held out';
COMMENT ON COLUMN recsys.training_epochs.seconds IS 'How long the epoch took';
COMMENT ON COLUMN recsys.training_epochs.best IS 'Whether its validation figure is the best of the training, the first of equal ones';
