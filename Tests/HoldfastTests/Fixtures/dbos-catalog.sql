-- SPDX-License-Identifier: Apache-2.0
-- Copyright the Holdfast project authors
--
-- One line for everything in the schema named by the setting holdfast.schema that another program may rely on:
-- relations, columns, constraints, indexes, triggers, functions. The schema's own name is taken out, so that dumps of
-- differently named schemas compare; the order of columns and the bodies of functions are left out on purpose.
WITH target AS (
  SELECT oid, quote_ident(nspname) || '.' AS prefix
  FROM pg_catalog.pg_namespace WHERE nspname = current_setting('holdfast.schema')
), lines (line) AS (
  SELECT concat_ws(' ', 'relation', c.relname, c.relkind, array_to_string(c.reloptions, ','))
  FROM target t JOIN pg_catalog.pg_class c ON c.relnamespace = t.oid
  WHERE c.relkind <> 'i'
  UNION ALL
  SELECT concat_ws(' ', 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'not null' END, CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
    'default ' || replace(pg_get_expr(d.adbin, d.adrelid), t.prefix, ''))
  FROM target t
  JOIN pg_catalog.pg_class c ON c.relnamespace = t.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  UNION ALL
  -- Postgres 18 lists NOT NULL among the constraints; the column lines say it already.
  SELECT concat_ws(' ', 'constraint', c.relname, o.conname, replace(pg_get_constraintdef(o.oid), t.prefix, ''))
  FROM target t
  JOIN pg_catalog.pg_class c ON c.relnamespace = t.oid
  JOIN pg_catalog.pg_constraint o ON o.conrelid = c.oid AND o.contype <> 'n'
  UNION ALL
  SELECT concat_ws(' ', 'index', replace(pg_get_indexdef(i.indexrelid), t.prefix, ''),
    CASE WHEN NOT i.indisvalid THEN 'INVALID' END)
  FROM target t
  JOIN pg_catalog.pg_class c ON c.relnamespace = t.oid
  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
  WHERE c.relkind <> 't'
  UNION ALL
  SELECT concat_ws(' ', 'trigger', replace(pg_get_triggerdef(g.oid), t.prefix, ''))
  FROM target t
  JOIN pg_catalog.pg_class c ON c.relnamespace = t.oid
  JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal
  UNION ALL
  SELECT concat_ws(' ', 'function', p.proname || '(' || pg_get_function_arguments(p.oid) || ')',
    'returns', pg_get_function_result(p.oid), l.lanname, p.prokind, p.provolatile, p.proparallel,
    CASE WHEN p.prosecdef THEN 'security definer' END, CASE WHEN p.proisstrict THEN 'strict' END,
    array_to_string(p.proconfig, ';'))
  FROM target t
  JOIN pg_catalog.pg_proc p ON p.pronamespace = t.oid
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
)
SELECT line FROM lines ORDER BY line COLLATE "C";
