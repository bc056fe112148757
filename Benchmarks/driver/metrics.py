# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""The metrics. Each takes a `Bench`, measures once, and returns what `Bench.result` makes of it."""

import time

from server import Meter


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, round(share * (len(values) - 1)))]


def latencies(milliseconds):
    return {"p50_ms": percentile(milliseconds, 0.5), "p99_ms": percentile(milliseconds, 0.99)}


def measured(bench, worker, units, *words, unit):
    """Has a worker perform a command and meters it."""
    meter = Meter(bench.session, [worker.pid])
    meter.start()
    answer = worker.ask(*words)
    cost = meter.stop(answer["seconds"])
    return bench.result(unit, units, cost, **latencies(answer["milliseconds"]))


def steps(bench, workflows, each):
    worker = bench.crew.hire(bench.database)
    worker.ask("steps", workflows, 20)  # warms up: connections are made, statements prepared and planned for good
    worker.ask("steps", 1, 20)
    result = measured(bench, worker, workflows * each, "steps", workflows, each, unit="step")
    bench.crew.dismiss(worker)
    return result


def sequential_steps(bench):
    result = steps(bench, 1, 1000)
    # There is one workflow: its latency says nothing that the rate does not.
    result.update(p50_ms=None, p99_ms=None, ms_per_step=1000 / result["rate"])
    return result


def concurrent_steps(bench):
    result = steps(bench, 100, 20)
    result.update(p50_ms=None, p99_ms=None)
    return result


def direct(bench, count, concurrency):
    worker = bench.crew.hire(bench.database)
    worker.ask("direct", 4 * concurrency + 20, concurrency)
    result = measured(bench, worker, count, "direct", count, concurrency, unit="workflow")
    bench.crew.dismiss(worker)
    return result


def enqueue(bench, count, concurrency):
    worker = bench.crew.hire(bench.database, run=False)
    # No executor serves the queue, so nothing but enqueuing is measured.
    worker.ask("enqueue", 4 * concurrency + 20, concurrency, "unserved")
    result = measured(bench, worker, count, "enqueue", count, concurrency, "unserved", unit="workflow")
    bench.crew.dismiss(worker)
    return result


def await_queue(session, queue):
    while session.value(f"""SELECT EXISTS (SELECT 1 FROM dbos.workflow_status
            WHERE queue_name = '{queue}' AND status IN ('ENQUEUED', 'PENDING'))""") == "t":
        time.sleep(0.03)
    return float(session.value(f"SELECT max(completed_at) / 1000.0 FROM dbos.workflow_status WHERE queue_name = '{queue}'"))


def shares(session, executors):
    """Which part of the work each executor did."""
    rows = dict(session.rows("""SELECT executor_id, count(*) FROM dbos.workflow_status
                                 WHERE queue_name = 'queue-1' GROUP BY 1"""))
    total = sum(map(int, rows.values()))
    return [round(int(rows.get(f"executor-{index}", 0)) / total, 3) for index in range(executors)]


def seed(session, count):
    """Copies the one workflow on the queue `template` to `queue-1`, `count` times."""
    session.rows(f"""
        WITH copies AS MATERIALIZED (
            SELECT t.workflow_uuid AS original, t.created_at - ({count} - n) / 20 AS moment, n
              FROM dbos.workflow_status t, generate_series(1, {count}) n WHERE t.queue_name = 'template'
        ), named AS MATERIALIZED (
            SELECT *, overlay(overlay(gen_random_uuid()::text
                                      placing left(lpad(to_hex(moment), 12, '0'), 8) from 1)
                              placing right(lpad(to_hex(moment), 12, '0'), 4) from 10) AS id FROM copies
        ), inputs AS (
            INSERT INTO dbos.workflow_input SELECT copy.*
              FROM named JOIN dbos.workflow_input i ON i.workflow_uuid = original,
                   jsonb_populate_record(i, jsonb_build_object('workflow_uuid', id)) AS copy ORDER BY n
        )
        INSERT INTO dbos.workflow_status
        SELECT copy.*
          FROM named JOIN dbos.workflow_status t ON t.workflow_uuid = original,
               jsonb_populate_record(t, jsonb_build_object(
                   'workflow_uuid', id, 'queue_name', 'queue-1', 'created_at', moment)) AS copy ORDER BY n""")


def fleet(bench, database, executors):
    """Executors that are warm, and a client."""
    crew = [bench.crew.hire(database, id=f"executor-{index}", queues=2) for index in range(executors)]
    client = bench.crew.hire(database, run=False)
    client.ask("enqueue", 100 * executors, 10, "queue-2")
    return crew, client


def drain(bench, executors, count):
    """From the commit that makes all workflows visible to the last outcome."""
    with bench.fresh_database() as (database, session):
        crew, client = fleet(bench, database, executors)
        await_queue(session, "queue-2")
        client.ask("enqueue", 1, 1, "template")
        meter = Meter(session, [worker.pid for worker in crew])
        session.rows("BEGIN")
        seed(session, count - 1)
        session.rows("ANALYZE dbos.workflow_status, dbos.workflow_input")
        meter.start(in_transaction=True)
        began = float(session.value("SELECT extract(epoch FROM clock_timestamp())"))
        session.rows("COMMIT")
        # The last one is enqueued in the usual way, which tells the executors.
        client.ask("enqueue", 1, 1, "queue-1")
        result = finished(bench, session, meter, began, count, executors)
        bench.crew.dismiss(client, *crew)
        return result


def fan_out(bench, executors, count):
    """Enqueuing and running at the same time: from the first enqueue to the last outcome."""
    with bench.fresh_database() as (database, session):
        crew, client = fleet(bench, database, executors)
        await_queue(session, "queue-2")
        meter = Meter(session, [worker.pid for worker in [client, *crew]])
        meter.start()
        began = float(session.value("SELECT extract(epoch FROM clock_timestamp())"))
        client.ask("enqueue", count, 500, "queue-1")
        result = finished(bench, session, meter, began, count, executors)
        bench.crew.dismiss(client, *crew)
        return result


def finished(bench, session, meter, began, count, executors):
    ended = await_queue(session, "queue-1")
    cost = meter.stop(ended - began)
    done = int(session.value("""SELECT count(*) FROM dbos.workflow_status
                                 WHERE queue_name = 'queue-1' AND status = 'SUCCESS'"""))
    if done != count:
        raise RuntimeError(f"{done} of {count} workflows succeeded")
    return bench.result("workflow", count, cost, shares=shares(session, executors))


def dispatch_latency(bench, count):
    """An idle executor in one process, a client in another; one workflow at a time."""
    executor = bench.crew.hire(bench.database, queues=1)
    client = bench.crew.hire(bench.database, run=False)
    client.ask("probe", 10, 20, 60, "queue-1")
    time.sleep(0.5)
    executor.ask("began")
    meter = Meter(bench.session, [executor.pid])
    meter.start()
    probes = client.ask("probe", count, 20, 120, "queue-1")
    time.sleep(0.5)
    began = executor.ask("began")["began"]
    cost = meter.stop()
    began = [moment for _, moment in sorted((int(key), value) for key, value in dictionary(began).items())]
    from_call = [(end - start) * 1000 for start, end in zip(probes["called"], began, strict=True)]
    from_return = [(end - start) * 1000 for start, end in zip(probes["returned"], began, strict=True)]
    bench.crew.dismiss(client, executor)
    result = bench.result("workflow", count, cost, **latencies(from_return))
    result.update(rate=None, from_call=latencies(from_call), max_ms=max(from_return))
    return result


def dictionary(value):
    """Swift writes a dictionary with integer keys as an object; an older Foundation as a list of pairs."""
    return value if isinstance(value, dict) else dict(zip(value[::2], value[1::2], strict=True))


def idle(bench, seconds):
    """One executor with 1 queue and one with 50, each in a database of its own, over the same seconds."""
    results = {}
    with bench.fresh_database() as (few, few_session), bench.fresh_database() as (many, many_session):
        parts = [("1", few_session, bench.crew.hire(few, queues=1)), ("50", many_session, bench.crew.hire(many, queues=50))]
        time.sleep(3)
        meters = [(queues, Meter(session, [worker.pid])) for queues, session, worker in parts]
        for _, meter in meters:
            meter.start()
        time.sleep(seconds)
        for queues, meter in meters:
            cost = meter.stop()
            results[queues] = bench.result("second", cost.seconds, cost)
            # The log is the server's: the commits are those of both together.
            results[queues].update(rate=None, commits=None, wal_bytes=None,
                                   cpu_percent=100 * cost.client_cpu / cost.seconds,
                                   server_cpu_percent=100 * cost.server_cpu / cost.seconds)
        bench.crew.dismiss(*[worker for _, _, worker in parts])
    return results
