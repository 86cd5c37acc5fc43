-- Transactions as SQLite has them. A log x and an ordinary table t take the same statements, and
-- the view `agree` compares them wherever it is asked. Connections 0 and 1 of the shell are two
-- connections to one database. Does not kill anything; that needs a program.
.nullvalue NULL
PRAGMA journal_mode;
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes='16KiB', file_delete_delay_ms=0);
CREATE TABLE t(offset INTEGER PRIMARY KEY, v);
CREATE VIEW agree AS SELECT (SELECT count(*) FROM x) AS n,
    (SELECT group_concat(offset || ':' || value) FROM (SELECT offset, value FROM x ORDER BY offset))
    IS (SELECT group_concat(offset || ':' || v) FROM (SELECT offset, v FROM t ORDER BY offset))
    AS same;

.print -- BEGIN, COMMIT; own records are seen before
BEGIN;
INSERT INTO x(value) VALUES ('a'), ('b');
INSERT INTO t VALUES (0, 'a'), (1, 'b');
SELECT * FROM agree;
SELECT offset, value FROM x;
SELECT value FROM x WHERE offset = 1;
SELECT offset FROM x ORDER BY offset DESC;
SELECT min(offset), max(offset), count(*) FROM x;
SELECT max(offset) FROM x;
COMMIT;
SELECT * FROM agree;

.print -- nobody else sees them before, all do after
BEGIN;
INSERT INTO x(value) VALUES ('c');
INSERT INTO t VALUES (2, 'c');
.connection 1
.open test.db
.load ./commitlog
SELECT * FROM agree;
SELECT value FROM x WHERE offset = 2;
.connection 0
COMMIT;
.connection 1
SELECT * FROM agree;
SELECT value FROM x WHERE offset = 2;
.connection 0

.print -- ROLLBACK; the offset is used again
BEGIN;
INSERT INTO x(value) VALUES ('lost'), ('lost too');
INSERT INTO t VALUES (3, 'lost'), (4, 'lost too');
SELECT * FROM agree;
ROLLBACK;
SELECT * FROM agree;
INSERT INTO x(offset, value) VALUES (3, 'd');
INSERT INTO t VALUES (3, 'd');
SELECT * FROM agree;

.print -- nested savepoints: released, rolled back to, rolled back and used again
BEGIN;
INSERT INTO x(value) VALUES ('e'); INSERT INTO t VALUES (4, 'e');
SAVEPOINT one;
INSERT INTO x(value) VALUES ('f'); INSERT INTO t VALUES (5, 'f');
SAVEPOINT two;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t VALUES (6, 'gone');
SAVEPOINT three;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t VALUES (7, 'gone');
RELEASE three;
SELECT * FROM agree;
ROLLBACK TO two;
SELECT * FROM agree;
INSERT INTO x(value) VALUES ('g'); INSERT INTO t VALUES (6, 'g');
ROLLBACK TO two;
INSERT INTO x(value) VALUES ('g again'); INSERT INTO t VALUES (6, 'g again');
RELEASE two;
SELECT * FROM agree;
RELEASE one;
COMMIT;
SELECT * FROM agree;
SELECT group_concat(value) FROM x;

.print -- rolled back to the first savepoint of all, then committed: nothing happened
BEGIN;
SAVEPOINT first;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t VALUES (7, 'gone');
ROLLBACK TO first;
COMMIT;
SELECT * FROM agree;

.print -- a savepoint outside BEGIN is a transaction
SAVEPOINT outer;
INSERT INTO x(value) VALUES ('h'); INSERT INTO t VALUES (7, 'h');
SAVEPOINT outer;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t VALUES (8, 'gone');
ROLLBACK TO outer;
RELEASE outer;
SELECT * FROM agree;
RELEASE outer;
SELECT * FROM agree;
SAVEPOINT outer;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t VALUES (8, 'gone');
ROLLBACK TO outer;
RELEASE outer;
SELECT * FROM agree;

.print -- savepoints below what has already been written to a file: more than a segment, rolled back to
BEGIN;
INSERT INTO x(value) SELECT 'kept ' || value FROM generate_series(1, 100);
INSERT INTO t(v) SELECT 'kept ' || value FROM generate_series(1, 100);
SAVEPOINT heavy;
INSERT INTO x(value) SELECT 'gone ' || printf('%.*c', 3000, 'x') FROM generate_series(1, 2000);
INSERT INTO t(v) SELECT 'gone ' || printf('%.*c', 3000, 'x') FROM generate_series(1, 2000);
SELECT * FROM agree;
ROLLBACK TO heavy;
SELECT * FROM agree;
INSERT INTO x(value) SELECT 'kept too ' || value FROM generate_series(1, 100);
INSERT INTO t(v) SELECT 'kept too ' || value FROM generate_series(1, 100);
SELECT * FROM agree;
COMMIT;
SELECT * FROM agree;
.print -- the same and ROLLBACK
BEGIN;
INSERT INTO x(value) SELECT 'gone ' || printf('%.*c', 3000, 'x') FROM generate_series(1, 2000);
INSERT INTO t(v) SELECT 'gone ' || printf('%.*c', 3000, 'x') FROM generate_series(1, 2000);
SELECT n FROM agree;
ROLLBACK;
SELECT * FROM agree;
INSERT INTO x(value) VALUES ('i'); INSERT INTO t(v) VALUES ('i');
SELECT * FROM agree;

.print -- a statement that fails half-way leaves nothing of itself, all of the rest
BEGIN;
INSERT INTO x(value) VALUES ('j'); INSERT INTO t(v) VALUES ('j');
INSERT INTO x(offset, value) SELECT (SELECT count(*) FROM t) + column1, column2
FROM (VALUES (0, 'half'), (1, 'half'), (99, 'half'));
INSERT INTO x(headers) VALUES ('1'), ('2'), ('not json');
INSERT INTO x(value) SELECT CASE WHEN value < 3 THEN 'half' ELSE abs(-9223372036854775807 - 1) END
FROM generate_series(1, 3);
SELECT * FROM agree;
COMMIT;
SELECT * FROM agree;
.print -- the same in autocommit
INSERT INTO x(headers) VALUES ('1'), ('2'), ('not json');
INSERT INTO x(value) SELECT CASE WHEN value < 3 THEN 'half' ELSE abs(-9223372036854775807 - 1) END
FROM generate_series(1, 3);
SELECT * FROM agree;
.print -- a failing statement of an ordinary table with an outbox trigger
CREATE TABLE orders(id INTEGER PRIMARY KEY, v CHECK (v <> 'bad'));
CREATE TRIGGER orders_insert AFTER INSERT ON orders BEGIN
    INSERT INTO x(value) VALUES (new.v);
    INSERT INTO t(v) VALUES (new.v);
END;
INSERT INTO orders(v) VALUES ('k'), ('bad'), ('l');
SELECT * FROM agree;
INSERT OR FAIL INTO orders(v) VALUES ('k'), ('bad'), ('l');
SELECT * FROM agree;
INSERT OR IGNORE INTO orders(v) VALUES ('m'), ('bad'), ('n');
SELECT * FROM agree;
SELECT group_concat(v) FROM orders;
SELECT value FROM x ORDER BY offset DESC LIMIT 3;

.print -- RAISE(ROLLBACK) takes the transaction
CREATE TRIGGER orders_raise AFTER INSERT ON orders WHEN new.v = 'raise' BEGIN
    SELECT RAISE(ROLLBACK, 'raised');
END;
BEGIN;
INSERT INTO orders(v) VALUES ('gone');
INSERT INTO orders(v) VALUES ('raise');
COMMIT;
SELECT * FROM agree;

.print -- CREATE, INSERT, ROLLBACK
BEGIN;
CREATE VIRTUAL TABLE fresh USING commitlog;
INSERT INTO fresh(value) VALUES ('a'), ('b');
SELECT offset, value FROM fresh;
ROLLBACK;
SELECT * FROM fresh;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'fresh*';
.print -- CREATE, INSERT, COMMIT; CREATE inside a savepoint rolled back
BEGIN;
CREATE VIRTUAL TABLE fresh USING commitlog;
INSERT INTO fresh(value) VALUES ('a'), ('b');
SAVEPOINT s;
CREATE VIRTUAL TABLE fresher USING commitlog;
INSERT INTO fresher(value) VALUES ('c');
INSERT INTO fresh(value) VALUES ('gone');
ROLLBACK TO s;
SELECT offset, value FROM fresh;
SELECT offset, value FROM fresher;
CREATE VIRTUAL TABLE fresher USING commitlog;
INSERT INTO fresher(value) VALUES ('d');
COMMIT;
SELECT offset, value FROM fresh;
SELECT offset, value FROM fresher;
.print -- CREATE, INSERT, ROLLBACK, and the same name again
BEGIN;
CREATE VIRTUAL TABLE again USING commitlog;
INSERT INTO again(value) SELECT printf('%.*c', 5000, 'x') FROM generate_series(1, 1000);
ROLLBACK;
CREATE VIRTUAL TABLE again USING commitlog;
SELECT count(*) FROM again;
INSERT INTO again(offset, value) VALUES (0, 'first');
SELECT offset, value FROM again;

.print -- DROP, ROLLBACK: nothing is lost, and it goes on
BEGIN;
DROP TABLE fresh;
SELECT * FROM fresh;
ROLLBACK;
SELECT offset, value FROM fresh;
INSERT INTO fresh(value) VALUES ('c');
SELECT offset, value FROM fresh;
.print -- INSERT, DROP, ROLLBACK; DROP, CREATE, INSERT, ROLLBACK; DROP in a savepoint
BEGIN;
INSERT INTO fresh(value) VALUES ('gone');
DROP TABLE fresh;
ROLLBACK;
SELECT group_concat(value) FROM fresh;
BEGIN;
DROP TABLE fresh;
CREATE VIRTUAL TABLE fresh USING commitlog;
INSERT INTO fresh(value) VALUES ('other');
SELECT offset, value FROM fresh;
ROLLBACK;
SELECT group_concat(value) FROM fresh;
BEGIN;
INSERT INTO fresh(value) VALUES ('d');
SAVEPOINT s;
DROP TABLE fresh;
ROLLBACK TO s;
INSERT INTO fresh(value) VALUES ('e');
COMMIT;
SELECT group_concat(value) FROM fresh;
.print -- INSERT, DROP, COMMIT
BEGIN;
INSERT INTO fresh(value) VALUES ('gone');
DROP TABLE fresh;
COMMIT;
SELECT count(*) FROM sqlite_schema WHERE name = 'fresh' OR name GLOB 'fresh_*'
    AND name NOT GLOB 'fresher*';

.print -- RENAME, ROLLBACK: both names behave
BEGIN;
INSERT INTO fresher(value) VALUES ('before');
ALTER TABLE fresher RENAME TO renamed;
INSERT INTO renamed(value) VALUES ('gone');
SELECT offset, value FROM renamed;
INSERT INTO renamed(renamed) VALUES ('rotate');
ROLLBACK;
SELECT offset, value FROM fresher;
SELECT * FROM renamed;
INSERT INTO fresher(value) VALUES ('e');
INSERT INTO fresher(fresher) VALUES ('rotate');
SELECT offset, value FROM fresher;
.print -- RENAME, ROLLBACK TO; RENAME, COMMIT
BEGIN;
SAVEPOINT s;
ALTER TABLE fresher RENAME TO renamed;
ROLLBACK TO s;
INSERT INTO fresher(value) VALUES ('f');
COMMIT;
BEGIN;
INSERT INTO fresher(value) VALUES ('g');
ALTER TABLE fresher RENAME TO renamed;
INSERT INTO renamed(value) VALUES ('h');
COMMIT;
SELECT offset, value FROM renamed;
SELECT * FROM fresher;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'fresher_*';
SELECT count(*) > 0 FROM sqlite_schema WHERE name GLOB 'renamed_*';

.print -- COMMIT that fails (a reader holds the lock), more INSERTs, COMMIT again
.connection 1
BEGIN;
SELECT n, same FROM agree;
.connection 0
BEGIN;
INSERT INTO x(value) VALUES ('o'); INSERT INTO t(v) VALUES ('o');
COMMIT;
INSERT INTO x(value) VALUES ('p'); INSERT INTO t(v) VALUES ('p');
COMMIT;
INSERT INTO x(value) SELECT 'q' || printf('%.*c', 3000, 'x') FROM generate_series(1, 10);
INSERT INTO t(v) SELECT 'q' || printf('%.*c', 3000, 'x') FROM generate_series(1, 10);
COMMIT;
SELECT * FROM agree;
.connection 1
SELECT n, same FROM agree;
COMMIT;
.connection 0
COMMIT;
SELECT * FROM agree;
.connection 1
SELECT * FROM agree;
.print -- COMMIT that fails, savepoint rolled back, COMMIT; COMMIT that fails, ROLLBACK
BEGIN;
SELECT n, same FROM agree;
.connection 0
BEGIN;
INSERT INTO x(value) VALUES ('r'); INSERT INTO t(v) VALUES ('r');
SAVEPOINT s;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t(v) VALUES ('gone');
COMMIT;
ROLLBACK TO s;
INSERT INTO x(value) VALUES ('s'); INSERT INTO t(v) VALUES ('s');
.connection 1
COMMIT;
.connection 0
COMMIT;
SELECT * FROM agree;
SELECT value FROM x ORDER BY offset DESC LIMIT 2;
.connection 1
BEGIN;
SELECT n, same FROM agree;
.connection 0
BEGIN;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t(v) VALUES ('gone');
COMMIT;
ROLLBACK;
.connection 1
COMMIT;
.connection 0
SELECT * FROM agree;
INSERT INTO x(value) VALUES ('u'); INSERT INTO t(v) VALUES ('u');
SELECT * FROM agree;
.print -- COMMIT that fails on a deferred foreign key, mended, COMMIT
PRAGMA foreign_keys = ON;
CREATE TABLE parent(id PRIMARY KEY);
CREATE TABLE child(id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO child VALUES (1);
INSERT INTO x(value) VALUES ('v'); INSERT INTO t(v) VALUES ('v');
COMMIT;
INSERT INTO x(value) VALUES ('w'); INSERT INTO t(v) VALUES ('w');
INSERT INTO parent VALUES (1);
COMMIT;
SELECT * FROM agree;

.print -- every journal mode: insert, roll back, small and large, the other connection agrees
.output modes.sql
WITH RECURSIVE modes(n, mode) AS (VALUES (1, 'DELETE'), (2, 'TRUNCATE'), (3, 'PERSIST'),
    (4, 'MEMORY'), (5, 'WAL'), (6, 'DELETE')),
levels(m, level) AS (VALUES (1, 'OFF'), (2, 'NORMAL'), (3, 'FULL'), (4, 'EXTRA'))
SELECT replace(replace('.connection 1
.open :memory:
.connection 0
PRAGMA journal_mode = @mode;
PRAGMA synchronous = @level;
INSERT INTO x(value) VALUES (''@mode @level''); INSERT INTO t(v) VALUES (''@mode @level'');
BEGIN;
INSERT INTO x(value) VALUES (''gone''); INSERT INTO t(v) VALUES (''gone'');
SAVEPOINT s;
INSERT INTO x(value) VALUES (''gone''); INSERT INTO t(v) VALUES (''gone'');
ROLLBACK TO s;
SELECT same FROM agree;
ROLLBACK;
BEGIN;
INSERT INTO x(value) SELECT printf(''%.*c'', 3000, ''x'') FROM generate_series(1, 20);
INSERT INTO t(v) SELECT printf(''%.*c'', 3000, ''x'') FROM generate_series(1, 20);
COMMIT;
SELECT * FROM agree;
.connection 1
.open test.db
.load ./commitlog
SELECT * FROM agree;', '@mode', mode), '@level', level)
FROM modes, levels ORDER BY n, m;
.output
.read modes.sql
.connection 1
.open :memory:
.connection 0

.print -- journal_mode OFF has no ROLLBACK: INSERT is refused, in words; reading works
PRAGMA journal_mode = OFF;
INSERT INTO x(value) VALUES ('no');
INSERT OR IGNORE INTO x(value) VALUES ('no');
INSERT INTO x(x) VALUES ('rotate');
DELETE FROM x WHERE offset = 0;
SELECT * FROM agree;
PRAGMA journal_mode = DELETE;
INSERT INTO x(value) VALUES ('yes'); INSERT INTO t(v) VALUES ('yes');
SELECT * FROM agree;

.print -- WAL: a reader keeps its snapshot while the writer commits, over a rotation
PRAGMA journal_mode = WAL;
.connection 1
.open test.db
.load ./commitlog
BEGIN;
SELECT same, n = (SELECT count(*) FROM t) FROM agree;
CREATE TEMP TABLE seen AS SELECT n FROM agree;
.connection 0
BEGIN;
INSERT INTO x(value) SELECT 'wal ' || printf('%.*c', 1000, 'x') FROM generate_series(1, 100);
INSERT INTO t(v) SELECT 'wal ' || printf('%.*c', 1000, 'x') FROM generate_series(1, 100);
COMMIT;
SELECT same FROM agree;
.connection 1
SELECT same, n = (SELECT n FROM seen) FROM agree;
SELECT max(offset) = (SELECT n - 1 FROM seen) FROM x;
COMMIT;
SELECT same, n = (SELECT n + 100 FROM seen) FROM agree;
.connection 0

.print -- BEGIN, SELECT, INSERT that meets a newer snapshot: SQLITE_BUSY, nothing staged
.connection 1
BEGIN;
SELECT same FROM agree;
.connection 0
INSERT INTO x(value) VALUES ('newer'); INSERT INTO t(v) VALUES ('newer');
.connection 1
INSERT INTO x(value) VALUES ('stale'); INSERT INTO t(v) VALUES ('stale');
SELECT same, (SELECT count(*) FROM x WHERE value = 'stale') FROM agree;
COMMIT;
SELECT same, (SELECT count(*) FROM x WHERE value = 'stale') FROM agree;
INSERT INTO x(value) VALUES ('fresh'); INSERT INTO t(v) VALUES ('fresh');
SELECT same FROM agree;
.print -- two writers: the second is busy, and works once the first is done
BEGIN IMMEDIATE;
INSERT INTO x(value) VALUES ('first'); INSERT INTO t(v) VALUES ('first');
.connection 0
INSERT INTO x(value) VALUES ('second');
SELECT same, (SELECT count(*) FROM x WHERE value IN ('first', 'second')) FROM agree;
.connection 1
COMMIT;
.connection 0
INSERT INTO x(value) VALUES ('second'); INSERT INTO t(v) VALUES ('second');
SELECT same, (SELECT count(*) FROM x WHERE value IN ('first', 'second')) FROM agree;

.print -- exclusive locking, WAL and not
.connection 1
.open :memory:
.connection 0
PRAGMA locking_mode = EXCLUSIVE;
BEGIN;
INSERT INTO x(value) VALUES ('gone'); INSERT INTO t(v) VALUES ('gone');
ROLLBACK;
INSERT INTO x(value) VALUES ('exclusive'); INSERT INTO t(v) VALUES ('exclusive');
SELECT same FROM agree;
PRAGMA journal_mode = DELETE;
INSERT INTO x(value) VALUES ('exclusive'); INSERT INTO t(v) VALUES ('exclusive');
SELECT same FROM agree;
PRAGMA locking_mode = NORMAL;
SELECT same FROM agree;
PRAGMA journal_mode = WAL;

.print -- read-only: query_only, mode=ro, SELECT works and INSERT does not
PRAGMA query_only = ON;
SELECT same FROM agree;
INSERT INTO x(value) VALUES ('no');
PRAGMA query_only = OFF;
.open --readonly test.db
.load ./commitlog
SELECT same FROM agree;
INSERT INTO x(value) VALUES ('no');
DROP TABLE x;
SELECT same FROM agree;
.open test.db
.load ./commitlog
SELECT same FROM agree;
PRAGMA integrity_check;
