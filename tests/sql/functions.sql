-- The functions: commitlog_append, commitlog_version, commitlog_segments; names of logs and how
-- they resolve; bad arguments; direct calls only for those that change something.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog;
CREATE TABLE t(v);
CREATE VIEW v AS SELECT 1 AS one;

.print -- commitlog_version
SELECT typeof(commitlog_version()), commitlog_version() GLOB '[0-9]*.[0-9]*.[0-9]*';
SELECT commitlog_version(1);

.print -- commitlog_append returns the offset, appends key and value of every type
SELECT commitlog_append('x', 'k', 'v');
SELECT commitlog_append('main.x', NULL, NULL);
SELECT commitlog_append('x', 1, 1.5);
SELECT commitlog_append('x', x'00ff', '');
SELECT commitlog_append('X', 'name in capitals', 'v');
SELECT offset, quote(key), quote(value), headers, abs(timestamp - unixepoch() * 1000) < 60000
    FROM x;
SELECT last_insert_rowid();
.print -- more arguments, as INSERT's columns go: or refused
SELECT commitlog_append('x');
SELECT commitlog_append('x', 'k');
SELECT commitlog_append();
SELECT commitlog_append('x', 'k', 'v', '{}', 1, 2, 3);
SELECT count(*) FROM x;

.print -- names that do not resolve
SELECT commitlog_append('nosuch', 'k', 'v');
SELECT commitlog_append('main.nosuch', 'k', 'v');
SELECT commitlog_append('nosuch.x', 'k', 'v');
SELECT commitlog_append('t', 'k', 'v');
SELECT commitlog_append('v', 'k', 'v');
SELECT commitlog_append('x_ledger', 'k', 'v');
SELECT commitlog_append('', 'k', 'v');
SELECT commitlog_append('.', 'k', 'v');
SELECT commitlog_append(NULL, 'k', 'v');
SELECT commitlog_append(1, 'k', 'v');
SELECT commitlog_append(x'78', 'k', 'v') IS NULL;
SELECT commitlog_append('x; DROP TABLE t', 'k', 'v');
SELECT commitlog_append('x''', 'k', 'v');
SELECT count(*) FROM t;

.print -- in a transaction, rolled back, committed; in a SELECT over many rows; own records are seen
BEGIN;
SELECT commitlog_append('x', 'gone', 'v');
ROLLBACK;
BEGIN;
SELECT commitlog_append('x', 'kept', value) FROM generate_series(1, 3);
SELECT count(*) FROM x WHERE key = 'kept';
SAVEPOINT s;
SELECT commitlog_append('x', 'gone', 'v');
ROLLBACK TO s;
COMMIT;
SELECT count(*), sum(key = 'kept'), sum(key = 'gone') FROM x;
.print -- outside one it commits each call
SELECT commitlog_append('x', 'each', value) FROM generate_series(1, 3);
SELECT offset, value FROM x WHERE key = 'each';
.print -- errors of the log come through: too big
CREATE VIRTUAL TABLE small USING commitlog(max_message_bytes='1KiB');
SELECT commitlog_append('small', 'k', zeroblob(2000));
SELECT count(*) FROM small;
.print -- inside INSERT ... SELECT, into an ordinary table: the offset is a value
INSERT INTO t SELECT commitlog_append('x', 'in t', 'v');
SELECT v = (SELECT max(offset) FROM x) FROM t;

.print -- which table a bare name means: temp before main before attached
ATTACH 'other.db' AS other;
CREATE VIRTUAL TABLE other.y USING commitlog;
CREATE VIRTUAL TABLE other.x USING commitlog;
SELECT commitlog_append('y', 'k', 'found in other');
SELECT commitlog_append('other.x', 'k', 'named');
SELECT commitlog_append('OTHER.Y', 'k', 'capitals');
SELECT 'other.y', offset, value FROM other.y UNION ALL SELECT 'other.x', offset, value FROM other.x;
CREATE VIRTUAL TABLE temp.x USING commitlog;
SELECT commitlog_append('x', 'k', 'temp');
SELECT commitlog_append('main.x', 'k', 'main');
SELECT 'temp.x', offset, value FROM temp.x UNION ALL SELECT 'main.x', offset, value FROM main.x
    WHERE value = 'main';
DROP TABLE temp.x;
.print -- names with dots, quotes and blanks
CREATE VIRTUAL TABLE "a.b" USING commitlog;
CREATE VIRTUAL TABLE "c d""'e" USING commitlog;
SELECT commitlog_append('main.a.b', 'k', 'dotted');
SELECT commitlog_append('c d"''e', 'k', 'quoted');
SELECT offset, value FROM "a.b" UNION ALL SELECT offset, value FROM "c d""'e";
SELECT base_offset, records FROM commitlog_segments('c d"''e');

.print -- direct calls only: refused in views, triggers, CHECK, indexes, generated columns, defaults
CREATE VIEW sneaky AS SELECT commitlog_append('x', 'sneaky', 'v');
SELECT * FROM sneaky;
CREATE TRIGGER sneaky_t AFTER INSERT ON t BEGIN SELECT commitlog_append('x', 'sneaky', 'v'); END;
INSERT INTO t VALUES (1);
DROP TRIGGER sneaky_t;
CREATE VIEW sneaky2 AS SELECT commitlog_adopt('x');
SELECT * FROM sneaky2;
CREATE TABLE sneaky3(a, b AS (commitlog_append('x', 'sneaky', 'v')));
CREATE INDEX sneaky4 ON t(commitlog_append('x', 'sneaky', 'v'));
CREATE TABLE sneaky5(a CHECK (commitlog_append('x', 'sneaky', 'v') > 0));
INSERT INTO sneaky5 VALUES (1);
CREATE TABLE sneaky6(a DEFAULT (commitlog_append('x', 'sneaky', 'v')), b);
.connection 1
.open test.db
.load ./commitlog
INSERT INTO sneaky6(b) VALUES (1);
SELECT * FROM sneaky;
.open :memory:
.connection 0
SELECT count(*) FROM x WHERE key = 'sneaky';
.print -- a TEMP trigger is the connection's own, and SQLite allows it; a CTE is a direct call
CREATE TEMP TRIGGER sneaky_temp AFTER INSERT ON t BEGIN
    SELECT commitlog_append('main.x', 'temp trigger', 'v'); END;
INSERT INTO t VALUES (1);
DROP TRIGGER sneaky_temp;
SELECT count(*) FROM x WHERE key = 'temp trigger';
WITH c AS (SELECT commitlog_append('main.x', 'cte', 'v') AS o) SELECT o = (SELECT max(offset)
    FROM main.x) FROM c;
.print -- reading is allowed in a view
CREATE VIEW segs AS SELECT base_offset, records, state FROM commitlog_segments('main.x');
SELECT * FROM segs;
CREATE VIEW tail AS SELECT offset, key FROM x ORDER BY offset DESC LIMIT 1;
SELECT key FROM tail;
.print -- under trusted_schema=OFF SQLite refuses the outbox trigger, and nothing is lost in silence
CREATE TABLE orders(id INTEGER PRIMARY KEY, v);
CREATE TRIGGER outbox AFTER INSERT ON orders BEGIN INSERT INTO x(key, value)
    VALUES ('order', new.v); END;
PRAGMA trusted_schema = OFF;
INSERT INTO orders(v) VALUES ('a');
INSERT OR IGNORE INTO orders(v) VALUES ('a');
INSERT INTO x(key, value) VALUES ('direct', 'v');
SELECT commitlog_append('x', 'direct', 'v') IS NOT NULL;
PRAGMA trusted_schema = ON;
INSERT INTO orders(v) VALUES ('b');
SELECT count(*) FROM orders;
SELECT key, value FROM x WHERE key IN ('order', 'direct');

.print -- commitlog_segments: columns, constraints, joins, arguments
SELECT name, type, hidden FROM pragma_table_xinfo('commitlog_segments');
CREATE VIRTUAL TABLE s USING commitlog(segment_bytes=4096);
INSERT INTO s(timestamp, value) SELECT 100 - value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 9);
SELECT base_offset, records, first_timestamp, last_timestamp, state FROM commitlog_segments('s');
SELECT base_offset, records FROM commitlog_segments('s') WHERE base_offset > 0;
SELECT base_offset FROM commitlog_segments('s') ORDER BY base_offset DESC LIMIT 1;
SELECT count(*) FROM commitlog_segments('s') WHERE state = 'active';
SELECT count(*) FROM commitlog_segments('s') a, commitlog_segments('s') b;
CREATE TABLE logs(name);
INSERT INTO logs VALUES ('s'), ('main.s'), ('other.y');
SELECT name, base_offset, records FROM logs, commitlog_segments(name) ORDER BY 1, 2;
SELECT count(*) FROM commitlog_segments('s') WHERE length(file) > 24 AND substr(file, 1, 1) = '/';
SELECT * FROM commitlog_segments('nosuch');
SELECT * FROM commitlog_segments('t');
SELECT * FROM commitlog_segments(NULL);
SELECT * FROM commitlog_segments;
SELECT * FROM commitlog_segments();
SELECT * FROM commitlog_segments('s', 1);
INSERT INTO commitlog_segments VALUES (1);
DELETE FROM commitlog_segments;
CREATE VIRTUAL TABLE mine USING commitlog_segments;
.print -- it sees the own transaction
BEGIN;
INSERT INTO s(timestamp, value) SELECT 100 + value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 9);
INSERT INTO s(s) VALUES ('flush');
SELECT sum(records) FROM commitlog_segments('s');
ROLLBACK;
SELECT sum(records) FROM commitlog_segments('s');
INSERT INTO s(s, offset) VALUES ('delete-records', 4);
SELECT base_offset, records FROM commitlog_segments('s');

.print -- loading the extension twice does no harm
.load ./commitlog
SELECT commitlog_append('x', 'loaded twice', 'v') IS NOT NULL;
SELECT key FROM x ORDER BY offset DESC LIMIT 1;
