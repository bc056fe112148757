# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The conversation with the private Postgres, and the audit that is installed there."""

import json
import os
import select
import signal
import subprocess
import time

from processes import POSTGRES, Failure, kill_group, spawn, tail


class Database:
    """One psql that is kept open. Every answer is one line of JSON."""

    MARK = "--holdfast-demo-answered--"

    def __init__(self, errors):
        self.errors = errors
        self.buffer = b""
        with open(errors, "wb") as sink:
            self.process = spawn(
                POSTGRES + ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
            )
        self.run("SET client_min_messages = error; SET statement_timeout = '60s'; SET TIME ZONE 'UTC'")

    def run(self, sql):
        text = f"{sql.rstrip().rstrip(';')};\n\\echo {self.MARK}\n"
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"psql has ended:\n{tail(self.errors)}") from None
        end = b"\n" + self.MARK.encode() + b"\n"
        deadline = time.monotonic() + 90
        while not (b"\n" + self.buffer).endswith(end):
            remaining = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, remaining))
            piece = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:
                raise Failure(f"the database gave no answer:\n{tail(self.errors)}")
            self.buffer += piece
        answer = self.buffer[: -len(end) + 1].decode().strip()
        self.buffer = b""
        return answer

    def value(self, sql):
        """The one value of a query, which must be of type jsonb."""
        answer = self.run(sql)
        return json.loads(answer) if answer else None

    def now(self):
        return float(self.run("SELECT extract(epoch FROM clock_timestamp())"))

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        kill_group(self.process, signal.SIGTERM, 5)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


# Notes, inside the transaction that writes and while it holds the workflow's row, which process writes and which one
# owns the workflow. Each executor process connects under its own application_name, so that name is the writer.
AUDIT = """
CREATE SCHEMA demo_audit;
CREATE TABLE demo_audit.checkpoints (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), backend int NOT NULL DEFAULT pg_backend_pid(),
  writer text NOT NULL DEFAULT current_setting('application_name'), workflow_uuid text, function_id int,
  status text, owner text, owner_xid text);
CREATE TABLE demo_audit.ownership (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), backend int NOT NULL DEFAULT pg_backend_pid(),
  writer text NOT NULL DEFAULT current_setting('application_name'), workflow_uuid text, event text, owner text);
CREATE FUNCTION demo_audit.note_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO demo_audit.checkpoints (workflow_uuid, function_id, status, owner, owner_xid)
  SELECT NEW.workflow_uuid, NEW.function_id, s.status, s.executor_id, s.owner_xid
    FROM (VALUES (1)) AS always LEFT JOIN dbos.workflow_status s ON s.workflow_uuid = NEW.workflow_uuid;
  RETURN NULL;
END $$;
CREATE TRIGGER demo_audit AFTER INSERT OR UPDATE ON dbos.operation_outputs
  FOR EACH ROW EXECUTE FUNCTION demo_audit.note_checkpoint();
CREATE FUNCTION demo_audit.note_ownership() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO demo_audit.ownership (workflow_uuid, event, owner)
  VALUES (NEW.workflow_uuid, TG_ARGV[0], CASE TG_ARGV[0] WHEN 'claimed' THEN NEW.executor_id ELSE OLD.executor_id END);
  RETURN NULL;
END $$;
CREATE TRIGGER demo_audit_claimed AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (NEW.status = 'PENDING' AND OLD.status <> 'PENDING')
  EXECUTE FUNCTION demo_audit.note_ownership('claimed');
CREATE TRIGGER demo_audit_settled AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (OLD.status = 'PENDING' AND NEW.status IN ('SUCCESS', 'ERROR'))
  EXECUTE FUNCTION demo_audit.note_ownership('settled');
CREATE VIEW demo_audit.foreign_checkpoints AS
  SELECT * FROM demo_audit.checkpoints
   WHERE writer IS DISTINCT FROM owner OR status IS DISTINCT FROM 'PENDING' OR owner_xid IS NULL;
CREATE VIEW demo_audit.foreign_outcomes AS
  SELECT * FROM demo_audit.ownership WHERE event = 'settled' AND writer IS DISTINCT FROM owner;
"""

# A forged checkpoint and a forged outcome, which the audit must catch: a net without a catch proves nothing about the
# water unless it is known to hold fish. Rolled back.
FORGERY = """
BEGIN;
INSERT INTO dbos.workflow_status (workflow_uuid, status, executor_id, owner_xid)
VALUES ('forged', 'PENDING', 'somebody else', 'token');
INSERT INTO dbos.operation_outputs (workflow_uuid, function_id) VALUES ('forged', 1);
UPDATE dbos.workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = 'forged';
SELECT to_jsonb(ARRAY[(SELECT count(*) FROM demo_audit.foreign_checkpoints),
                      (SELECT count(*) FROM demo_audit.foreign_outcomes)]);
ROLLBACK;
"""
