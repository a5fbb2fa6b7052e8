CREATE OR REPLACE FUNCTION recsys.rating_weights(
    run_id integer, model text, rated integer[], given double precision[], rated_at timestamptz[]
)
RETURNS TABLE (model_ids smallint[], movie_ids integer[], weights double precision[])
-- Inlined where it is called: neither SECURITY DEFINER nor SET.
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    -- By term and movie, because sums of scores depend on the order of their terms.
    SELECT
        array_agg(w.model_id ORDER BY w.term, w.place),
        array_agg(w.movie_id ORDER BY w.term, w.place),
        array_agg(w.weight ORDER BY w.term, w.place)
    FROM (
        SELECT
            t.term, a.place, m.model_id, a.movie_id,
            CASE t.grades WHEN 'rating' THEN a.rating ELSE (
                t.factor * greatest(0, CASE
                    WHEN t.grades = 'none' OR r.rating_min = r.rating_max THEN 1
                    WHEN t.grades = 'watched' THEN CASE WHEN o.highest > r.rating_min THEN 1 ELSE 0 END
                    WHEN t.grades = 'scaled' AND r.rating_max > 0 THEN a.rating / r.rating_max
                    WHEN t.grades = 'centred' THEN 1 + t.effect * (a.rating - u.mean)
                    WHEN t.grades = 'relative' AND a.rating < u.mean
                        THEN (a.rating - r.rating_min) / (u.mean - r.rating_min)
                    WHEN t.grades = 'relative' AND u.mean < r.rating_max
                        THEN 1 + t.effect * (a.rating - u.mean) / (r.rating_max - u.mean)
                    ELSE 1
                END) * a.share
            )::real END AS weight
        FROM recsys_store.runs AS r
        CROSS JOIN LATERAL (
            SELECT
                d.term, d.model,
                coalesce(d.factor, 1) AS factor,
                coalesce(d.grades, 'none') AS grades,
                d.effect,
                coalesce(d.recency, 1) AS recency,
                coalesce(nullif(d.window, 0), 2147483647) AS last
            -- A run from before the terms were recorded has none.
            FROM ROWS FROM (jsonb_to_recordset(coalesce(
                r.parameters -> 'terms' -> rating_weights.model,
                jsonb_build_array(jsonb_build_object('model', rating_weights.model))
            )) AS (
                model text, factor double precision, grades text, effect double precision,
                recency double precision, "window" integer
            )) WITH ORDINALITY AS d (model, factor, grades, effect, recency, "window", term)
        ) AS t
        JOIN recsys_store.models AS m ON m.name = t.model
        CROSS JOIN (
            -- Five ratings at the mean of all begin the mean of a user.
            SELECT sum(g.rating) AS total, count(*) AS count, max(g.rating) AS highest
            FROM unnest(rating_weights.given) AS g (rating)
        ) AS o
        CROSS JOIN LATERAL (
            SELECT (coalesce(o.total, 0) + 5 * r.ratings_mean) / (o.count + 5) AS mean
        ) AS u
        CROSS JOIN LATERAL (
            -- One of the two branches is left out at once: ages need a sort.
            SELECT g.movie_id, g.rating, g.place, 1::double precision AS share
            FROM unnest(rating_weights.rated, rating_weights.given)
                WITH ORDINALITY AS g (movie_id, rating, place)
            WHERE t.recency = 1 AND t.last = 2147483647
            UNION ALL
            -- Ratings of one time share the mean of the weights of their places.
            SELECT
                i.movie_id, i.rating, i.place,
                CASE
                    WHEN t.recency = 1 THEN i.inside / i.ties
                    -- Powers that are too small are an error.
                    WHEN i.newer * ln(t.recency) < -60 THEN 0
                    ELSE power(t.recency, i.newer) * (1 - CASE
                        WHEN i.inside * ln(t.recency) < -60 THEN 0
                        ELSE power(t.recency, i.inside)
                    END) / ((1 - t.recency) * i.ties)
                END
            FROM (
                SELECT
                    g.movie_id, g.rating, g.place, g.newer, g.ties,
                    greatest(0, least(g.ties, t.last - g.newer)) AS inside
                FROM (
                    SELECT
                        h.movie_id, h.rating, h.place,
                        (rank() OVER (ORDER BY h.at DESC NULLS LAST) - 1)::double precision AS newer,
                        count(*) OVER (PARTITION BY h.at)::double precision AS ties
                    FROM unnest(
                        rating_weights.rated, rating_weights.given, rating_weights.rated_at
                    ) WITH ORDINALITY AS h (movie_id, rating, at, place)
                    WHERE t.recency < 1 OR t.last < 2147483647
                ) AS g
            ) AS i
        ) AS a
        WHERE r.run_id = rating_weights.run_id
    ) AS w
    WHERE w.weight <> 0
$$;

REVOKE ALL ON FUNCTION recsys.rating_weights(integer, text, integer[], double precision[], timestamptz[]) FROM PUBLIC;
COMMENT ON FUNCTION recsys.rating_weights(integer, text, integer[], double precision[], timestamptz[]) IS
'Internal: what each rating counts in the lists of a model, by its grade and its age: for each of the sums that make up a score, the model whose weights are added and the rated movies, by movie. Computed as in recsys.numerics.weighting';
