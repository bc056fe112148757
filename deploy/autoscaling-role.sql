-- A role that may read how many executors are needed, and nothing else. Run it as the owner of the schema `holdfast`, after
-- `holdfast migrate`. Give the role a password (\password holdfast_scaler in psql) or another way to log in.
CREATE ROLE holdfast_scaler LOGIN CONNECTION LIMIT 20;
GRANT USAGE ON SCHEMA holdfast TO holdfast_scaler;
GRANT SELECT ON holdfast.autoscaling TO holdfast_scaler;
GRANT EXECUTE ON FUNCTION holdfast.autoscaling_figures() TO holdfast_scaler;
