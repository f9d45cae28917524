-- Every table that its user may read, a line for each: its number, what it is, its database and its name as identifiers,
-- its stored columns, what of its rows is compared, its structure as a literal, and of a table that a view keeps its rows
-- in the query that finds it where that view was made anew. No field is empty, and none has a tab or an end of line in
-- it. Aggregate functions may write the same state in several ways: it is not compared.
WITH
    x -> if(match(x, '^[ -~]*$'),
        replaceAll(replaceAll(replaceAll(x, '\\', '\\x5c'), '`', '\\x60'), '\'', '\\x27'),
        replaceRegexpAll(hex(x), '..', '\\\\x\\0')) AS escaped,
    x -> concat('`', escaped(x), '`') AS quoted,
    x -> concat('\'', escaped(x), '\'') AS literal,
    '(^|[^e])AggregateFunction\\(' AS states
SELECT
    row_number() OVER (ORDER BY t.database, t.name),
    multiIf(
        owner.name != '', 'inner',
        endsWith(t.engine, 'MergeTree') OR t.engine IN ('Log', 'StripeLog', 'TinyLog'), 'rows',
        t.engine = 'Dictionary', 'dictionary',
        endsWith(t.engine, 'View'), 'view',
        'table'),
    quoted(t.database),
    concat(quoted(t.database), '.', quoted(t.name)),
    if(c.columns = '', '-', c.columns),
    if(c.compared = '', 'count()', concat('count(), sum(cityHash64(', c.compared, '))')),
    literal(c.structure),
    if(owner.name = '', '-', concat(
        'SELECT concat(', literal(concat(quoted(t.database), '.`', t.prefix)), ', toString(uuid), \'`\')',
        ' FROM system.tables WHERE database = ', literal(t.database), ' AND name = ', literal(owner.name), ' FORMAT TSVRaw'))
FROM
(
    -- In databases of engine Ordinary such a table has the name of its view.
    SELECT
        database, name, engine, extract(name, '^\\.inner_id\\..*?([0-9a-f-]{36})$') AS id,
        if(id = '', name, id) AS key,
        if(id = '', '.inner_id.', replaceOne(name, id, '')) AS prefix
    FROM system.tables
    WHERE NOT is_temporary AND database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')
        -- What a view that is made anew fills, and what is about to take a table's place, may be gone a moment later.
        AND NOT startsWith(name, '.tmp.') AND NOT match(name, '^_tmp_replace_\\w+_\\w+$')
) AS t
LEFT JOIN
(
    SELECT database, name, arrayJoin([toString(uuid), concat('.inner.', name)]) AS key
    FROM system.tables
    WHERE NOT startsWith(name, '.inner')
) AS owner ON owner.database = t.database AND owner.key = t.key
LEFT JOIN
(
    SELECT
        database, table,
        arrayStringConcat(groupArray(quoted(name)), ', ') AS columns,
        arrayStringConcat(groupArrayIf(quoted(name), NOT match(type, states)), ', ') AS compared,
        arrayStringConcat(groupArray(concat(quoted(name), ' ', type)), ', ') AS structure
    FROM
    (
        SELECT database, table, name, type
        FROM system.columns
        WHERE default_kind NOT IN ('ALIAS', 'EPHEMERAL')
        ORDER BY database, table, position
    )
    GROUP BY database, table
) AS c ON c.database = t.database AND c.table = t.name
ORDER BY 1
FORMAT TSVRaw
