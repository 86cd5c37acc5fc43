-- EXPLAIN QUERY PLAN: the plan in words, and no sorter ("USE TEMP B-TREE") where the log is in
-- order already. A plan that loses its seek or gains a sorter shows here and nowhere else: the
-- rows would be right.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096);
CREATE TABLE t(id INTEGER PRIMARY KEY, pos, v);
INSERT INTO x(timestamp, key, value) SELECT value, value % 7, printf('%.*c', 100, 'v')
    FROM generate_series(1, 500);
INSERT INTO t SELECT value, value * 2, 'v' FROM generate_series(1, 20);

.print -- full scan, columns and count
EXPLAIN QUERY PLAN SELECT * FROM x;
EXPLAIN QUERY PLAN SELECT count(*) FROM x;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE value = 'v';
EXPLAIN QUERY PLAN SELECT * FROM x WHERE key LIKE 'a%';

.print -- offset and rowid
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset = 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE rowid = 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset < 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset <= 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset > 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset >= 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE 5 < offset;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset BETWEEN 5 AND 9;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE rowid > 5 AND rowid < 9;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset IN (5, 6, 7);
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset IN (SELECT pos FROM t);
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset IS NULL;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset IS 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset = 5 OR offset = 9;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset = '12';
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset > x'00';

.print -- timestamp
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp = 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp >= 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp < 5;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp BETWEEN 5 AND 9;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp > 5 AND offset < 100;
EXPLAIN QUERY PLAN SELECT value, count(*) FROM x WHERE timestamp >= 400 GROUP BY 1;

.print -- ORDER BY offset and rowid, either way: no sorter
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY offset;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY offset ASC;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY offset DESC;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY rowid;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY rowid DESC;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY offset DESC LIMIT 10;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset >= 5 ORDER BY offset;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset >= 5 ORDER BY offset DESC;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset BETWEEN 5 AND 50 ORDER BY offset DESC;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp >= 5 ORDER BY offset;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE timestamp >= 5 ORDER BY offset DESC LIMIT 3;
EXPLAIN QUERY PLAN SELECT * FROM x WHERE value = 'v' ORDER BY offset DESC;
EXPLAIN QUERY PLAN SELECT offset, count(*) FROM x GROUP BY offset;
.print -- ... the rows are in that order
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE offset IN (9, 5, 7, 5, 600, -1)
    ORDER BY offset);
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE offset IN (9, 5, 7, 5, 600, -1)
    ORDER BY offset DESC);
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE offset BETWEEN 30 AND 50
    ORDER BY offset DESC);
SELECT count(*), count(DISTINCT offset) FROM (SELECT DISTINCT offset FROM x);
.print -- other orders need one, and by SQLite's rules these: IN, DISTINCT
EXPLAIN QUERY PLAN SELECT * FROM x WHERE offset IN (9, 5) ORDER BY offset;
EXPLAIN QUERY PLAN SELECT DISTINCT offset FROM x;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY timestamp;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY key;
EXPLAIN QUERY PLAN SELECT * FROM x ORDER BY key, offset;

.print -- OFFSET
SELECT group_concat(offset) FROM (SELECT offset FROM x LIMIT 3 OFFSET 400);
SELECT group_concat(offset) FROM (SELECT offset FROM x ORDER BY offset DESC LIMIT 3 OFFSET 400);
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE offset > 10 LIMIT 3 OFFSET 400);
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE timestamp > 10 LIMIT 3 OFFSET 400);
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE key = 3 LIMIT 3 OFFSET 40);
SELECT group_concat(offset) FROM (SELECT offset FROM x WHERE offset IN (1, 2, 3, 4, 5)
    LIMIT 2 OFFSET 2);
SELECT group_concat(offset) FROM (SELECT DISTINCT offset FROM x LIMIT 2 OFFSET 2);
SELECT group_concat(key) FROM (SELECT DISTINCT key FROM x ORDER BY key LIMIT 2 OFFSET 2);
SELECT group_concat(offset) FROM (SELECT x.offset FROM x JOIN t ON t.pos = x.offset
    LIMIT 2 OFFSET 2);
SELECT group_concat(offset) FROM (SELECT x.offset FROM t JOIN x ON x.offset = t.pos
    LIMIT 2 OFFSET 2);
SELECT group_concat(offset) FROM (SELECT offset FROM x UNION ALL SELECT pos FROM t
    LIMIT 2 OFFSET 499);

.print -- min and max of offset, each alone: a seek
EXPLAIN QUERY PLAN SELECT min(offset) FROM x;
EXPLAIN QUERY PLAN SELECT max(offset) FROM x;
EXPLAIN QUERY PLAN SELECT max(rowid) FROM x;
EXPLAIN QUERY PLAN SELECT max(offset) FROM x WHERE offset < 100;
EXPLAIN QUERY PLAN SELECT min(offset) FROM x WHERE timestamp > 400;
SELECT min(offset) FROM x;
SELECT max(offset) FROM x;
SELECT max(offset) FROM x WHERE offset < 100;

.print -- joins on offset: the log inside, sought once a row
EXPLAIN QUERY PLAN SELECT * FROM t JOIN x ON x.offset = t.pos;
EXPLAIN QUERY PLAN SELECT * FROM x JOIN t ON x.offset = t.pos;
EXPLAIN QUERY PLAN SELECT * FROM t LEFT JOIN x ON x.rowid = t.pos;
EXPLAIN QUERY PLAN SELECT * FROM x a JOIN x b ON b.offset = a.offset + 1;
EXPLAIN QUERY PLAN SELECT * FROM x a JOIN x b USING (offset) ORDER BY a.offset;
EXPLAIN QUERY PLAN SELECT (SELECT value FROM x WHERE offset = pos) FROM t;
.print -- ... and a table by its own key from the log
EXPLAIN QUERY PLAN SELECT * FROM x JOIN t ON t.id = x.offset WHERE x.offset >= 490;

.print -- DELETE, from the head
EXPLAIN QUERY PLAN DELETE FROM x WHERE offset < 10;
EXPLAIN QUERY PLAN DELETE FROM x;

.print -- segments
EXPLAIN QUERY PLAN SELECT * FROM commitlog_segments('x');
