-- Logs of databases without a file: in memory, temp, unnamed, shared in memory. All of SQL works,
-- and their files go with the connection. Nothing is left in TMPDIR, which run.sh makes.
.nullvalue NULL
.print -- temp, beside a database with a file
CREATE VIRTUAL TABLE temp.scratch USING commitlog(segment_bytes=4096);
INSERT INTO scratch(timestamp, key, value) SELECT value, 'k', printf('%.*c', 1000, 'x')
    FROM generate_series(1, 20);
SELECT count(*), min(offset), max(offset), sum(length(value)) FROM scratch;
SELECT count(*) > 3, sum(file GLOB '*test.db-commitlog*') FROM commitlog_segments('scratch');
SELECT count(*) > 3 FROM commitlog_segments('temp.scratch');
.shell ls -d test.db-commitlog 2>&1 | sed 's/^ls:.*/no directory/'
BEGIN;
INSERT INTO scratch(value) VALUES ('gone');
ROLLBACK;
SELECT count(*) FROM scratch;
CREATE VIRTUAL TABLE main.persistent USING commitlog;
INSERT INTO persistent(value) SELECT key FROM scratch WHERE offset < 2;
SELECT offset, value FROM persistent;
.output where.txt
SELECT file FROM commitlog_segments('scratch') LIMIT 1;
.output
.shell test -f "$(cat where.txt)" && echo its file is there
.shell case $(cat where.txt) in "$TMPDIR"/*) echo in TMPDIR ;; esac

.print -- it goes with the connection
.open :memory:
.load ./commitlog
.shell test -e "$(cat where.txt)" && echo still there || echo gone
.shell test -e "$(dirname "$(cat where.txt)")" && echo still there || echo gone

.print -- in memory: as in a bare shell
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, retention_records=50,
    file_delete_delay_ms=0);
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);
INSERT INTO x(timestamp, value) SELECT value, printf('%.*c', 1000, 'x') FROM generate_series(1, 20);
INSERT INTO t(offset, timestamp, value) SELECT value - 1, value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 20);
SELECT count(*) FROM (SELECT * FROM x EXCEPT SELECT * FROM t);
SELECT last_insert_rowid();
INSERT INTO x(offset, value) VALUES (3, 'no');
SELECT commitlog_append('x', 'k', 'v');
SELECT offset, key, value FROM x ORDER BY offset DESC LIMIT 1;
.print -- transactions, savepoints, CREATE and DROP with ROLLBACK
BEGIN;
INSERT INTO x(value) VALUES ('a');
SAVEPOINT s;
INSERT INTO x(value) VALUES ('gone');
ROLLBACK TO s;
INSERT INTO x(value) VALUES ('b');
COMMIT;
SELECT offset, value FROM x WHERE offset > 20;
BEGIN;
INSERT INTO x(value) VALUES ('gone');
DROP TABLE x;
ROLLBACK;
SELECT count(*), max(offset) FROM x;
BEGIN;
CREATE VIRTUAL TABLE fleeting USING commitlog;
INSERT INTO fleeting(value) VALUES ('gone');
ROLLBACK;
SELECT * FROM fleeting;
.print -- commands, retention, DELETE, RENAME
INSERT INTO x(timestamp, value) SELECT value, printf('%.*c', 1000, 'x')
    FROM generate_series(1, 200);
SELECT count(*) BETWEEN 50 AND 56, max(offset) FROM x;
DELETE FROM x WHERE offset < 200;
INSERT INTO x(x, offset) VALUES ('delete-records', 210);
SELECT min(offset), count(*) FROM x;
ALTER TABLE x RENAME TO y;
INSERT INTO y(value) VALUES ('renamed');
SELECT offset, value FROM y ORDER BY offset DESC LIMIT 1;
.print -- an outbox, with a journal of its own kind
PRAGMA journal_mode;
CREATE TABLE orders(id INTEGER PRIMARY KEY, v);
CREATE TRIGGER outbox AFTER INSERT ON orders BEGIN INSERT INTO y(key, value)
    VALUES (new.id, new.v); END;
INSERT OR IGNORE INTO orders VALUES (1, 'order');
SELECT key, value FROM y WHERE key = 1;
PRAGMA journal_mode = OFF;
INSERT INTO y(value) VALUES ('no');
PRAGMA journal_mode = MEMORY;
INSERT INTO y(value) VALUES ('yes');
SELECT value FROM y ORDER BY offset DESC LIMIT 1;
.print -- VACUUM, integrity_check
VACUUM;
SELECT count(*) FROM y;
PRAGMA integrity_check;
.print -- VACUUM INTO a file carries no records: an error there, not an empty log
VACUUM INTO 'saved.db';
ATTACH 'saved.db' AS saved;
SELECT count(value) FROM saved.y;
INSERT INTO saved.y(value) VALUES ('no');
DETACH saved;
.print -- two in one process do not meet
ATTACH ':memory:' AS second;
CREATE VIRTUAL TABLE second.y USING commitlog;
INSERT INTO second.y(value) VALUES ('second');
SELECT offset, value FROM second.y;
SELECT count(*) > 1 FROM main.y;
.output where.txt
SELECT file FROM commitlog_segments('second.y');
.output
.shell test -f "$(cat where.txt)" && echo its file is there
.print -- DETACH ends the second
DETACH second;
SELECT offset, value FROM second.y;
.connection 1
.open :memory:
.load ./commitlog
SELECT * FROM y;
CREATE VIRTUAL TABLE y USING commitlog;
INSERT INTO y(value) VALUES ('of connection 1');
SELECT offset, value FROM y;
.connection 0
SELECT count(*) > 1 FROM y;
.output where.txt
SELECT file FROM commitlog_segments('y') ORDER BY base_offset DESC LIMIT 1;
.output
.open ''
.load ./commitlog
-- While another connection has a database in memory, which might be the same one, it stays.
.shell test -e "$(cat where.txt)" && echo still there || echo gone

.print -- unnamed
CREATE VIRTUAL TABLE x USING commitlog;
INSERT INTO x(value) VALUES ('unnamed');
SELECT offset, value FROM x;
SELECT records, file GLOB '/*' FROM commitlog_segments('x');

.print -- shared in memory: two connections, one log, until the last is closed
.open file:shared?mode=memory&cache=shared
.load ./commitlog
CREATE VIRTUAL TABLE x USING commitlog;
INSERT INTO x(value) VALUES ('from 0');
.connection 1
.open file:shared?mode=memory&cache=shared
.load ./commitlog
SELECT offset, value FROM x;
INSERT INTO x(value) VALUES ('from 1');
.connection 0
SELECT offset, value FROM x;
.output where.txt
SELECT file FROM commitlog_segments('x');
.output
.open :memory:
.connection 1
SELECT offset, value FROM x;
INSERT INTO x(value) VALUES ('still from 1');
SELECT offset, value FROM x;
.open :memory:
.shell test -e "$(cat where.txt)" && echo still there || echo gone
.connection 0
.shell echo $(ls -A "$TMPDIR" | wc -l) files and directories are left
