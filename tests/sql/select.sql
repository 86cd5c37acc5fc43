-- Every query gives what the same query gives on an ordinary table with the same rows: a generated
-- matrix of predicates, orders, LIMITs and OFFSETs over a log x and a table t, then joins and
-- hidden columns by hand. Rows in small segments, the oldest deleted, timestamps out of order.
-- The last two dozen rows are in the open transaction for a second run of the matrix.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);
CREATE TEMP TABLE source AS SELECT value AS n,
    CASE WHEN value % 41 = 0 THEN value * 10 - 4000 WHEN value = 150 THEN -5 ELSE value * 10 END
    AS stamp,
    CASE value % 7 WHEN 0 THEN NULL WHEN 1 THEN value WHEN 2 THEN value || '' WHEN 3 THEN value
    + 0.5
        WHEN 4 THEN CAST(value AS BLOB) WHEN 5 THEN '' ELSE 'key-' || value END AS key,
    CASE value % 5 WHEN 0 THEN NULL WHEN 1 THEN 12 WHEN 2 THEN '12' WHEN 3 THEN x'00'
        ELSE printf('%.*c', value, 'v') END AS value,
    CASE value % 3 WHEN 0 THEN NULL WHEN 1 THEN '12' ELSE '{"n":' || value || '}' END AS headers
FROM generate_series(0, 323);
INSERT INTO x(timestamp, key, value, headers)
SELECT stamp, key, value, headers FROM source WHERE n < 300 ORDER BY n;
INSERT INTO t SELECT n, stamp, key, value, headers FROM source WHERE n < 300 ORDER BY n;
INSERT INTO x(x, offset) VALUES ('delete-records', 20);
DELETE FROM t WHERE offset < 20;
SELECT count(*) > 5 AS some_segments, sum(records) >= 280 FROM commitlog_segments('x');

CREATE TEMP TABLE constants(n INTEGER PRIMARY KEY, c);
INSERT INTO constants(c) VALUES ('100'), ('20'), ('19'), ('0'), ('-1'), ('299'), ('300'), ('1000'),
    ('''100'''), (''' 100 '''), ('''1e2'''), ('''12'''), ('100.0'), ('100.5'), ('''100.5'''),
    ('x''00'''),
    ('x''313030'''), ('''abc'''), (''''''), ('1e300'), ('-1e300'), ('9e999'), ('-9e999'),
    ('9223372036854775807'), ('9223372036854775808'), ('-9223372036854775808'),
    ('9223372036854775807.0'), ('NULL'), ('299.999999'), ('19.5'), ('CAST(100 AS REAL)'),
    ('CAST(100 AS TEXT)'), ('+100'), ('(SELECT 100)'), ('(SELECT ''100'')'), ('1500'), ('''1500'''),
    ('-5'), ('2999');
CREATE TEMP TABLE predicates(n INTEGER PRIMARY KEY, p);
-- comparisons, the column on the left, and on the right
INSERT INTO predicates(p)
SELECT col || ' ' || op || ' ' || c FROM
    (SELECT 'offset' AS col UNION ALL SELECT 'rowid' UNION ALL SELECT 'timestamp' UNION ALL
     SELECT 'key' UNION ALL SELECT 'value' UNION ALL SELECT 'headers'),
    (SELECT '=' AS op UNION ALL SELECT '<>' UNION ALL SELECT '<' UNION ALL SELECT '<=' UNION ALL
     SELECT '>' UNION ALL SELECT '>=' UNION ALL SELECT 'IS' UNION ALL SELECT 'IS NOT'),
    constants;
INSERT INTO predicates(p)
SELECT c || ' ' || op || ' ' || col FROM
    (SELECT 'offset' AS col UNION ALL SELECT 'rowid' UNION ALL SELECT 'timestamp'),
    (SELECT '=' AS op UNION ALL SELECT '<' UNION ALL SELECT '>='), constants;
-- BETWEEN over pairs, IN over pairs, two conditions on the same column and on two
INSERT INTO predicates(p)
SELECT printf(shape, a.c, b.c) FROM constants a, constants b,
    (SELECT 'offset BETWEEN %s AND %s' AS shape UNION ALL SELECT 'timestamp BETWEEN %s AND %s'
     UNION ALL SELECT 'offset IN (%s, %s, 50)' UNION ALL SELECT 'offset > %s AND offset <= %s'
     UNION ALL SELECT 'offset >= %s AND timestamp < %s' UNION ALL SELECT 'rowid < %s OR rowid = %s'
     UNION ALL SELECT 'offset = %s AND offset = %s')
WHERE (a.n * 7 + b.n * 3) % 5 = 0;
INSERT INTO predicates(p) VALUES ('1'), ('0'), ('NULL'),
    ('offset IS NULL'), ('offset IS NOT NULL'), ('rowid IS NULL'), ('rowid IS NOT NULL'),
    ('offset ISNULL'), ('NOT offset NOTNULL'), ('timestamp IS NULL'), ('timestamp IS NOT NULL'),
    ('key IS NULL'), ('value IS NOT NULL'), ('headers IS NULL'),
    ('offset IN ()'), ('offset IN (NULL)'), ('offset NOT IN (NULL)'), ('offset NOT IN (21, 22)'),
    ('offset IN (30, 30, 30, 29, 28)'), ('offset IN (SELECT n FROM source WHERE n % 50 = 0)'),
    ('offset IN (SELECT key FROM t)'), ('offset IN (''30'', 31.0, x''3332'', ''abc'', NULL, 33.5)'),
    ('timestamp IN (1500, -5, ''1510'')'),
    ('timestamp IN (SELECT stamp FROM source WHERE n % 9 = 0)'),
    ('offset = timestamp / 10'), ('offset = key'), ('key = offset'), ('key < offset'),
    ('key >= offset'),
    ('offset + 0 = 100'), ('+offset = ''100'''), ('offset = 100 + 1'), ('offset = abs(-100)'),
    ('NOT (offset < 100)'), ('NOT offset = 100'), ('(offset, timestamp) = (100, 1000)'),
    ('(offset, timestamp) > (100, 1000)'), ('(offset, key) <= (100, ''b'')'),
    ('offset BETWEEN 200 AND 100'),
    ('offset > 50 AND offset > 60 AND offset < 80 AND offset <= 70'),
    ('offset > 70 AND offset < 71'),
    ('offset >= 70 AND offset <= 70'), ('offset = 70 AND value = 12'),
    ('offset < 30 OR offset > 290'),
    ('offset < 30 OR timestamp > 2900'), ('offset = 30 OR offset = 40 OR offset = 30'),
    ('key LIKE ''key-1%'''), ('key GLOB ''key-1*'''), ('offset LIKE ''1%'''),
    ('value MATCH ''x'' OR 1 = 0'),
    ('timestamp > 1000 AND timestamp < 1100 AND offset > 105'),
    ('timestamp = ''1500'' AND offset > 1'),
    ('EXISTS (SELECT 1 FROM source WHERE n = offset AND n % 10 = 3)'), ('offset % 10 = 0'),
    ('offset = (SELECT max(n) FROM source WHERE n < 200)'), ('offset > (SELECT NULL)'),
    ('CASE WHEN offset > 100 THEN key END = ''key-104'''), ('typeof(offset) = ''integer'''),
    ('typeof(timestamp) <> ''integer'''), ('offset COLLATE NOCASE = ''100'''),
    ('likely(offset = 100)'),
    ('offset = 100 COLLATE NOCASE'), ('offset = CAST(''100'' AS BLOB)'), ('offset = json(''100'')'),
    ('timestamp = 1500.0'), ('timestamp > 1500.5 AND timestamp <= 1510.0'), ('headers = 12'),
    ('headers > 5'), ('value = 12 AND offset >= 100'), ('offset < 9223372036854775807 + 1');
DELETE FROM predicates WHERE p GLOB '*MATCH*';
-- a column compared with another of the same row, which SQLite does not offer to the log
CREATE TEMP TABLE first_inner AS SELECT max(n) + 1 AS n FROM predicates;
INSERT INTO predicates(p)
SELECT a || op || b FROM (SELECT 'offset' AS a UNION ALL SELECT 'rowid' UNION ALL SELECT 'timestamp'
        UNION ALL SELECT 'key' UNION ALL SELECT 'value' UNION ALL SELECT 'headers'),
    (SELECT ' = ' AS op UNION ALL SELECT ' < ' UNION ALL SELECT ' >= ' UNION ALL SELECT ' IS '),
    (SELECT 'offset' AS b UNION ALL SELECT 'key' UNION ALL SELECT 'value'
        UNION ALL SELECT 'timestamp - 10' UNION ALL SELECT 'length(value)');
SELECT count(*) > 4000 FROM predicates;

-- LIMIT and OFFSET; an order of its own makes each well-defined
CREATE TEMP TABLE tails(n INTEGER PRIMARY KEY, tail);
INSERT INTO tails(tail) VALUES ('ORDER BY offset'), ('ORDER BY offset DESC'),
    ('ORDER BY offset LIMIT 7'), ('ORDER BY offset DESC LIMIT 7'),
    ('ORDER BY offset LIMIT 5 OFFSET 3'),
    ('ORDER BY offset DESC LIMIT 5 OFFSET 3'), ('ORDER BY rowid DESC LIMIT 3 OFFSET 250'),
    ('ORDER BY rowid LIMIT -1 OFFSET 270'), ('ORDER BY offset LIMIT 0'),
    ('ORDER BY offset LIMIT 4 OFFSET -2'),
    ('ORDER BY offset LIMIT 1000 OFFSET 1000'), ('ORDER BY timestamp, offset LIMIT 9'),
    ('ORDER BY timestamp DESC, offset DESC LIMIT 9 OFFSET 2'),
    ('ORDER BY key, value, offset LIMIT 20'),
    ('ORDER BY offset, timestamp DESC LIMIT 6'), ('ORDER BY offset DESC, key LIMIT 6 OFFSET 1'),
    ('ORDER BY -offset LIMIT 6'), ('LIMIT 5'), ('LIMIT 5 OFFSET 40'), ('');

CREATE TEMP TABLE outcome(what, same, row_count);
.output matrix.sql
SELECT 'DELETE FROM outcome; SAVEPOINT matrix;';
SELECT replace(replace('INSERT INTO outcome SELECT ' || quote(p || ' ' || tail) || ',
(SELECT group_concat(quote(offset) || quote(timestamp) || quote(key) || quote(value) || quote(headers), char(10))
 FROM (SELECT * FROM x WHERE @p @t)) IS
(SELECT group_concat(quote(offset) || quote(timestamp) || quote(key) || quote(value) || quote(headers), char(10))
 FROM (SELECT * FROM t WHERE @p @t)),
(SELECT count(*) FROM (SELECT 1 FROM x WHERE @p @t));', '@p', p), '@t', tail)
FROM predicates p, tails t
WHERE (p.n % 20 = t.n - 1 OR (p.n + 7) % 20 = t.n - 1 OR p GLOB '[01N]*' AND length(p) < 5
    OR p.n >= (SELECT n FROM first_inner) AND t.n % 3 = p.n % 3);
-- the aggregates: each alone, which is a seek, and together
SELECT replace(replace('INSERT INTO outcome SELECT ' || quote(a || ' of ' || p) || ',
(SELECT quote(@a) FROM x WHERE @p) IS (SELECT quote(@a) FROM t WHERE @p),
(SELECT count(*) FROM x WHERE @p);', '@p', p), '@a', a)
FROM predicates p, (SELECT 0 AS n, 'min(offset)' AS a UNION ALL SELECT 1, 'max(offset)'
    UNION ALL SELECT 2, 'max(rowid)' UNION ALL SELECT 3, 'count(*)' UNION ALL
    SELECT 4, 'sum(offset)'
    UNION ALL SELECT 5, 'max(value)' UNION ALL SELECT 6, 'min(timestamp)' UNION ALL
    SELECT 7, 'max(timestamp)'
    UNION ALL SELECT 8, 'count(value)' UNION ALL SELECT 9, 'min(offset) || '','' || max(offset)'
    UNION ALL SELECT 10, 'total(timestamp)' UNION ALL SELECT 11, 'count(DISTINCT value)') a
WHERE p.n % 12 = a.n OR (p.n * 5 + 3) % 12 = a.n;
SELECT 'RELEASE matrix;';
.output
.read matrix.sql
CREATE TEMP VIEW verdict AS SELECT count(*) > 15000 AS many, sum(NOT same) AS different,
    sum(row_count > 0) * 4 > count(*) AS many_with_rows, sum(row_count = 0) * 10 > count(*)
    AS many_without
    FROM outcome;
.print -- the matrix: differences, and whether it asked for anything
SELECT * FROM verdict;
SELECT what, row_count FROM outcome WHERE NOT same LIMIT 40;

.print -- again with rows of the open transaction, staged and after a flush
BEGIN;
INSERT INTO x(timestamp, key, value, headers)
SELECT stamp, key, value, headers FROM source WHERE n BETWEEN 300 AND 311 ORDER BY n;
INSERT INTO x(x) VALUES ('flush');
INSERT INTO x(timestamp, key, value, headers)
SELECT stamp, key, value, headers FROM source WHERE n >= 312 ORDER BY n;
INSERT INTO t SELECT n, stamp, key, value, headers FROM source WHERE n >= 300 ORDER BY n;
.read matrix.sql
SELECT * FROM verdict;
SELECT what, row_count FROM outcome WHERE NOT same LIMIT 40;
COMMIT;

.print -- constants as bound parameters
.parameter init
.parameter set @integer 100
.parameter set @text "'100'"
.parameter set @real 100.5
.parameter set @blob "x'00'"
.parameter set @word "'abc'"
.parameter set @null NULL
.parameter set @huge 1e300
.parameter set @n 5
SELECT (SELECT count(*) FROM x WHERE offset = @integer), (SELECT count(*) FROM t WHERE offset
    = @integer);
SELECT (SELECT count(*) FROM x WHERE offset = @text), (SELECT count(*) FROM t WHERE offset = @text);
SELECT (SELECT count(*) FROM x WHERE offset >= @real), (SELECT count(*) FROM t
    WHERE offset >= @real);
SELECT (SELECT count(*) FROM x WHERE offset < @blob), (SELECT count(*) FROM t WHERE offset < @blob);
SELECT (SELECT count(*) FROM x WHERE offset < @word), (SELECT count(*) FROM t WHERE offset < @word);
SELECT (SELECT count(*) FROM x WHERE offset > @null), (SELECT count(*) FROM t WHERE offset > @null);
SELECT (SELECT count(*) FROM x WHERE offset IS @null), (SELECT count(*) FROM t WHERE offset
    IS @null);
SELECT (SELECT count(*) FROM x WHERE offset < @huge), (SELECT count(*) FROM t WHERE offset < @huge);
SELECT (SELECT count(*) FROM x WHERE timestamp < @text), (SELECT count(*) FROM t
    WHERE timestamp < @text);
SELECT (SELECT count(*) FROM x WHERE timestamp > @real), (SELECT count(*) FROM t
    WHERE timestamp > @real);
.print -- LIMIT and OFFSET as parameters
SELECT (SELECT group_concat(offset) FROM (SELECT offset FROM x LIMIT @n OFFSET @integer)) IS
    (SELECT group_concat(offset) FROM (SELECT offset FROM t LIMIT @n OFFSET @integer));
SELECT group_concat(offset) FROM (SELECT offset FROM x ORDER BY offset DESC
    LIMIT 4 OFFSET @integer);

.print -- joins: log and table, table and log, log and log; values of every type on the other side
CREATE TABLE probes(n INTEGER PRIMARY KEY, v);
INSERT INTO probes(v) VALUES (100), ('100'), (100.0), (100.5), ('100.5'), (x'313030'), (NULL), (''),
    ('abc'), (-1), (19), (20), (323), (324), (9223372036854775807), (1e300), (x''), (100),
    (' 101 ');
CREATE TABLE probes_i(n INTEGER PRIMARY KEY, v INTEGER);
INSERT INTO probes_i SELECT * FROM probes;
CREATE TABLE probes_t(n INTEGER PRIMARY KEY, v TEXT);
INSERT INTO probes_t SELECT * FROM probes;
.output joins.sql
WITH kinds(k) AS (VALUES ('JOIN'), ('LEFT JOIN')), others(o)
    AS (VALUES ('probes'), ('probes_i'), ('probes_t')),
ops(op) AS (VALUES ('='), ('<'), ('>='), ('IS')), cols(c)
    AS (VALUES ('offset'), ('timestamp'), ('rowid'))
SELECT replace(replace(replace(replace('
INSERT INTO outcome SELECT ''@o @k x ON x.@c @op v'',
(SELECT group_concat(a || '':'' || b) FROM
    (SELECT p.n AS a, ifnull(x.offset, -9) AS b FROM @o p @k x ON x.@c @op p.v ORDER BY 1, 2)) IS
(SELECT group_concat(a || '':'' || b) FROM
    (SELECT p.n AS a, ifnull(t.offset, -9) AS b FROM @o p @k t ON t.@c @op p.v ORDER BY 1, 2)),
(SELECT count(*) FROM @o p @k x ON x.@c @op p.v);', '@op', op), '@o', o), '@k', k), '@c', c)
FROM kinds, others, ops, cols;
.output
DELETE FROM outcome;
.read joins.sql
SELECT count(*), sum(NOT same) AS different, sum(row_count > 0) > 50 AS many_with_rows FROM outcome;
SELECT what, row_count FROM outcome WHERE NOT same LIMIT 40;
SELECT p.n, quote(v), offset FROM probes p LEFT JOIN x ON x.offset = p.v;
SELECT p.n, quote(v), offset FROM probes p LEFT JOIN t ON t.offset = p.v;
SELECT count(*), sum(x.key IS t.key AND x.value IS t.value AND x.headers IS t.headers
    AND x.timestamp = t.timestamp) FROM x JOIN t USING (offset);
SELECT count(*) FROM t JOIN x ON x.rowid = t.rowid;
SELECT count(*) FROM x a JOIN x b ON b.offset = a.offset + 1;
SELECT count(*) FROM t a JOIN t b ON b.offset = a.offset + 1;
SELECT a.offset, b.offset FROM x a JOIN x b ON b.key = a.key AND b.offset > a.offset
WHERE a.offset < 40 ORDER BY 1, 2 LIMIT 5;
SELECT a.offset, b.offset FROM t a JOIN t b ON b.key = a.key AND b.offset > a.offset
WHERE a.offset < 40 ORDER BY 1, 2 LIMIT 5;
SELECT count(*) FROM x NATURAL JOIN t;
SELECT count(*) FROM t WHERE offset NOT IN (SELECT offset FROM x);
SELECT count(*) FROM t WHERE NOT EXISTS (SELECT 1 FROM x WHERE x.offset = t.offset AND x.value
    IS t.value);
SELECT count(*) FROM (SELECT * FROM x EXCEPT SELECT * FROM t);
SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM x);

.print -- windows, CTEs, compound selects, views, correlated subqueries
SELECT group_concat(d) FROM (SELECT DISTINCT offset - lag(offset) OVER (ORDER BY offset) AS d
    FROM x);
SELECT (SELECT group_concat(r) FROM (SELECT row_number() OVER (PARTITION BY value ORDER BY offset)
    AS r FROM x ORDER BY offset)) IS
    (SELECT group_concat(r) FROM (SELECT row_number() OVER (PARTITION BY value ORDER BY offset) AS r
    FROM t ORDER BY offset));
WITH RECURSIVE walk(o) AS (SELECT min(offset) FROM x UNION ALL
    SELECT (SELECT offset FROM x WHERE offset > o + 49 ORDER BY offset LIMIT 1) FROM walk WHERE o
    IS NOT NULL)
SELECT group_concat(o) FROM walk;
CREATE VIEW recent AS SELECT * FROM x ORDER BY offset DESC LIMIT 3;
SELECT offset FROM recent;
SELECT offset FROM recent WHERE offset < 323;
SELECT (SELECT count(*) FROM x b WHERE b.offset < a.offset) FROM x a
    WHERE a.offset IN (20, 21, 323);
SELECT offset FROM x WHERE offset < 22 UNION ALL SELECT offset FROM x WHERE offset > 321
    ORDER BY 1 DESC;
SELECT value, count(*), min(offset), max(offset) FROM x WHERE value IS NOT NULL
    AND length(value) < 3 GROUP BY value;
SELECT value, count(*), min(offset), max(offset) FROM t WHERE value IS NOT NULL
    AND length(value) < 3 GROUP BY value;
.print -- bare columns beside max: the row that has it
SELECT quote(value), max(timestamp), offset FROM x;
SELECT quote(value), max(timestamp), offset FROM t;
SELECT key, min(timestamp), offset FROM x WHERE offset > 100;
SELECT key, min(timestamp), offset FROM t WHERE offset > 100;
SELECT key, max(offset), quote(value) FROM x;
SELECT key, max(offset), quote(value) FROM t;

.print -- hidden columns: segment is a base offset, position grows within it, size is what lies between
SELECT count(*), sum(typeof(segment) = 'integer' AND typeof(position) = 'integer' AND typeof(size)
    = 'integer'
    AND segment <= offset AND position > 0 AND size > 0) FROM x;
SELECT count(*) FROM x WHERE segment NOT IN (SELECT base_offset FROM commitlog_segments('x'));
SELECT count(*) > 100, sum(b.position >= a.position + a.size) = count(*)
FROM x a JOIN x b ON b.offset = a.offset + 1 AND b.segment = a.segment;
SELECT count(*) FROM x a JOIN x b ON b.offset = a.offset + 1 WHERE b.segment <> a.segment
    AND b.segment <> b.offset;
SELECT sum(n) FROM (SELECT count(*) AS n FROM x GROUP BY segment);
SELECT count(*) FROM x WHERE size < ifnull(length(CAST(key
    AS BLOB)), 0) * (typeof(key) IN ('text', 'blob'))
    + ifnull(length(value), 0) * (typeof(value) IN ('text', 'blob')) + ifnull(length(headers), 0);
SELECT rowid = offset, oid = offset, _rowid_ = offset FROM x WHERE offset = 100;
SELECT x FROM x WHERE offset = 100;
.print -- they are not in SELECT *
SELECT * FROM x WHERE offset = 100;
SELECT * FROM t WHERE offset = 100;

.print -- an empty log; a log of which everything has been deleted
CREATE VIRTUAL TABLE e USING commitlog;
SELECT count(*), min(offset), max(offset), max(value) FROM e;
SELECT * FROM e ORDER BY offset DESC LIMIT 1;
SELECT * FROM e WHERE offset = 0;
SELECT * FROM e WHERE timestamp > 0 ORDER BY timestamp LIMIT 1 OFFSET 1;
INSERT INTO e(value) VALUES ('a'), ('b');
DELETE FROM e;
SELECT count(*), min(offset), max(offset), max(value) FROM e;
SELECT * FROM e WHERE offset >= 0 ORDER BY offset DESC;
INSERT INTO e(value) VALUES ('c');
SELECT offset, value FROM e;

.print -- an open SELECT keeps the end it started with
INSERT INTO e(value) SELECT value FROM generate_series(1, 10);
INSERT INTO e(value) SELECT 'copy' FROM e;
SELECT count(*) FROM e;
