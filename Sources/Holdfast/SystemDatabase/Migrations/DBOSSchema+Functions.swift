// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension DBOSSchema {
    /// Where `enqueue_workflow` puts the arguments of a workflow.
    enum InputStorage {
        /// `workflow_status.inputs`, up to level 112.
        case statusColumn
        /// The table `workflow_input`, from level 113 on.
        case inputTable
    }

    /// Wakes receivers in the transaction that inserts the message, so that none wakes before it can see the row.
    static func notificationTrigger(in schema: SchemaName) -> String {
        let body = """

            BEGIN
              PERFORM pg_notify('dbos_notifications_channel', concat(NEW.destination_uuid, '::', NEW.topic));
              RETURN NULL;   -- AFTER trigger: the value is ignored
            END
            """
        return """
            CREATE FUNCTION \(schema).notifications_function() RETURNS trigger LANGUAGE plpgsql
            SET search_path = pg_catalog, pg_temp AS \(SQLText.dollarQuoted(body));
            CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON \(schema).notifications
              FOR EACH ROW EXECUTE FUNCTION \(schema).notifications_function();
            """
    }

    /// The signature of `enqueue_workflow` before migration 105 gave it an application name.
    static let formerEnqueueSignature = """
        enqueue_workflow(TEXT, TEXT, JSON[], JSON, TEXT, TEXT, TEXT, TEXT, BIGINT, BIGINT, TEXT, INT4, TEXT, TEXT, TEXT, \
        BIGINT)
        """

    /// Enqueues a workflow from plain SQL. A public interface: names, order and defaults of the parameters are fixed.
    static func enqueueFunction(in schema: SchemaName, storage: InputStorage) -> String {
        """
        CREATE OR REPLACE FUNCTION \(schema).enqueue_workflow(
          workflow_name TEXT, queue_name TEXT, positional_args JSON[] DEFAULT ARRAY[]::JSON[],
          named_args JSON DEFAULT '{}'::JSON, class_name TEXT DEFAULT NULL, config_name TEXT DEFAULT NULL,
          workflow_id TEXT DEFAULT NULL, app_version TEXT DEFAULT NULL, timeout_ms BIGINT DEFAULT NULL,
          deadline_epoch_ms BIGINT DEFAULT NULL, deduplication_id TEXT DEFAULT NULL, priority INT4 DEFAULT NULL,
          queue_partition_key TEXT DEFAULT NULL, authenticated_user TEXT DEFAULT NULL,
          authenticated_roles TEXT DEFAULT NULL, delay_until_epoch_ms BIGINT DEFAULT NULL,
          application_name TEXT DEFAULT NULL
        ) RETURNS TEXT LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        AS \(SQLText.dollarQuoted(enqueueBody(in: schema, storage: storage)))
        """
    }

    private static func enqueueBody(in schema: SchemaName, storage: InputStorage) -> String {
        let inputsColumn = storage == .statusColumn ? "inputs, " : ""
        let inputsValue = storage == .statusColumn ? "payload, " : ""
        let insertInput = """

            INSERT INTO \(schema).workflow_input (workflow_uuid, inputs, retention_timestamp)
            VALUES (new_id, payload, now_ms) ON CONFLICT (workflow_uuid) DO NOTHING;
            """
        return """

            #variable_conflict use_column
            DECLARE
              new_id  TEXT   := coalesce($7, gen_random_uuid()::text);
              now_ms  BIGINT := extract(epoch FROM now()) * 1000;
              payload TEXT;
            BEGIN
              IF coalesce($1, '') = '' THEN RAISE EXCEPTION 'Workflow name cannot be null or empty'; END IF;
              IF coalesce($2, '') = '' THEN RAISE EXCEPTION 'Queue name cannot be null or empty'; END IF;
              IF json_typeof($4) <> 'object' THEN RAISE EXCEPTION 'Named args must be a JSON object'; END IF;
              IF $7 = '' THEN RAISE EXCEPTION 'Workflow ID cannot be an empty string if provided.'; END IF;
              IF $16 < 0 THEN RAISE EXCEPTION 'delay_until_epoch_ms must be >= 0'; END IF;
              payload := json_build_object('positionalArgs', $3, 'namedArgs', $4)::text;
              BEGIN
                INSERT INTO \(schema).workflow_status AS ws
                  (workflow_uuid, status, name, queue_name, class_name, config_name, application_version,
                   workflow_timeout_ms, workflow_deadline_epoch_ms, deduplication_id, priority, queue_partition_key,
                   authenticated_user, authenticated_roles, delay_until_epoch_ms, application_name, serialization,
                   owner_xid, recovery_attempts, \(inputsColumn)created_at, updated_at)
                VALUES (new_id, CASE WHEN $16 IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END, $1, $2, $5, $6, $8,
                   $9, $10, $11, coalesce($12, 0), $13,
                   $14, $15, $16, $17, 'portable_json',
                   gen_random_uuid()::text, 0, \(inputsValue)now_ms, now_ms)
                ON CONFLICT (workflow_uuid) DO UPDATE SET updated_at = now_ms;\
            \(storage == .inputTable ? insertInput : "")
              EXCEPTION WHEN unique_violation THEN
                RAISE EXCEPTION USING ERRCODE = '23505', MESSAGE = 'DBOS queue duplicated',
                  DETAIL = concat('Workflow ', new_id, ' with queue ', $2, ' and deduplication ID ', $11,
                    ' already exists');
              END;
              RETURN new_id;
            END
            """
    }

    /// Sends a message from plain SQL. The message id is taken as it is, so that a repeated call sends once.
    static func sendFunction(in schema: SchemaName) -> String {
        let body = """

            #variable_conflict use_column
            BEGIN
              INSERT INTO \(schema).notifications (message_uuid, destination_uuid, topic, message, serialization)
              VALUES (coalesce($4, gen_random_uuid()::text), $1, coalesce($3, '__null__topic__'), $2::text,
                'portable_json')
              ON CONFLICT (message_uuid) DO NOTHING;
            EXCEPTION WHEN foreign_key_violation THEN
              RAISE EXCEPTION USING ERRCODE = '23503', MESSAGE = 'DBOS non-existent workflow',
                DETAIL = concat('Destination workflow ', $1, ' does not exist');
            END
            """
        return """
            CREATE FUNCTION \(schema).send_message(
              destination_id TEXT, message JSON, topic TEXT DEFAULT NULL, message_id TEXT DEFAULT NULL
            ) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
            AS \(SQLText.dollarQuoted(body));
            """
    }
}
