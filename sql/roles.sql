-- The roles and their privileges:
--
--   recsys_owner   owns both schemas and their objects, so that functions act for their callers
--                  with its privileges only; it cannot log in
--   recsys_job     loads, refreshes, evaluates, publishes, prunes, upgrades: a member of the owner
--   recsys_app     reads the contract and calls recsys.rate, recsys.block and
--                  recsys.set_available
--   recsys_reader  reads the contract
--
-- Run it as a superuser, or as the owner of the database with CREATEROLE: `recsys db roles`, or
-- psql -1 -f roles.sql. Running it again changes nothing, except that it repairs owners and grants
-- changed since; every `recsys db upgrade` does so.

-- Roles belong to the whole server: another database may have created them, or do so at the same
-- time. They have no password.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT w.name, w.definition
        FROM (VALUES
            ('recsys_owner', ARRAY[
                'CREATE ROLE recsys_owner NOLOGIN',
                'COMMENT ON ROLE recsys_owner IS ''Owns the tables and the contract of recsys'''
            ]),
            ('recsys_job', ARRAY[
                'CREATE ROLE recsys_job LOGIN',
                'COMMENT ON ROLE recsys_job IS ''Runs the jobs of recsys'''
            ]),
            ('recsys_app', ARRAY[
                'CREATE ROLE recsys_app LOGIN',
                'COMMENT ON ROLE recsys_app IS ''Reads recommendations; rates and blocks for users'''
            ]),
            ('recsys_reader', ARRAY[
                'CREATE ROLE recsys_reader LOGIN',
                'COMMENT ON ROLE recsys_reader IS ''Reads recommendations'''
            ])
        ) AS w (name, definition)
        WHERE NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = w.name)
    LOOP
        BEGIN
            FOR step IN 1..cardinality(wanted.definition) LOOP
                EXECUTE wanted.definition[step];
            END LOOP;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- created by another session meanwhile
        END;
    END LOOP;
    IF NOT pg_has_role('recsys_job', 'recsys_owner', 'USAGE') THEN
        GRANT recsys_owner TO recsys_job;
    END IF;
    -- A role that a setting has been given to keeps it: ALTER ROLE changes limits, 0 lifts them.
    FOR wanted IN
        SELECT format('ALTER ROLE %I SET %I = %L', w.role, w.name, w.value) AS statement
        FROM (VALUES
            ('recsys_app', 'statement_timeout', '10s'),
            ('recsys_app', 'idle_in_transaction_session_timeout', '1min'),
            ('recsys_reader', 'default_transaction_read_only', 'on'),
            ('recsys_reader', 'statement_timeout', '30s'),
            ('recsys_reader', 'idle_in_transaction_session_timeout', '5min')
        ) AS w (role, name, value)
        JOIN pg_roles AS r ON r.rolname = w.role
        WHERE NOT EXISTS (
            SELECT FROM unnest(r.rolconfig) AS c (setting)
            WHERE split_part(c.setting, '=', 1) = w.name
        )
        UNION ALL
        -- For jobs to see since when a session holds a lock, and to end it.
        SELECT format('GRANT %I TO recsys_job', m.name)
        FROM (VALUES ('recsys_app'), ('recsys_reader')) AS m (name)
        WHERE NOT pg_has_role('recsys_job', m.name, 'USAGE')
    LOOP
        BEGIN
            EXECUTE wanted.statement;
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;  -- an upgrade as recsys_job; `recsys db roles` has the privilege
        END;
    END LOOP;
    -- Only a member of the owner can transfer objects to it. A superuser is a member of all roles.
    IF NOT pg_has_role('recsys_owner', 'USAGE') THEN
        EXECUTE format('GRANT recsys_owner TO %I', current_user);
    END IF;
END
$$;

-- The database. Objects of a user's own, even temporary ones, can mislead functions; only jobs
-- need them.
DO $$
BEGIN
    IF (SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database AS d WHERE d.datname = current_database()) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO recsys_owner', current_database());
        EXECUTE format(
            'GRANT CONNECT ON DATABASE %I TO recsys_owner, recsys_job, recsys_app, recsys_reader',
            current_database()
        );
    END IF;
    -- Open to PUBLIC in databases created before PostgreSQL 15.
    IF (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace AS n WHERE n.nspname = 'public') THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
END
$$;

-- Large objects belong to no schema: every role may create them, and fill the disk. Only a superuser
-- can revoke that.
DO $$
DECLARE
    writer regprocedure;
BEGIN
    IF (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        FOR writer IN
            SELECT p.oid FROM pg_proc AS p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace
              AND p.proname IN (
                  'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_truncate',
                  'lo_truncate64', 'lowrite'
              )
        LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', writer);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO recsys_owner', writer);
        END LOOP;
    END IF;
END
$$;

-- Ownership. Indexes and the sequences of columns follow their tables.
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER SCHEMA %I OWNER TO recsys_owner', n.nspname)
        FROM pg_namespace AS n
        WHERE n.nspname IN ('recsys_store', 'recsys') AND n.nspowner <> 'recsys_owner'::regrole
        UNION ALL
        SELECT format('ALTER TABLE %I.%I OWNER TO recsys_owner', n.nspname, c.relname)
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('recsys_store', 'recsys')
          AND c.relkind IN ('r', 'p', 'v', 'm')
          AND c.relowner <> 'recsys_owner'::regrole
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO recsys_owner', p.oid::regprocedure)
        FROM pg_proc AS p
        JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('recsys_store', 'recsys') AND p.proowner <> 'recsys_owner'::regrole
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

-- Only the owner reads the store.
REVOKE ALL ON SCHEMA recsys_store FROM PUBLIC, recsys_app, recsys_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA recsys_store FROM PUBLIC, recsys_app, recsys_reader;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA recsys_store FROM PUBLIC, recsys_app, recsys_reader;
REVOKE ALL ON ALL ROUTINES IN SCHEMA recsys_store FROM PUBLIC, recsys_app, recsys_reader;

-- The contract. Its functions are open to all who may use the schema, except for those whose files
-- revoke them from PUBLIC.
REVOKE ALL ON SCHEMA recsys FROM PUBLIC, recsys_app, recsys_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA recsys FROM PUBLIC, recsys_app, recsys_reader;
REVOKE ALL ON ALL ROUTINES IN SCHEMA recsys FROM recsys_app, recsys_reader;
GRANT USAGE ON SCHEMA recsys TO recsys_app, recsys_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA recsys TO recsys_app, recsys_reader;
GRANT EXECUTE ON FUNCTION
    recsys.rate(integer, integer, double precision), recsys.rate(text, text, double precision),
    recsys.block(integer, integer, timestamptz), recsys.block(text, text, timestamptz),
    recsys.set_available(integer, boolean), recsys.set_available(text, boolean)
TO recsys_app;
