# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What the scripts that run executors share: processes, signals, the database, the audit of writes. Standard library only."""

import ctypes
import json
import os
import select
import signal
import subprocess
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def postgres(name):
    """The command that manages the private server `name`."""
    return [os.path.join(REPOSITORY, "ops", "postgres"), "--name", name]


class Failure(Exception):
    """Ends the program with a message and an exit code."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


class Interrupted(Exception):
    pass


# MARK: Signals and processes


class Signals:
    """Notes the first signal that asks for the end. It is acted upon where `check` is called, so that no process is ever
    started without being noted. Every wait of this program calls it several times a second."""

    def __init__(self):
        self.received = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number, _frame):
        self.received = self.received or number

    def check(self):
        if self.received:
            raise Interrupted()


signals = Signals()
try:
    _prctl = ctypes.CDLL(None).prctl
except AttributeError:
    _prctl = None


def die_with_parent():
    """Runs in a new process: should this program be killed without any chance to clean up, the process goes too."""
    if _prctl:
        _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def spawn(arguments, dies_with_us=False, **options):
    """Starts a process in a session of its own: a Ctrl-C in the terminal reaches this program only."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(
        arguments,
        start_new_session=True,
        preexec_fn=die_with_parent if dies_with_us else None,
        **options,
    )


def wait_for(condition, seconds, what):
    """Polls until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        signals.check()
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def kill_group(process, number, seconds):
    """Sends a signal to a process and all it started, and waits for its end; then SIGKILL."""
    for each in (number, signal.SIGKILL):
        if process.poll() is None:
            try:
                os.killpg(process.pid, each)
            except ProcessLookupError:
                pass
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue


def tail(path, lines=15):
    with open(path, errors="replace") as file:
        return "".join("    " + line for line in file.readlines()[-lines:])


# MARK: The database


class Database:
    """One psql that is kept open on the private server `name`, or as the command `name` opens it. Every answer is one line of
    JSON."""

    MARK = "--holdfast-answered--"

    def __init__(self, name, errors):
        self.errors = errors
        self.buffer = b""
        command = postgres(name) + ["psql", "-X", "-q", "-A", "-t"] if isinstance(name, str) else name
        with open(errors, "wb") as sink:
            self.process = spawn(
                command + ["-v", "ON_ERROR_STOP=1"],
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


# Notes, inside the transaction that writes and while it holds the workflow's row, which process writes and which one owns
# the workflow. Each executor process connects under its own application_name, so the name in the server is the writer.
AUDIT = """
CREATE SCHEMA holdfast_audit;
CREATE TABLE holdfast_audit.checkpoints (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), backend int NOT NULL DEFAULT pg_backend_pid(),
  writer text NOT NULL DEFAULT current_setting('application_name'), workflow_uuid text, function_id int,
  status text, owner text, owner_xid text);
CREATE TABLE holdfast_audit.ownership (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), backend int NOT NULL DEFAULT pg_backend_pid(),
  writer text NOT NULL DEFAULT current_setting('application_name'), workflow_uuid text, event text, was text,
  owner text, owner_xid text, attempts int);
CREATE FUNCTION holdfast_audit.note_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO holdfast_audit.checkpoints (workflow_uuid, function_id, status, owner, owner_xid)
  SELECT NEW.workflow_uuid, NEW.function_id, s.status, s.executor_id, s.owner_xid
    FROM (VALUES (1)) AS always LEFT JOIN dbos.workflow_status s ON s.workflow_uuid = NEW.workflow_uuid;
  RETURN NULL;
END $$;
CREATE TRIGGER holdfast_audit AFTER INSERT OR UPDATE ON dbos.operation_outputs
  FOR EACH ROW EXECUTE FUNCTION holdfast_audit.note_checkpoint();
CREATE FUNCTION holdfast_audit.note_ownership() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  row dbos.workflow_status;
BEGIN
  IF TG_ARGV[0] = 'claimed' THEN row := NEW; ELSE row := OLD; END IF;
  INSERT INTO holdfast_audit.ownership (workflow_uuid, event, was, owner, owner_xid, attempts)
  VALUES (NEW.workflow_uuid, TG_ARGV[0], OLD.status, row.executor_id, row.owner_xid, NEW.recovery_attempts);
  RETURN NULL;
END $$;
CREATE TRIGGER holdfast_audit_claimed AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (NEW.status = 'PENDING' AND OLD.status <> 'PENDING')
  EXECUTE FUNCTION holdfast_audit.note_ownership('claimed');
CREATE TRIGGER holdfast_audit_settled AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (NEW.status IN ('SUCCESS', 'ERROR')
    AND (OLD.status IS DISTINCT FROM NEW.status OR OLD.completed_at IS DISTINCT FROM NEW.completed_at))
  EXECUTE FUNCTION holdfast_audit.note_ownership('settled');
CREATE TRIGGER holdfast_audit_returned AFTER UPDATE ON dbos.workflow_status
  FOR EACH ROW WHEN (OLD.status = 'PENDING' AND NEW.status IN ('ENQUEUED', 'DELAYED'))
  EXECUTE FUNCTION holdfast_audit.note_ownership('returned');
CREATE VIEW holdfast_audit.foreign_checkpoints AS
  SELECT * FROM holdfast_audit.checkpoints
   WHERE writer IS DISTINCT FROM owner OR status IS DISTINCT FROM 'PENDING' OR owner_xid IS NULL;
CREATE VIEW holdfast_audit.foreign_outcomes AS
  SELECT * FROM holdfast_audit.ownership
   WHERE event = 'settled' AND (writer IS DISTINCT FROM owner OR was IS DISTINCT FROM 'PENDING');
"""

# A forged checkpoint and forged outcomes: of somebody else's workflow, of one that nobody owns, and a second one. The audit
# must catch them: a net without a catch proves nothing about the water unless it is known to hold fish. Rolled back.
FORGERY = """
BEGIN;
INSERT INTO dbos.workflow_status (workflow_uuid, status, executor_id, owner_xid)
VALUES ('forged', 'PENDING', 'somebody else', 'token'), ('forged too', 'ENQUEUED', NULL, NULL);
INSERT INTO dbos.operation_outputs (workflow_uuid, function_id) VALUES ('forged', 1);
UPDATE dbos.workflow_status SET status = 'SUCCESS', completed_at = 1 WHERE workflow_uuid LIKE 'forged%';
UPDATE dbos.workflow_status SET completed_at = 2 WHERE workflow_uuid = 'forged';
SELECT to_jsonb(ARRAY[(SELECT count(*) FROM holdfast_audit.foreign_checkpoints),
                      (SELECT count(*) FROM holdfast_audit.foreign_outcomes)]);
ROLLBACK;
"""


def prove_audit(database):
    """Puts the audit to a test."""
    caught = database.value(FORGERY)
    if caught != [1, 3]:
        raise Failure(f"the audit does not catch forged writes: {caught}")
