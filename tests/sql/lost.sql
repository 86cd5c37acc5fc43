-- A log that is not there: databases copied, moved, or restored without their directory, by cp,
-- VACUUM INTO, .dump and mv. Nothing reads as empty, nothing is appended, errors name the
-- directory; commitlog_adopt() takes over on purpose. Then the database with its directory, moved:
-- all there.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog(file_delete_delay_ms=0);
CREATE VIRTUAL TABLE never_used USING commitlog;
CREATE TABLE t(v);
INSERT INTO x(key, value) VALUES ('k', 'a'), ('k', 'b'), ('k', 'c');
INSERT INTO t VALUES ('kept');
.output dump.sql
.dump
.output
VACUUM INTO 'vacuumed.db';
.open :memory:
.shell cp test.db copied.db

.print -- cp: reading is an error in every form, the other tables are fine
.open copied.db
.load ./commitlog
SELECT * FROM x;
SELECT value FROM x WHERE offset = 1;
SELECT max(offset) FROM x;
SELECT count(*) FROM x WHERE offset > 100;
SELECT count(*) FROM x;
SELECT v FROM t;
SELECT count(*) FROM never_used;
.print -- appending is refused, under every clause, directly and through a trigger, and leaves no directory
INSERT INTO x(value) VALUES ('d');
INSERT OR IGNORE INTO x(value) VALUES ('d');
INSERT OR REPLACE INTO x(offset, value) VALUES (3, 'd');
SELECT commitlog_append('x', 'k', 'd');
CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN INSERT INTO x(value) VALUES (new.v); END;
INSERT INTO t VALUES ('not without its event');
INSERT OR IGNORE INTO t VALUES ('not without its event');
SELECT v FROM t;
.shell ls -d copied.db-commitlog 2>&1 | sed 's/^ls:.*/no directory/'
.print -- and so are the commands and DELETE
INSERT INTO x(x) VALUES ('rotate');
INSERT INTO x(x) VALUES ('trim');
INSERT INTO x(x, offset) VALUES ('delete-records', 1);
DELETE FROM x;
.print -- a log that never had records is none the worse
INSERT INTO never_used(value) VALUES ('first');
SELECT offset, value FROM never_used;
SELECT * FROM x;
.print -- in a transaction: the statement fails, the rest commits
DROP TRIGGER t_insert;
BEGIN;
INSERT INTO t VALUES ('with a failed append');
INSERT INTO x(value) VALUES ('d');
COMMIT;
SELECT v FROM t;
.print -- it can be renamed, and dropped
ALTER TABLE x RENAME TO x2;
SELECT * FROM x2;
BEGIN;
DROP TABLE x2;
ROLLBACK;
SELECT * FROM x2;
DROP TABLE x2;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'x*';

.print -- VACUUM INTO
.open vacuumed.db
.load ./commitlog
SELECT * FROM x;
INSERT INTO x(value) VALUES ('d');
SELECT v FROM t;
DROP TABLE x;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'x*';

.print -- restored from .dump (the shell writes the schema row by hand, and says so)
.open dumped.db
.dbconfig defensive off
.read dump.sql
.open dumped.db
.load ./commitlog
SELECT * FROM x;
INSERT INTO x(value) VALUES ('d');
SELECT v FROM t;
DROP TABLE x;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'x*';

.print -- attached
.shell cp test.db attached.db
.open test.db
.load ./commitlog
ATTACH 'attached.db' AS far;
SELECT * FROM far.x;
INSERT INTO far.x(value) VALUES ('d');
SELECT offset, value FROM main.x;
DROP TABLE far.x;
SELECT offset, value FROM x;
DETACH far;
.open :memory:

.print -- the directory of another log in its place: not its own
.shell mkdir other; cp test.db other/test.db; mkdir other/test.db-commitlog; mkdir other/test.db-commitlog/11111111-2222-4333-8444-555555555555
.open other/test.db
.load ./commitlog
SELECT * FROM x;
INSERT INTO x(value) VALUES ('d');
.shell ls other/test.db-commitlog
.print -- its own name, but another log's files; an empty directory of the right name
.open :memory:
.shell mkdir foreign && cp test.db foreign/test.db && mkdir foreign/test.db-commitlog
.open foreign.db
.load ./commitlog
CREATE VIRTUAL TABLE x USING commitlog;
INSERT INTO x(value) VALUES ('foreign'), ('foreign'), ('foreign');
.open :memory:
.shell u=$(ls test.db-commitlog); v=$(ls foreign.db-commitlog); cp -R foreign.db-commitlog/$v foreign/test.db-commitlog/$u
.open foreign/test.db
.load ./commitlog
SELECT * FROM x;
INSERT INTO x(value) VALUES ('d');
SELECT count(value) FROM x;
DROP TABLE x;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'x*';
.open :memory:
.shell mkdir bare && cp test.db bare/test.db && mkdir -p bare/test.db-commitlog/$(ls test.db-commitlog)
.open bare/test.db
.load ./commitlog
SELECT * FROM x;
INSERT INTO x(value) VALUES ('d');
SELECT value FROM x WHERE offset = 0;

.print -- commitlog_adopt: takes over on purpose; what is lost stays lost, offsets go on
.open :memory:
.shell cp test.db adopted.db
.open adopted.db
.load ./commitlog
SELECT commitlog_adopt('nosuch');
SELECT commitlog_adopt('t');
SELECT commitlog_adopt();
SELECT commitlog_adopt('x', 1);
SELECT * FROM x;
SELECT commitlog_adopt('main.x') IS NOT 0;
SELECT count(*), min(offset), max(offset) FROM x;
INSERT INTO x(offset, value) VALUES (0, 'no');
INSERT INTO x(value) VALUES ('d');
SELECT offset, value FROM x;
SELECT base_offset, records, file GLOB '*/adopted.db-commitlog/*' FROM commitlog_segments('x');
.open adopted.db
.load ./commitlog
SELECT offset, value FROM x;
.print -- ... in a transaction, taken back
.open :memory:
.shell cp test.db adopted2.db
.open adopted2.db
.load ./commitlog
BEGIN;
SELECT commitlog_adopt('x') IS NOT 0;
INSERT INTO x(value) VALUES ('gone');
SELECT offset, value FROM x;
ROLLBACK;
SELECT * FROM x;
.print -- the original has lost nothing by any of this
.open test.db
.load ./commitlog
SELECT offset, key, value FROM x;
INSERT INTO x(value) VALUES ('d');
SELECT offset, value FROM x WHERE offset = 3;
.print -- adopting a log that is there changes nothing, or is refused; no record is lost
SELECT commitlog_adopt('x') IS NOT 0;
SELECT offset, value FROM x;

.print -- moved with its directory: all there
.open :memory:
.shell mkdir moved && mv test.db moved/renamed.db && mv test.db-commitlog moved/renamed.db-commitlog
.open moved/renamed.db
.load ./commitlog
SELECT offset, key, value FROM x;
INSERT INTO x(value) VALUES ('e');
SELECT max(offset) FROM x;
.print -- moved without
.open :memory:
.shell mv moved/renamed.db alone.db
.open alone.db
.load ./commitlog
SELECT * FROM x;
INSERT INTO x(value) VALUES ('f');
.print -- and back
.open :memory:
.shell mv alone.db moved/renamed.db
.open moved/renamed.db
.load ./commitlog
SELECT offset, value FROM x;
.print -- read-only: the missing directory is the same error, the present one is read
.open --readonly moved/renamed.db
.load ./commitlog
SELECT offset, value FROM x;
.open --readonly adopted2.db
.load ./commitlog
SELECT * FROM x;
