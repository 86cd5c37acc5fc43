-- DROP TABLE, its ROLLBACK, RENAME, VACUUM, DETACH, and tables whose directory is in a bad way: all
-- can be dropped, and foreign files are left alone. Files are counted in the shell.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
INSERT INTO x(timestamp, value) SELECT value, printf('%.*c', 1000, 'x') FROM generate_series(1, 20);
.shell echo $(ls test.db-commitlog | wc -l) directory

.print -- ROLLBACK of DROP loses nothing
BEGIN;
DROP TABLE x;
ROLLBACK;
SELECT count(value), sum(timestamp) FROM x;
INSERT INTO x(timestamp, value) VALUES (21, 'after');
SELECT count(value), sum(timestamp) FROM x;

.print -- DROP frees the disk, takes the shadow tables along, and lets the name be used again
DROP TABLE x;
.shell echo $(find test.db-commitlog -name '*.log' 2>/dev/null | wc -l) files
SELECT count(*) FROM sqlite_schema WHERE name = 'x' OR name GLOB 'x_*';
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
SELECT count(*) FROM x;
INSERT INTO x(offset, timestamp, value) VALUES (0, 1, 'new');
SELECT offset, value FROM x;

.print -- DROP of one leaves the others; DROP of one without records
CREATE VIRTUAL TABLE y USING commitlog;
CREATE VIRTUAL TABLE z USING commitlog;
INSERT INTO y(value) VALUES ('of y');
DROP TABLE z;
DROP TABLE x;
SELECT offset, value FROM y;
.shell echo $(ls -d test.db-commitlog/*/ | wc -l) directory

.print -- in a transaction with other statements; DROP IF EXISTS
BEGIN;
CREATE VIRTUAL TABLE x USING commitlog;
INSERT INTO x(value) VALUES ('a');
INSERT INTO y(value) VALUES ('b');
DROP TABLE x;
CREATE TABLE ordinary(a);
COMMIT;
SELECT offset, value FROM y;
.shell echo $(ls -d test.db-commitlog/*/ | wc -l) directory
DROP TABLE IF EXISTS x;

.print -- shadow tables are not for writing by hand in defensive mode; they are there
SELECT name FROM sqlite_schema WHERE name GLOB 'y_*' AND type = 'table' ORDER BY name;
.dbconfig defensive on
DELETE FROM y_ledger;
INSERT INTO y(value) VALUES ('defensive');
CREATE VIRTUAL TABLE defensive USING commitlog;
INSERT INTO defensive(value) VALUES ('a');
ALTER TABLE defensive RENAME TO guarded;
SELECT offset, value FROM guarded;
DROP TABLE guarded;
.dbconfig defensive off
SELECT offset, value FROM y;

.print -- RENAME: records, segments and shadow tables come along; into the same directory
ALTER TABLE y RENAME TO w;
SELECT offset, value FROM w;
INSERT INTO w(value) VALUES ('renamed');
INSERT INTO w(w) VALUES ('rotate');
SELECT * FROM y;
SELECT base_offset, records, state FROM commitlog_segments('w');
SELECT base_offset FROM commitlog_segments('y');
.open test.db
.load ./commitlog
SELECT offset, value FROM w;
CREATE VIRTUAL TABLE y USING commitlog;
INSERT INTO y(value) VALUES ('another y');
SELECT offset, value FROM y;
DROP TABLE y;
ALTER TABLE w RENAME TO y;
SELECT offset, value FROM y;

.print -- VACUUM, and appending after it
VACUUM;
SELECT offset, value FROM y;
INSERT INTO y(value) VALUES ('vacuumed');
SELECT max(offset) FROM y;
PRAGMA integrity_check;

.print -- attached: create, fill, drop, detach, attach
ATTACH 'other.db' AS other;
CREATE VIRTUAL TABLE other.y USING commitlog(file_delete_delay_ms=0);
INSERT INTO other.y(value) VALUES ('of other');
BEGIN;
DROP TABLE other.y;
ROLLBACK;
SELECT offset, value FROM other.y;
DETACH other;
SELECT offset, value FROM y WHERE offset = 0;
ATTACH 'other.db' AS third;
SELECT offset, value FROM third.y;
ALTER TABLE third.y RENAME TO v;
INSERT INTO third.v(value) VALUES ('renamed');
SELECT offset, value FROM v;
DROP TABLE third.v;
.shell echo $(find other.db-commitlog -name '*.log' 2>/dev/null | wc -l) files
SELECT count(*) FROM third.sqlite_schema;
DETACH third;

.print -- another connection sees the drop
CREATE VIRTUAL TABLE seen USING commitlog(file_delete_delay_ms=0);
INSERT INTO seen(value) VALUES ('a');
.connection 1
.open test.db
.load ./commitlog
SELECT offset, value FROM seen;
.connection 0
DROP TABLE seen;
CREATE VIRTUAL TABLE seen USING commitlog(file_delete_delay_ms=0);
INSERT INTO seen(value) VALUES ('another');
.connection 1
SELECT offset, value FROM seen;
INSERT INTO seen(value) VALUES ('from here');
DROP TABLE seen;
.connection 0
SELECT * FROM seen;
.connection 1
.open :memory:
.connection 0

.print -- with its directory missing
CREATE VIRTUAL TABLE missing USING commitlog(file_delete_delay_ms=0);
INSERT INTO missing(value) VALUES ('a');
.shell mkdir aside; mv test.db-commitlog/* aside/
DROP TABLE missing;
.shell mv aside/* test.db-commitlog/ && rmdir aside
SELECT offset, value FROM y WHERE offset = 0;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'missing*';

.print -- the delay of 60 s is for segments that retention drops: DROP TABLE frees the disk at once
.shell echo $(find test.db-commitlog -name '*.log' | wc -l) files, one of them of the table before
DROP TABLE y;
.shell echo $(find test.db-commitlog -name '*.log' | wc -l) files

.print -- with a file in its place, and a fresh connection
.shell rm -rf test.db-commitlog
CREATE VIRTUAL TABLE odd USING commitlog(file_delete_delay_ms=0);
INSERT INTO odd(value) VALUES ('a');
.open :memory:
.shell rm -rf test.db-commitlog; echo text > test.db-commitlog
.open test.db
.load ./commitlog
SELECT * FROM odd;
DROP TABLE odd;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'odd*';
.shell cat test.db-commitlog; rm test.db-commitlog

.print -- full of foreign files, which stay
CREATE VIRTUAL TABLE guest USING commitlog(file_delete_delay_ms=0);
INSERT INTO guest(value) VALUES ('a');
.shell for d in test.db-commitlog/*/; do echo mine > $d/notes.txt; echo mine > $d/1.log; mkdir $d/sub; echo mine > $d/sub/00000000000000000000.log; done; echo mine > test.db-commitlog/notes.txt
SELECT offset, value FROM guest;
INSERT INTO guest(guest) VALUES ('rotate');
INSERT INTO guest(value) VALUES ('b');
INSERT INTO guest(guest, offset) VALUES ('delete-records', 1);
INSERT INTO guest(value) VALUES ('c');
SELECT offset, value FROM guest;
DROP TABLE guest;
.shell find test.db-commitlog -type f | sed 's,.*/,,' | sort
.shell rm -rf test.db-commitlog

.print -- with damaged files
CREATE VIRTUAL TABLE damaged USING commitlog(file_delete_delay_ms=0);
INSERT INTO damaged(value) VALUES ('a');
.open :memory:
.shell for f in test.db-commitlog/*/*.log; do echo garbage > $f; done
.open test.db
.load ./commitlog
SELECT * FROM damaged;
DROP TABLE damaged;
.shell echo $(find test.db-commitlog -name '*.log' 2>/dev/null | wc -l) files
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'damaged*';

.print -- with damaged shadow tables
CREATE VIRTUAL TABLE hollow USING commitlog(file_delete_delay_ms=0);
INSERT INTO hollow(value) VALUES ('a');
.dbconfig defensive off
DELETE FROM hollow_ledger;
.open test.db
.load ./commitlog
SELECT * FROM hollow;
INSERT INTO hollow(value) VALUES ('b');
DROP TABLE hollow;
CREATE VIRTUAL TABLE hollow USING commitlog(file_delete_delay_ms=0);
INSERT INTO hollow(value) VALUES ('a');
DROP TABLE hollow_segments;
DROP TABLE hollow_config;
.open test.db
.load ./commitlog
SELECT * FROM hollow;
DROP TABLE hollow;
SELECT count(*) FROM sqlite_schema;
PRAGMA integrity_check;
