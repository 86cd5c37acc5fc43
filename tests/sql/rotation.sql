-- Rotation is invisible: by size, by age, on command, in and out of transactions; records larger
-- than a segment; 10,000 segments that scan, seek, reopen and append with few descriptors and
-- mappings. An ordinary table holds the same rows. Counts descriptors and mappings where the
-- system has /proc.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes='4KiB');
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);
CREATE VIEW agree AS SELECT (SELECT count(*) FROM x) AS n,
    (SELECT count(*) FROM (SELECT * FROM x EXCEPT SELECT * FROM t)) +
    (SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM x)) AS different;

.print -- an empty log has no segments; the first record makes one
SELECT count(*) FROM commitlog_segments('x');
INSERT INTO x(timestamp, value) VALUES (7, 'first');
INSERT INTO t VALUES (0, 7, NULL, 'first', NULL);
SELECT base_offset, records, bytes > 0, first_timestamp, last_timestamp, state,
    file GLOB '*/test.db-commitlog/*/00000000000000000000.log' AND substr(file, 1, 1) = '/'
FROM commitlog_segments('x');
.shell ls test.db-commitlog/*/00000000000000000000.log | sed 's,.*/,,'

.print -- rows spread over segments, and nothing shows
INSERT INTO x(timestamp, key, value) SELECT 1000
    + value, value, printf('%.*c', value * 7 % 600, 'r') FROM generate_series(1, 200);
INSERT INTO t SELECT value, 1000 + value, value, printf('%.*c', value * 7 % 600, 'r'), NULL
    FROM generate_series(1, 200);
SELECT * FROM agree;
SELECT count(*) BETWEEN 10 AND 30, sum(records), max(bytes) <= 4096 FROM commitlog_segments('x');
.print -- segments follow on each other; all but the last are sealed; files are named by base offset
SELECT count(*) FROM commitlog_segments('x') a JOIN commitlog_segments('x') b
ON b.base_offset = a.base_offset + a.records WHERE a.last_timestamp < b.first_timestamp;
SELECT state, count(*) > 5, count(*) FROM commitlog_segments('x') GROUP BY 1 HAVING state
    = 'active';
SELECT DISTINCT state FROM commitlog_segments('x') ORDER BY base_offset DESC;
SELECT state FROM commitlog_segments('x') WHERE base_offset = (SELECT max(base_offset)
    FROM commitlog_segments('x'));
SELECT count(*) FROM commitlog_segments('x') WHERE substr(file, -24) <> printf('%020d.log',
    base_offset);
SELECT (SELECT count(*) FROM commitlog_segments('x')) = count(DISTINCT segment) FROM x;
SELECT count(*) FROM (SELECT segment, count(*) AS n, min(timestamp) AS a, max(timestamp)
    AS b, max(position + size) AS e FROM x GROUP BY segment)
JOIN commitlog_segments('x') ON base_offset = segment
WHERE n <> records OR a <> first_timestamp OR b <> last_timestamp OR e > bytes;
.print -- seeks on both sides of every boundary
SELECT count(*) FROM commitlog_segments('x') s JOIN x
    ON x.offset IN (s.base_offset - 1, s.base_offset)
JOIN t ON t.offset = x.offset WHERE x.value IS t.value AND x.timestamp = t.timestamp;
SELECT 2 * count(*) - 1 = (SELECT count(*) FROM commitlog_segments('x') s JOIN x
    ON x.offset IN (s.base_offset - 1, s.base_offset))
FROM commitlog_segments('x');

.print -- rotate: the next record starts a segment; twice is once; of an empty log nothing
CREATE TEMP TABLE before AS SELECT count(*) AS n FROM commitlog_segments('x');
INSERT INTO x(x) VALUES ('rotate');
SELECT state FROM commitlog_segments('x') ORDER BY base_offset DESC LIMIT 1;
INSERT INTO x(x) VALUES ('rotate');
INSERT INTO x(timestamp, value) VALUES (2000, 'after rotate');
INSERT INTO t VALUES (201, 2000, NULL, 'after rotate', NULL);
SELECT count(*) - (SELECT n FROM before) FROM commitlog_segments('x');
SELECT segment FROM x WHERE offset = 201;
SELECT * FROM agree;
CREATE VIRTUAL TABLE empty USING commitlog;
INSERT INTO empty(empty) VALUES ('rotate');
INSERT INTO empty(empty) VALUES ('rotate');
INSERT INTO empty(empty) VALUES ('flush');
INSERT INTO empty(value) VALUES ('x');
SELECT base_offset, records FROM commitlog_segments('empty');

.print -- rotate inside a transaction, between own records; rolled back; to a savepoint
BEGIN;
INSERT INTO x(timestamp, value) VALUES (2001, 'a');
INSERT INTO x(x) VALUES ('rotate');
INSERT INTO x(timestamp, value) VALUES (2002, 'b');
SELECT offset, value FROM x WHERE offset > 200;
ROLLBACK;
SELECT * FROM agree;
BEGIN;
INSERT INTO x(timestamp, value) VALUES (2001, 'a');
INSERT INTO x(x) VALUES ('rotate');
SAVEPOINT s;
INSERT INTO x(timestamp, value) VALUES (2002, 'gone');
INSERT INTO x(x) VALUES ('rotate');
INSERT INTO x(timestamp, value) VALUES (2003, 'gone');
ROLLBACK TO s;
INSERT INTO x(timestamp, value) VALUES (2002, 'b');
COMMIT;
INSERT INTO t VALUES (202, 2001, NULL, 'a', NULL), (203, 2002, NULL, 'b', NULL);
SELECT * FROM agree;
SELECT offset, value, segment FROM x WHERE offset > 200;

.print -- flush writes what is staged, inside a transaction; rolled back it is gone
BEGIN;
INSERT INTO x(timestamp, value) VALUES (3000, 'flushed');
INSERT INTO x(x) VALUES ('flush');
SELECT offset, value FROM x WHERE offset > 203;
ROLLBACK;
SELECT * FROM agree;
INSERT INTO x(timestamp, value) VALUES (3001, 'after');
INSERT INTO t VALUES (204, 3001, NULL, 'after', NULL);
SELECT * FROM agree;

.print -- a record larger than a segment has one of its own; those around it do not mind
INSERT INTO x(timestamp, value) VALUES (4000, 'small'), (4001, printf('%.*c', 100000, 'L')), (4002,
    'small'),
    (4003, zeroblob(5000000)), (4004, zeroblob(4096)), (4005, 'small');
INSERT INTO t(timestamp, value) VALUES (4000, 'small'), (4001, printf('%.*c', 100000, 'L')), (4002,
    'small'),
    (4003, zeroblob(5000000)), (4004, zeroblob(4096)), (4005, 'small');
SELECT * FROM agree;
SELECT offset, length(value), segment = offset FROM x WHERE offset > 204;
SELECT records FROM commitlog_segments('x') WHERE bytes > 4096;

.print -- by age: a segment older than segment_ms takes no more
CREATE VIRTUAL TABLE aged USING commitlog(segment_ms='1ms');
CREATE VIRTUAL TABLE ageless USING commitlog(segment_ms='1d');
INSERT INTO aged(value) VALUES ('a');
INSERT INTO ageless(value) VALUES ('a');
WITH RECURSIVE wait(n, until) AS (SELECT 0, julianday('now') * 86400000 + 20
    UNION ALL SELECT n + 1, until FROM wait WHERE (SELECT random() IS NOT NULL) AND n < 200000)
SELECT count(*) > 0 FROM wait;
INSERT INTO aged(value) VALUES ('b');
INSERT INTO ageless(value) VALUES ('b');
SELECT base_offset, records FROM commitlog_segments('aged');
SELECT base_offset, records FROM commitlog_segments('ageless');
SELECT offset, value FROM aged;

.print -- opened again: the same segments, and the last one is still appended to
CREATE TABLE known AS SELECT * FROM commitlog_segments('x');
.open test.db
.load ./commitlog
SELECT * FROM agree;
SELECT count(*) FROM (SELECT * FROM commitlog_segments('x') EXCEPT SELECT * FROM known);
INSERT INTO x(timestamp, value) VALUES (5000, 'reopened');
INSERT INTO t(timestamp, value) VALUES (5000, 'reopened');
SELECT * FROM agree;
SELECT count(*) - (SELECT count(*) FROM known) FROM commitlog_segments('x');

.print -- 10,000 segments
PRAGMA synchronous = OFF;
CREATE VIRTUAL TABLE many USING commitlog(segment_bytes=4096);
CREATE TABLE many_t(offset INTEGER PRIMARY KEY, timestamp INTEGER, value);
INSERT INTO many_t SELECT value - 1, value, printf('%05d', 10001 - value) || printf('%.*c', 2500
    + value % 3, 'm') FROM generate_series(1, 10000);
INSERT INTO many(timestamp, value) SELECT timestamp, value FROM many_t ORDER BY offset;
CREATE VIEW many_agree AS SELECT (SELECT count(*) FROM many) AS n,
    (SELECT count(*) FROM many x JOIN many_t t USING (offset) WHERE x.value = t.value
    AND x.timestamp = t.timestamp) AS same;
SELECT count(*), max(records) FROM commitlog_segments('many');
.print -- scan, seek, both ends, aggregates whose values outlive their rows
SELECT * FROM many_agree;
SELECT min(offset) FROM many;
SELECT max(offset) FROM many;
SELECT (SELECT max(value) FROM many) = (SELECT max(value)
    FROM many_t), (SELECT substr(max(value), 1, 8) FROM many);
SELECT (SELECT min(value) FROM many) = (SELECT min(value)
    FROM many_t), (SELECT substr(min(value), 1, 8) FROM many);
SELECT substr(value, 1, 8), max(timestamp) FROM many;
SELECT substr(value, 1, 8), min(timestamp) FROM many;
SELECT substr(value, 1, 8), max(timestamp) FROM many WHERE offset % 3 = 0 GROUP BY offset / 2500;
SELECT substr(value, 1, 8), max(timestamp) FROM many_t WHERE offset % 3 = 0 GROUP BY offset / 2500;
SELECT group_concat(offset) FROM (SELECT offset FROM many ORDER BY offset DESC LIMIT 3 OFFSET 5000);
SELECT offset, timestamp FROM many WHERE timestamp BETWEEN 7000 AND 7002;
SELECT count(*) FROM many WHERE offset IN (0, 1, 4999, 5000, 9998, 9999, 10000);
SELECT length(group_concat(value, '')) = (SELECT length(group_concat(value, '')) FROM many_t)
    FROM many;
.print -- few descriptors, few mappings once no statement runs
.shell p=/proc/$PPID; if [ -d $p/fd ]; then n=$(ls -l $p/fd | grep -c commitlog/); else n=0; fi; if [ $n -le 50 ]; then echo few descriptors; else echo $n descriptors; fi
.shell p=/proc/$PPID; if [ -r $p/maps ]; then n=$(grep -c 'commitlog/' $p/maps); else n=0; fi; if [ $n -le 300 ]; then echo few mappings; else echo $n mappings; fi
.print -- opened again and appended to
.open test.db
.load ./commitlog
PRAGMA synchronous = OFF;
SELECT max(offset) FROM many;
INSERT INTO many(timestamp, value) VALUES (10001, 'appended');
INSERT INTO many_t VALUES (10000, 10001, 'appended');
SELECT * FROM many_agree;
SELECT offset, substr(value, 1, 8) FROM many WHERE offset >= 9998;
.shell p=/proc/$PPID; if [ -d $p/fd ]; then n=$(ls -l $p/fd | grep -c commitlog/); else n=0; fi; if [ $n -le 50 ]; then echo few descriptors; else echo $n descriptors; fi
.print -- trimmed by segments
INSERT INTO many(many, offset) VALUES ('delete-records', 9990);
SELECT count(*), min(offset) FROM many;
SELECT count(*) FROM commitlog_segments('many');
