// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

extension HoldfastSchema {
    /// Version 3: the order in which processes began.
    ///
    /// A sequence and not a time: a clock that is set back would turn the order around. Rows of programs that know nothing of it
    /// get a place of their own as they are inserted.
    static func beginnings(in schema: SchemaName) -> String {
        let sequence = SQLText.dollarQuoted("\(schema).beginnings")
        return """
            CREATE SEQUENCE \(schema).beginnings AS INT8;
            ALTER TABLE \(schema).executors
              -- The place of its process in the order of all, drawn before it joined first, and which of its lives this is.
              ADD COLUMN began INT8 NOT NULL DEFAULT nextval(\(sequence)),
              ADD COLUMN life INT4 NOT NULL DEFAULT 0;
            -- Who was in a slot, the last one first.
            CREATE INDEX executors_order ON \(schema).executors (application_name, executor_id, began, life);
            """
    }
}
