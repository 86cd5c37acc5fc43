-- Retention and deletion: by bytes, age and records, at rotation and on command; delete-records;
-- DELETE from the head; all in transactions and savepoints; UPDATE refused. Files go (the delay is
-- 0 here) and offsets never start again. An ordinary table takes the same DELETEs.
.nullvalue NULL

.print -- nothing is deleted unasked: no option, old records, many bytes, rotate and trim
CREATE VIRTUAL TABLE keep USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
INSERT INTO keep(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
INSERT INTO keep(keep) VALUES ('rotate');
INSERT INTO keep(keep) VALUES ('trim');
SELECT count(*), min(offset) FROM keep;

.print -- by bytes, on command: whole segments go, oldest first, as long as the limit is still met without
CREATE VIRTUAL TABLE b USING commitlog(segment_bytes=4096, retention_bytes='20KiB',
    file_delete_delay_ms=0);
INSERT INTO b(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
INSERT INTO b(b) VALUES ('trim');
SELECT sum(bytes) >= 20480, sum(bytes) - 4096 < 20480, count(*) FROM commitlog_segments('b');
SELECT min(offset) > 0, max(offset), count(*) = max(offset) - min(offset) + 1, min(offset)
    = min(segment) FROM b;
.print -- at rotation, unasked
INSERT INTO b(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
SELECT sum(bytes) <= 20480 + 2 * 4096 FROM commitlog_segments('b');
SELECT max(offset) FROM b;
.print -- the files are gone
INSERT INTO b(value) VALUES ('one more commit');
.shell n=$(ls test.db-commitlog/*/*.log | wc -l); [ $n -le 45 ] && echo few files || echo $n files

.print -- by records
CREATE VIRTUAL TABLE r USING commitlog(segment_bytes=4096, retention_records=10,
    file_delete_delay_ms=0);
INSERT INTO r(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
INSERT INTO r(r) VALUES ('trim');
SELECT count(*) >= 10, count(*) - (SELECT records FROM commitlog_segments('r') ORDER BY base_offset
    LIMIT 1) < 10, max(offset) FROM r;
INSERT INTO r(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
SELECT count(*) BETWEEN 10 AND 17, max(offset) FROM r;
.print -- a log with fewer keeps all
CREATE VIRTUAL TABLE r2 USING commitlog(retention_records=10, retention_bytes='1GiB',
    retention_ms='1000d', file_delete_delay_ms=0);
INSERT INTO r2(value) SELECT value FROM generate_series(1, 9);
INSERT INTO r2(r2) VALUES ('rotate');
INSERT INTO r2(r2) VALUES ('trim');
SELECT count(*) FROM r2;

.print -- by age: a segment goes when its greatest timestamp is too old, and none after one that is not
CREATE VIRTUAL TABLE a USING commitlog(retention_ms='1h', file_delete_delay_ms=0);
INSERT INTO a(timestamp, value) VALUES (unixepoch() * 1000 - 7200000, 'old'),
    (unixepoch() * 1000 - 7100000, 'old');
INSERT INTO a(a) VALUES ('rotate');
INSERT INTO a(timestamp, value) VALUES (unixepoch() * 1000 - 7000000, 'old among new'),
    (unixepoch() * 1000 - 60000, 'new');
INSERT INTO a(a) VALUES ('rotate');
INSERT INTO a(timestamp, value) VALUES (unixepoch() * 1000 - 6900000, 'old behind new');
INSERT INTO a(a) VALUES ('rotate');
INSERT INTO a(value) VALUES ('now');
INSERT INTO a(a) VALUES ('trim');
SELECT offset, value FROM a;

.print -- trim and rotation in a transaction, and taken back
CREATE VIRTUAL TABLE back USING commitlog(segment_bytes=4096, retention_records=10,
    file_delete_delay_ms=0);
BEGIN;
INSERT INTO back(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 9);
COMMIT;
BEGIN;
INSERT INTO back(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(10, 60);
INSERT INTO back(back) VALUES ('flush');
INSERT INTO back(back) VALUES ('trim');
SELECT count(*) BETWEEN 10 AND 13, max(offset) FROM back;
ROLLBACK;
SELECT count(*), min(offset), max(offset), count(value) FROM back;
BEGIN;
SAVEPOINT s;
INSERT INTO back(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(10, 60);
INSERT INTO back(back) VALUES ('trim');
ROLLBACK TO s;
SELECT count(*), min(offset), max(offset), count(value) FROM back;
INSERT INTO back(value) VALUES ('x');
COMMIT;
SELECT count(*), min(offset), max(offset), count(value) FROM back;
.print -- trim before what is staged has a segment: the COMMIT makes good on it
BEGIN;
INSERT INTO back(timestamp, value)
    SELECT value, printf('%.*c', 1000, 'x') FROM generate_series(1, 60);
INSERT INTO back(back) VALUES ('trim');
COMMIT;
SELECT count(*) BETWEEN 10 AND 13, max(offset) FROM back;

.print -- delete-records: the head goes, within a segment too
CREATE VIRTUAL TABLE d USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
INSERT INTO d(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
INSERT INTO d(d, offset) VALUES ('delete-records', 50);
SELECT count(*), min(offset), max(offset) FROM d;
SELECT min(base_offset) <= 50, max(base_offset) > 90 FROM commitlog_segments('d');
SELECT offset FROM d WHERE offset < 52;
SELECT count(*) FROM d WHERE timestamp < 51;
.print -- below the start, and again: nothing happens
INSERT INTO d(d, offset) VALUES ('delete-records', 50);
INSERT INTO d(d, offset) VALUES ('delete-records', 10);
INSERT INTO d(d, offset) VALUES ('delete-records', 0);
SELECT count(*), min(offset) FROM d;
.print -- beyond the end, not an offset, none given
INSERT INTO d(d, offset) VALUES ('delete-records', 101);
INSERT INTO d(d, offset) VALUES ('delete-records', -2);
INSERT INTO d(d, offset) VALUES ('delete-records', 9223372036854775807);
INSERT INTO d(d, offset) VALUES ('delete-records', 'abc');
INSERT INTO d(d, offset) VALUES ('delete-records', 60.5);
INSERT INTO d(d, offset) VALUES ('delete-records', x'00');
INSERT INTO d(d, offset) VALUES ('delete-records', NULL);
INSERT INTO d(d) VALUES ('delete-records');
SELECT count(*), min(offset) FROM d;
.print -- '60' is 60
INSERT INTO d(d, offset) VALUES ('delete-records', '60');
SELECT count(*), min(offset) FROM d;
.print -- in a transaction, in savepoints, with INSERTs around
BEGIN;
INSERT INTO d(value) VALUES ('new');
INSERT INTO d(d, offset) VALUES ('delete-records', 70);
SELECT count(*), min(offset), max(offset) FROM d;
ROLLBACK;
SELECT count(*), min(offset), max(offset) FROM d;
BEGIN;
INSERT INTO d(d, offset) VALUES ('delete-records', 70);
SAVEPOINT s;
INSERT INTO d(d, offset) VALUES ('delete-records', 80);
SELECT min(offset) FROM d;
ROLLBACK TO s;
SELECT min(offset), count(*), count(value) FROM d;
COMMIT;
SELECT min(offset), count(*), count(value) FROM d;
.print -- all of it, with own uncommitted records; offsets go on
BEGIN;
INSERT INTO d(value) VALUES ('own'), ('own');
INSERT INTO d(d, offset) VALUES ('delete-records', 101);
SELECT offset, value FROM d;
COMMIT;
SELECT offset, value FROM d;
INSERT INTO d(d, offset) VALUES ('delete-records', 102);
SELECT count(*), min(offset), max(offset) FROM d;
INSERT INTO d(offset, value) VALUES (0, 'no');
INSERT INTO d(offset, value) VALUES (102, 'goes on');
SELECT offset, value FROM d;

.print -- commands: unknown, and arguments that mean nothing
INSERT INTO d(d) VALUES ('no such command');
INSERT INTO d(d) VALUES ('');
INSERT INTO d(d) VALUES (1);
INSERT INTO d(d) VALUES (x'00');
INSERT OR IGNORE INTO d(d) VALUES ('no such command');
INSERT INTO d(d, value) VALUES ('rotate', 'lost?');
INSERT INTO d(d, offset) VALUES ('rotate', 5);
INSERT INTO d(d, value) VALUES (NULL, 'no command: a record');
SELECT offset, value FROM d;

.print -- DELETE beside an ordinary table: <, <=, BETWEEN, =, value, IN, no WHERE; changes() is right
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);
INSERT INTO x(timestamp, value) SELECT value, printf('%.*c', 500, 'x') FROM generate_series(1, 200);
INSERT INTO t SELECT value - 1, value, NULL, printf('%.*c', 500, 'x'), NULL
    FROM generate_series(1, 200);
CREATE TEMP VIEW agree AS SELECT (SELECT count(*) FROM x) AS n, (SELECT min(offset) FROM x)
    AS first,
    (SELECT count(*) FROM (SELECT * FROM x EXCEPT SELECT * FROM t)) +
    (SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM x)) AS different;
DELETE FROM x WHERE offset < 10;
SELECT changes();
DELETE FROM t WHERE offset < 10;
SELECT changes();
SELECT * FROM agree;
DELETE FROM x WHERE offset <= 10;
SELECT changes();
DELETE FROM t WHERE offset <= 10;
SELECT * FROM agree;
DELETE FROM x WHERE offset < 5;
SELECT changes();
DELETE FROM x WHERE offset > 500;
SELECT changes();
DELETE FROM x WHERE offset BETWEEN 11 AND 13;
SELECT changes();
DELETE FROM t WHERE offset BETWEEN 11 AND 13;
DELETE FROM x WHERE rowid = 14;
SELECT changes();
DELETE FROM t WHERE rowid = 14;
DELETE FROM x WHERE timestamp <= 18;
SELECT changes();
DELETE FROM t WHERE timestamp <= 18;
DELETE FROM x WHERE offset IN (20, 18, 19);
SELECT changes();
DELETE FROM t WHERE offset IN (20, 18, 19);
DELETE FROM x WHERE offset IN (SELECT offset FROM x ORDER BY offset LIMIT 4);
SELECT changes();
DELETE FROM t WHERE offset IN (SELECT offset FROM t ORDER BY offset LIMIT 4);
SELECT * FROM agree;
.print -- a hole: the statement fails whole and names the offset
DELETE FROM x WHERE offset = 30;
DELETE FROM x WHERE offset > 100;
DELETE FROM x WHERE offset IN (25, 26, 28);
DELETE FROM x WHERE offset = 199;
DELETE FROM x WHERE timestamp % 2 = 0;
DELETE FROM x WHERE value = printf('%.*c', 500, 'x') AND offset <> 27;
SELECT * FROM agree;
.print -- under no clause is it silent, and in a transaction the rest stays
BEGIN;
INSERT INTO x(timestamp, value) VALUES (201, 'y'); INSERT INTO t(timestamp, value)
    VALUES (201, 'y');
DELETE FROM x WHERE offset IN (25, 26, 28);
DELETE FROM x WHERE offset < 26; DELETE FROM t WHERE offset < 26;
SELECT * FROM agree;
COMMIT;
SELECT * FROM agree;
.print -- in a transaction and savepoints, taken back and not
BEGIN;
DELETE FROM x WHERE offset < 100; DELETE FROM t WHERE offset < 100;
SELECT * FROM agree;
ROLLBACK;
SELECT * FROM agree;
BEGIN;
DELETE FROM x WHERE offset < 50; DELETE FROM t WHERE offset < 50;
SAVEPOINT s;
DELETE FROM x WHERE offset < 100; DELETE FROM t WHERE offset < 100;
INSERT INTO x(timestamp, value) VALUES (202, 'gone'); INSERT INTO t(timestamp, value)
    VALUES (202, 'gone');
SELECT * FROM agree;
ROLLBACK TO s;
SELECT * FROM agree;
INSERT INTO x(timestamp, value) VALUES (202, 'z'); INSERT INTO t(timestamp, value)
    VALUES (202, 'z');
COMMIT;
SELECT * FROM agree;
.print -- a SELECT that runs while the same statement deletes, through a trigger
CREATE TABLE eaten(offset, value);
CREATE TRIGGER eat AFTER INSERT ON eaten BEGIN DELETE FROM x WHERE offset <= new.offset; END;
INSERT INTO eaten SELECT offset, value FROM x WHERE offset < 100;
DELETE FROM t WHERE offset < 100;
SELECT count(*), min(offset), max(offset) FROM eaten;
SELECT * FROM agree;
.print -- own uncommitted records go too; no WHERE; empty; offsets go on
BEGIN;
INSERT INTO x(timestamp, value) VALUES (203, 'own');
DELETE FROM x;
SELECT changes();
SELECT count(*) FROM x;
INSERT INTO x(timestamp, value) VALUES (204, 'after');
COMMIT;
SELECT offset, value FROM x;
DELETE FROM x;
SELECT changes();
DELETE FROM x;
SELECT changes();
SELECT count(*) FROM x;
INSERT INTO x(offset, value) VALUES (0, 'no');
INSERT INTO x(value) VALUES ('next');
SELECT offset, value FROM x;
.print -- the same after opening again
DELETE FROM x;
.open test.db
.load ./commitlog
SELECT count(*), max(offset) FROM x;
INSERT INTO x(value) VALUES ('next');
SELECT offset, value FROM x;

.print -- UPDATE is refused, with the reason, whatever it changes and under every clause
UPDATE keep SET value = 'x' WHERE offset = 1;
UPDATE keep SET value = 'x';
UPDATE OR IGNORE keep SET value = 'x';
UPDATE OR REPLACE keep SET offset = 5 WHERE offset = 4;
UPDATE keep SET offset = offset + 1;
UPDATE keep SET rowid = 5 WHERE offset = 4;
UPDATE keep SET keep = 'rotate' WHERE offset = 4;
UPDATE keep SET value = 'x' WHERE offset = 1000000;
SELECT count(*), count(DISTINCT value) FROM keep;

.print -- files go with their segments, and only they
.shell ls test.db-commitlog/*/*.log | wc -l > files_before
INSERT INTO keep(keep, offset) VALUES ('delete-records', 100);
INSERT INTO keep(value) VALUES ('after');
INSERT INTO keep(value) VALUES ('and again');
.shell n=$(ls test.db-commitlog/*/*.log | wc -l); [ $n -le $(($(cat files_before) - 25)) ] && echo files are gone || echo $n files of $(cat files_before)
SELECT offset, value FROM keep;
SELECT count(*) FROM commitlog_segments('keep');
.print -- file_delete_delay_ms keeps them for a while: the default is a minute
CREATE VIRTUAL TABLE slow USING commitlog(segment_bytes=4096);
INSERT INTO slow(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 100);
.shell ls test.db-commitlog/*/*.log | wc -l > files_before
INSERT INTO slow(slow, offset) VALUES ('delete-records', 100);
INSERT INTO slow(value) VALUES ('after');
.shell n=$(ls test.db-commitlog/*/*.log | wc -l); [ $n -ge $(cat files_before) ] && echo files are still there || echo $n files of $(cat files_before)
SELECT offset, value FROM slow;

.print -- a snapshot that comes to the log after its files are gone: an error, never fewer rows
PRAGMA journal_mode = WAL;
INSERT INTO d(timestamp, value) SELECT value, printf('%.*c', 1000, 'x') FROM generate_series(1, 50);
CREATE TABLE other(v);
.connection 1
.open test.db
.load ./commitlog
BEGIN;
SELECT count(*) FROM other;
.connection 0
INSERT INTO d(d, offset) VALUES ('delete-records', 150);
INSERT INTO d(value) VALUES ('after');
INSERT INTO d(value) VALUES ('and again');
.connection 1
SELECT count(value) FROM d;
SELECT value FROM d WHERE offset = 110;
COMMIT;
SELECT count(value) > 0, min(offset) FROM d;
.connection 0
PRAGMA integrity_check;
