-- A role for executors and clients: it reads and writes rows, but changes no table. Run it as the role that migrates, after
-- `holdfast migrate`, and start executors with `migrates = false`. Give the role a password (\password holdfast_executor).
-- DBOS programs of the same database may use it, too.
CREATE ROLE holdfast_executor LOGIN;
GRANT USAGE ON SCHEMA dbos, holdfast TO holdfast_executor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dbos, holdfast TO holdfast_executor;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA dbos, holdfast TO holdfast_executor;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA dbos, holdfast TO holdfast_executor;
-- What later migrations add.
ALTER DEFAULT PRIVILEGES IN SCHEMA dbos, holdfast GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO holdfast_executor;
ALTER DEFAULT PRIVILEGES IN SCHEMA dbos, holdfast GRANT USAGE ON SEQUENCES TO holdfast_executor;
ALTER DEFAULT PRIVILEGES IN SCHEMA dbos, holdfast GRANT EXECUTE ON FUNCTIONS TO holdfast_executor;
