# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What the database notes by itself during a run, and the evidence that is taken from it afterwards."""

import os
import subprocess

from driver import AUDIT, Failure, prove_audit
from topology.server import environment

# Beyond what the other scripts note: an order that does not depend on clocks, executions that begin without a claim, and
# ways to lose a workflow that must never be taken.
MORE_AUDIT = """
ALTER TABLE holdfast_audit.checkpoints ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE holdfast_audit.ownership ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE TRIGGER holdfast_audit_started AFTER INSERT ON dbos.workflow_status
  FOR EACH ROW WHEN (NEW.status = 'PENDING') EXECUTE FUNCTION holdfast_audit.note_ownership('claimed');
CREATE TRIGGER holdfast_audit_given_up AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (OLD.status = 'PENDING'
    AND NEW.status NOT IN ('PENDING', 'SUCCESS', 'ERROR', 'ENQUEUED', 'DELAYED'))
  EXECUTE FUNCTION holdfast_audit.note_ownership('given up');
CREATE TRIGGER holdfast_audit_passed_on AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (OLD.status = 'PENDING' AND NEW.status = 'PENDING' AND OLD.owner_xid IS DISTINCT FROM NEW.owner_xid)
  EXECUTE FUNCTION holdfast_audit.note_ownership('passed on');
"""

# Each is dumped as one JSON object a line.
TABLES = {
    "workflows": """
        SELECT s.workflow_uuid AS workflow, s.status, s.queue_name AS queue, s.application_version AS version,
               s.parent_workflow_id AS parent, s.recovery_attempts AS attempts,
               coalesce(o.output, s.output) AS output, coalesce(o.error, s.error) AS error
          FROM dbos.workflow_status s LEFT JOIN dbos.workflow_output o USING (workflow_uuid)""",
    "steps": """
        SELECT workflow_uuid AS workflow, function_id AS number, function_name AS name, output, error,
               child_workflow_id AS child FROM dbos.operation_outputs""",
    "takeovers": """
        SELECT workflow_uuid AS workflow, from_incarnation AS incarnation, reason, strikes, decision,
               extract(epoch FROM at) AS at FROM holdfast.takeovers ORDER BY id""",
    "executors": """
        SELECT incarnation, executor_id AS slot, application_version AS version, pid, state, end_reason AS reason,
               extract(epoch FROM started_at) AS started, extract(epoch FROM renewed_at) AS renewed,
               extract(epoch FROM ended_at) AS ended
          FROM holdfast.executors ORDER BY started_at""",
    "checkpoints": """
        SELECT id, extract(epoch FROM at) AS at, writer, workflow_uuid AS workflow, function_id AS number, status,
               owner_xid AS token FROM holdfast_audit.checkpoints ORDER BY id""",
    "ownership": """
        SELECT id, extract(epoch FROM at) AS at, writer, workflow_uuid AS workflow, event, was, owner_xid AS token
          FROM holdfast_audit.ownership ORDER BY id""",
}


def install(database):
    database.run(AUDIT)
    database.run(MORE_AUDIT)
    prove_audit(database)


def dump(server, folder):
    """Writes the tables of a server into a folder."""
    os.makedirs(folder, exist_ok=True)
    for name, query in TABLES.items():
        with open(os.path.join(folder, name + ".jsonl"), "wb") as file:
            done = subprocess.run(
                server.psql() + ["-v", "ON_ERROR_STOP=1", "-c", f"SELECT row_to_json(t) FROM ({query}) t"],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, timeout=300, env=environment(), check=False,
                start_new_session=True,
            )
        if done.returncode:
            raise Failure(f"the table {name} cannot be read: {done.stderr.decode(errors='replace')}")
