-- Conflict clauses and where INSERTs come from: compare-and-append under all five clauses, direct
-- and through triggers; multi-row, INSERT ... SELECT, from itself, attached, TEMP triggers;
-- last_insert_rowid(). No event may be lost in silence. The ordinary table t runs the same
-- statements wherever it must come to the same.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog;
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);

.print -- compare-and-append: the right offset, too low, too high, negative; through rowid too
INSERT INTO x(offset, value) VALUES (0, 'zero');
INSERT INTO x(rowid, value) VALUES (1, 'one');
INSERT INTO x(oid, value) VALUES (2, 'two');
INSERT INTO x(offset, value) VALUES (2, 'low');
INSERT INTO x(offset, value) VALUES (4, 'high');
INSERT INTO x(offset, value) VALUES (-1, 'negative');
INSERT INTO x(offset, value) VALUES (9223372036854775807, 'far');
INSERT INTO x(rowid, value) VALUES (0, 'low');
INSERT INTO x(rowid, value) VALUES (4, 'high');
SELECT offset, value FROM x;

.print -- the five clauses without an offset: all append
INSERT OR ABORT INTO x(value) VALUES ('abort');
INSERT OR FAIL INTO x(value) VALUES ('fail');
INSERT OR IGNORE INTO x(value) VALUES ('ignore');
INSERT OR REPLACE INTO x(value) VALUES ('replace');
INSERT OR ROLLBACK INTO x(value) VALUES ('rollback');
REPLACE INTO x(value) VALUES ('plain replace');
SELECT offset, value FROM x WHERE offset >= 3;

.print -- with the right one: all append
INSERT OR ABORT INTO x(offset, value) VALUES (9, 'abort');
INSERT OR FAIL INTO x(offset, value) VALUES (10, 'fail');
INSERT OR IGNORE INTO x(offset, value) VALUES (11, 'ignore');
INSERT OR REPLACE INTO x(offset, value) VALUES (12, 'replace');
INSERT OR ROLLBACK INTO x(offset, value) VALUES (13, 'rollback');
REPLACE INTO x(offset, value) VALUES (14, 'plain replace');
SELECT offset, value FROM x WHERE offset >= 9;

.print -- with a wrong one, low: an error, but for IGNORE, which does nothing
INSERT OR ABORT INTO x(offset, value) VALUES (3, 'no');
INSERT OR FAIL INTO x(offset, value) VALUES (3, 'no');
INSERT OR IGNORE INTO x(offset, value) VALUES (3, 'no');
SELECT changes();
INSERT OR REPLACE INTO x(offset, value) VALUES (3, 'no');
INSERT OR ROLLBACK INTO x(offset, value) VALUES (3, 'no');
REPLACE INTO x(offset, value) VALUES (3, 'no');
.print -- with a wrong one, high
INSERT OR ABORT INTO x(offset, value) VALUES (99, 'no');
INSERT OR FAIL INTO x(offset, value) VALUES (99, 'no');
INSERT OR IGNORE INTO x(offset, value) VALUES (99, 'no');
SELECT changes();
INSERT OR REPLACE INTO x(offset, value) VALUES (99, 'no');
INSERT OR ROLLBACK INTO x(offset, value) VALUES (99, 'no');
SELECT count(*), max(offset), sum(value = 'no') FROM x;

.print -- what is left of a statement and its transaction: three rows, the middle one wrong; t beside
DELETE FROM x;
DROP TABLE x;
CREATE VIRTUAL TABLE x USING commitlog;
INSERT INTO x(value) VALUES ('0');
INSERT INTO t(offset, value) VALUES (0, '0');
CREATE TEMP VIEW same AS SELECT
    (SELECT group_concat(offset || value, ' ') FROM (SELECT * FROM x ORDER BY offset)) AS in_x,
    (SELECT group_concat(offset || value, ' ') FROM (SELECT * FROM t ORDER BY offset)) AS in_t;
.print ABORT
BEGIN;
INSERT INTO x(value) VALUES ('before');
INSERT INTO t(value) VALUES ('before');
INSERT OR ABORT INTO x(offset, value) VALUES (2, 'a'), (0, 'b'), (3, 'c');
INSERT OR ABORT INTO t(offset, value) VALUES (2, 'a'), (0, 'b'), (3, 'c');
SELECT *, in_x = in_t FROM same;
COMMIT;
SELECT *, in_x = in_t FROM same;
.print FAIL
BEGIN;
INSERT OR FAIL INTO x(offset, value) VALUES (2, 'a'), (0, 'b'), (3, 'c');
INSERT OR FAIL INTO t(offset, value) VALUES (2, 'a'), (0, 'b'), (3, 'c');
SELECT *, in_x = in_t FROM same;
COMMIT;
SELECT *, in_x = in_t FROM same;
.print FAIL in autocommit
INSERT OR FAIL INTO x(offset, value) VALUES (3, 'd'), (0, 'e'), (4, 'f');
INSERT OR FAIL INTO t(offset, value) VALUES (3, 'd'), (0, 'e'), (4, 'f');
SELECT *, in_x = in_t FROM same;
.print IGNORE
BEGIN;
INSERT OR IGNORE INTO x(offset, value) VALUES (4, 'g'), (0, 'h'), (5, 'i');
SELECT changes();
INSERT OR IGNORE INTO t(offset, value) VALUES (4, 'g'), (0, 'h'), (5, 'i');
SELECT changes();
SELECT *, in_x = in_t FROM same;
COMMIT;
SELECT *, in_x = in_t FROM same;
.print ROLLBACK
BEGIN;
INSERT INTO x(value) VALUES ('lost');
INSERT INTO t(value) VALUES ('lost');
INSERT OR ROLLBACK INTO x(offset, value) VALUES (7, 'j'), (0, 'k'), (8, 'l');
SELECT *, in_x = in_t FROM same;
COMMIT;
BEGIN;
INSERT INTO x(value) VALUES ('lost');
INSERT INTO t(value) VALUES ('lost');
INSERT OR ROLLBACK INTO t(offset, value) VALUES (7, 'j'), (0, 'k'), (8, 'l');
SELECT *, in_x = in_t FROM same;
COMMIT;
.print REPLACE: refused whole, for it would overwrite; t is not asked
BEGIN;
INSERT INTO x(value) VALUES ('kept');
INSERT INTO t(value) VALUES ('kept');
INSERT OR REPLACE INTO x(offset, value) VALUES (7, 'm'), (0, 'n'), (8, 'o');
SELECT *, in_x = in_t FROM same;
COMMIT;
SELECT *, in_x = in_t FROM same;

.print -- an outbox: orders and a trigger that appends; the clause of the outer statement arrives
CREATE TABLE orders(id INTEGER PRIMARY KEY, item UNIQUE, note);
CREATE VIRTUAL TABLE outbox USING commitlog(max_message_bytes='1KiB');
CREATE TRIGGER orders_insert AFTER INSERT ON orders BEGIN
    INSERT INTO outbox(key, value, headers) VALUES (new.id, new.item, new.note);
END;
CREATE TRIGGER orders_update AFTER UPDATE ON orders BEGIN
    INSERT INTO outbox(key, value, headers) VALUES (new.id, 'now ' || new.item, new.note);
END;
CREATE TRIGGER orders_delete AFTER DELETE ON orders BEGIN
    INSERT INTO outbox(key, value) VALUES (old.id, NULL);
END;
INSERT INTO orders VALUES (1, 'plain', NULL);
INSERT OR ABORT INTO orders VALUES (2, 'abort', NULL);
INSERT OR FAIL INTO orders VALUES (3, 'fail', NULL);
INSERT OR IGNORE INTO orders VALUES (4, 'ignore', NULL);
INSERT OR REPLACE INTO orders VALUES (5, 'replace', NULL);
INSERT OR ROLLBACK INTO orders VALUES (6, 'rollback', NULL);
SELECT offset, key, value FROM outbox;
.print -- an existing order: IGNORE makes neither row nor event, REPLACE makes both
INSERT OR IGNORE INTO orders VALUES (1, 'again', NULL);
INSERT OR REPLACE INTO orders VALUES (1, 'again', NULL);
INSERT OR ABORT INTO orders VALUES (1, 'no', NULL);
INSERT OR FAIL INTO orders VALUES (1, 'no', NULL);
INSERT OR ROLLBACK INTO orders VALUES (1, 'no', NULL);
SELECT offset, key, value FROM outbox WHERE offset >= 6;
.print -- UPDATE and DELETE with clauses, UPSERT on the ordinary table
UPDATE OR IGNORE orders SET item = 'ignored two' WHERE id = 2;
UPDATE OR REPLACE orders SET item = 'fail' WHERE id = 2;
UPDATE OR FAIL orders SET item = 'x' WHERE id = 4;
UPDATE OR ROLLBACK orders SET item = 'y' WHERE id = 5;
UPDATE OR ABORT orders SET item = 'z' WHERE id = 6;
DELETE FROM orders WHERE id = 6;
INSERT INTO orders VALUES (5, 'up', NULL) ON CONFLICT(id) DO UPDATE SET item = excluded.item;
INSERT INTO orders VALUES (5, 'up', NULL) ON CONFLICT DO NOTHING;
SELECT offset, key, value FROM outbox WHERE offset >= 7;
SELECT id, item FROM orders;
.print -- an event the log refuses fails the order, under every clause: bad headers
INSERT INTO orders VALUES (10, 'a', 'not json');
INSERT OR ABORT INTO orders VALUES (10, 'a', 'not json');
INSERT OR FAIL INTO orders VALUES (10, 'a', 'not json');
INSERT OR IGNORE INTO orders VALUES (10, 'a', 'not json');
INSERT OR REPLACE INTO orders VALUES (10, 'a', 'not json');
INSERT OR ROLLBACK INTO orders VALUES (10, 'a', 'not json');
UPDATE OR IGNORE orders SET note = 'not json' WHERE id = 1;
.print -- ... too big
INSERT OR ABORT INTO orders VALUES (10, zeroblob(2000), NULL);
INSERT OR FAIL INTO orders VALUES (10, zeroblob(2000), NULL);
INSERT OR IGNORE INTO orders VALUES (10, zeroblob(2000), NULL);
INSERT OR REPLACE INTO orders VALUES (10, zeroblob(2000), NULL);
INSERT OR ROLLBACK INTO orders VALUES (10, zeroblob(2000), NULL);
UPDATE OR IGNORE orders SET item = zeroblob(2000) WHERE id = 1;
SELECT count(*), max(offset) FROM outbox;
.print -- ... an order that failed is not there (FAIL keeps the row: SQLite's own meaning of it)
SELECT id, typeof(item) FROM orders WHERE id >= 10;
DELETE FROM orders WHERE id >= 10;
.print -- ... a bad timestamp, an UPDATE of the log, a DELETE that leaves a hole
CREATE TABLE doings(what, arg);
CREATE TRIGGER doings_stamp AFTER INSERT ON doings WHEN new.what = 'stamp' BEGIN
    INSERT INTO outbox(timestamp) VALUES (new.arg);
END;
CREATE TRIGGER doings_update AFTER INSERT ON doings WHEN new.what = 'update' BEGIN
    UPDATE outbox SET value = 'changed' WHERE offset = new.arg;
END;
CREATE TRIGGER doings_delete AFTER INSERT ON doings WHEN new.what = 'delete' BEGIN
    DELETE FROM outbox WHERE offset = new.arg;
END;
CREATE TRIGGER doings_command AFTER INSERT ON doings WHEN new.what = 'command' BEGIN
    INSERT INTO outbox(outbox) VALUES (new.arg);
END;
INSERT OR IGNORE INTO doings VALUES ('stamp', 'abc');
INSERT OR REPLACE INTO doings VALUES ('stamp', 'abc');
INSERT OR IGNORE INTO doings VALUES ('update', 3);
INSERT OR REPLACE INTO doings VALUES ('update', 3);
INSERT OR IGNORE INTO doings VALUES ('delete', 3);
INSERT OR REPLACE INTO doings VALUES ('delete', 3);
INSERT OR IGNORE INTO doings VALUES ('command', 'no such command');
INSERT OR IGNORE INTO doings VALUES ('command', 'rotate');
SELECT what, arg FROM doings;
SELECT count(*), max(offset), sum(value = 'changed') FROM outbox;

.print -- compare-and-append inside a trigger, wrong: all five; only an outer IGNORE makes it a no-op
CREATE TABLE steps(expected, value);
CREATE VIRTUAL TABLE steplog USING commitlog;
CREATE TRIGGER steps_insert AFTER INSERT ON steps BEGIN
    INSERT INTO steplog(offset, value) VALUES (new.expected, new.value);
END;
INSERT INTO steps VALUES (0, 'right');
INSERT OR IGNORE INTO steps VALUES (1, 'right, ignore');
INSERT OR REPLACE INTO steps VALUES (2, 'right, replace');
INSERT INTO steps VALUES (0, 'wrong');
INSERT OR ABORT INTO steps VALUES (0, 'wrong, abort');
INSERT OR FAIL INTO steps VALUES (0, 'wrong, fail');
INSERT OR IGNORE INTO steps VALUES (0, 'wrong, ignore');
INSERT OR REPLACE INTO steps VALUES (0, 'wrong, replace');
BEGIN;
INSERT INTO steps VALUES (3, 'rolled back');
INSERT OR ROLLBACK INTO steps VALUES (0, 'wrong, rollback');
COMMIT;
SELECT offset, value FROM steplog;
SELECT * FROM steps;

.print -- the trigger's own clause, when the outer statement has none
CREATE TABLE own(clause);
CREATE TRIGGER own_ignore AFTER INSERT ON own WHEN new.clause = 'ignore' BEGIN
    INSERT OR IGNORE INTO steplog(offset, value) VALUES (0, 'own ignore');
END;
CREATE TRIGGER own_replace AFTER INSERT ON own WHEN new.clause = 'replace' BEGIN
    INSERT OR REPLACE INTO steplog(offset, value) VALUES (0, 'own replace');
END;
CREATE TRIGGER own_fail AFTER INSERT ON own WHEN new.clause = 'fail' BEGIN
    INSERT OR FAIL INTO steplog(value) VALUES ('own fail');
    INSERT OR FAIL INTO steplog(offset, value) VALUES (0, 'own fail');
END;
INSERT INTO own VALUES ('ignore');
INSERT INTO own VALUES ('replace');
INSERT INTO own VALUES ('fail');
SELECT offset, value FROM steplog WHERE offset >= 3;
SELECT clause FROM own;

.print -- multi-row INSERT, all right, right and default mixed, wrong at the end
CREATE VIRTUAL TABLE multi USING commitlog;
INSERT INTO multi(value) VALUES ('a'), ('b'), ('c');
INSERT INTO multi(offset, value) VALUES (3, 'd'), (NULL, 'e'), (5, 'f');
INSERT INTO multi(offset, value) VALUES (NULL, 'g'), (7, 'h'), (7, 'i');
SELECT changes();
SELECT offset, value FROM multi;

.print -- INSERT ... SELECT, from an ordinary table, from itself (it ends), with ORDER BY and LIMIT
INSERT INTO multi(key, value) SELECT id, item FROM orders ORDER BY id;
INSERT INTO multi(key, value) SELECT key, value FROM multi;
SELECT count(*), count(DISTINCT offset), max(offset), group_concat(value) FROM multi;
INSERT INTO multi(value) SELECT 'last ' || value FROM multi ORDER BY offset DESC LIMIT 2;
INSERT INTO multi(value) SELECT 'first ' || value FROM multi WHERE offset < 2;
SELECT offset, value FROM multi ORDER BY offset DESC LIMIT 4;
INSERT INTO multi(offset, value) SELECT offset + (SELECT max(offset) + 1 FROM multi), 'moved'
    FROM multi;
SELECT count(*), sum(value = 'moved'), max(offset) FROM multi;
INSERT INTO multi SELECT * FROM multi;
INSERT INTO multi SELECT NULL, timestamp, key, value, headers FROM multi WHERE offset = 0;
SELECT offset, value FROM multi ORDER BY offset DESC LIMIT 1;
INSERT INTO orders SELECT offset + 1000, 'from the log ' || offset, NULL FROM multi
    WHERE offset < 3;
SELECT id, item FROM orders WHERE id >= 1000;
SELECT offset, key, value FROM outbox ORDER BY offset DESC LIMIT 3;

.print -- RETURNING knows no offset, or is refused by SQLite; UPSERT is refused by SQLite
INSERT INTO multi(value) VALUES ('returning') RETURNING offset, value;
SELECT offset = last_insert_rowid(), value FROM multi ORDER BY offset DESC LIMIT 1;
DELETE FROM multi WHERE offset = 0 RETURNING offset;
SELECT min(offset) FROM multi;
INSERT INTO multi(value) VALUES ('r') ON CONFLICT DO NOTHING;
INSERT INTO multi(value) VALUES ('r') ON CONFLICT(offset) DO UPDATE SET value = 1;

.print -- into an attached database, by name and by trigger there
ATTACH 'other.db' AS other;
CREATE VIRTUAL TABLE other.y USING commitlog;
INSERT INTO other.y(value) VALUES ('direct');
INSERT INTO y(value) VALUES ('unqualified');
INSERT INTO other.y(key, value) SELECT offset, value FROM multi WHERE offset < 2;
CREATE TABLE other.sources(v);
CREATE TRIGGER other.sources_insert AFTER INSERT ON sources BEGIN
    INSERT INTO y(value) VALUES (new.v);
END;
INSERT INTO other.sources VALUES ('by trigger');
SELECT offset, key, value FROM other.y;
SELECT count(*) FROM other.y y JOIN multi m USING (offset);
.print -- the same name in both databases: two logs
CREATE VIRTUAL TABLE other.multi USING commitlog;
INSERT INTO other.multi(value) VALUES ('of other');
SELECT offset, value FROM other.multi;
SELECT count(*) > 1 FROM main.multi;
SELECT sum(file GLOB '*/test.db-commitlog/*'), count(*) FROM commitlog_segments('main.multi');
SELECT sum(file GLOB '*/other.db-commitlog/*'), count(*) FROM commitlog_segments('other.multi');
.print -- in one transaction with main, rolled back and committed
BEGIN;
INSERT INTO other.y(value) VALUES ('rolled back');
INSERT INTO multi(value) VALUES ('rolled back');
ROLLBACK;
BEGIN;
INSERT INTO other.y(value) VALUES ('committed');
INSERT INTO multi(value) VALUES ('committed');
COMMIT;
SELECT value FROM other.y WHERE value GLOB '*ed' UNION ALL
SELECT value FROM multi WHERE value GLOB '*ed' AND value <> 'moved';

.print -- TEMP triggers: on an ordinary table of main, into a log of main and into one of other
CREATE TABLE watched(v);
CREATE TEMP TRIGGER watched_main AFTER INSERT ON main.watched BEGIN
    INSERT INTO steplog(value) VALUES ('temp trigger ' || new.v);
END;
CREATE TEMP TRIGGER watched_other AFTER INSERT ON main.watched BEGIN
    INSERT INTO y(value) VALUES ('temp trigger ' || new.v);
END;
INSERT INTO watched VALUES ('one');
INSERT OR IGNORE INTO watched VALUES ('two');
INSERT OR REPLACE INTO watched VALUES ('three');
BEGIN;
INSERT INTO watched VALUES ('rolled back');
ROLLBACK;
SELECT offset, value FROM steplog WHERE value GLOB 'temp*';
SELECT offset, value FROM y WHERE value GLOB 'temp*';
.print -- a trigger on the log itself: SQLite refuses
CREATE TRIGGER on_log AFTER INSERT ON steplog BEGIN SELECT 1; END;
DROP TRIGGER watched_main;
DROP TRIGGER watched_other;
DETACH other;

.print -- last_insert_rowid() is the offset, in autocommit and in a transaction, before and after COMMIT
CREATE VIRTUAL TABLE r USING commitlog;
CREATE TABLE rt(id INTEGER PRIMARY KEY, v);
INSERT INTO r(value) VALUES ('a');
SELECT last_insert_rowid();
INSERT INTO r(value) VALUES ('b'), ('c'), ('d');
SELECT last_insert_rowid();
BEGIN;
INSERT INTO r(value) VALUES ('e');
SELECT last_insert_rowid();
COMMIT;
SELECT last_insert_rowid();
.print -- a later insert into an ordinary table counts, over the COMMIT too
BEGIN;
INSERT INTO r(value) VALUES ('f');
INSERT INTO rt VALUES (777, 'x');
SELECT last_insert_rowid();
COMMIT;
SELECT last_insert_rowid();
BEGIN;
INSERT INTO rt VALUES (778, 'x');
INSERT INTO r(value) VALUES ('g');
COMMIT;
SELECT last_insert_rowid();
.print -- a compare-and-append that was ignored, one that failed: as it was
INSERT OR IGNORE INTO r(offset, value) VALUES (0, 'no');
SELECT last_insert_rowid();
INSERT INTO r(offset, value) VALUES (0, 'no');
SELECT last_insert_rowid();
.print -- commands, a SELECT, DELETE at the head, DROP: none disturbs it
INSERT INTO rt VALUES (900, 'x');
INSERT INTO r(r) VALUES ('flush');
SELECT last_insert_rowid();
INSERT INTO r(r) VALUES ('rotate');
SELECT last_insert_rowid();
INSERT INTO r(r) VALUES ('trim');
SELECT last_insert_rowid();
INSERT INTO r(r, offset) VALUES ('delete-records', 1);
SELECT last_insert_rowid();
DELETE FROM r WHERE offset < 2;
SELECT last_insert_rowid();
SELECT count(*) FROM r;
SELECT last_insert_rowid();
CREATE VIRTUAL TABLE dropped USING commitlog;
SELECT last_insert_rowid();
DROP TABLE dropped;
SELECT last_insert_rowid();
.print -- a log fed by a trigger: the outer statement's rowid stands, as with an ordinary table
CREATE TRIGGER rt_insert AFTER INSERT ON rt BEGIN
    INSERT INTO r(value) VALUES (new.v);
END;
INSERT INTO rt VALUES (950, 'by trigger');
SELECT last_insert_rowid();
SELECT max(offset) FROM r;
.print -- and changes() counts the rows of the statement
INSERT INTO r(value) VALUES ('h'), ('i');
SELECT changes();
BEGIN;
INSERT INTO r(value) VALUES ('j'), ('k'), ('l');
SELECT changes();
COMMIT;
PRAGMA integrity_check;
