-- Files that suffered: an index missing, cut, garbled or foreign changes no answer; a segment
-- damaged, cut or missing is an error that names segment and offset, for its own rows only. Bytes
-- are changed with dd while the database is closed; it does not bear a sanitizer's preload.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);
INSERT INTO x(timestamp, value) SELECT value, printf('%d %.*c', value, 1000, 'x')
    FROM generate_series(0, 29);
INSERT INTO t SELECT value, value, NULL, printf('%d %.*c', value, 1000, 'x'), NULL
    FROM generate_series(0, 29);
CREATE VIEW agree AS SELECT (SELECT count(*) FROM x) AS n,
    (SELECT count(*) FROM (SELECT * FROM x EXCEPT SELECT * FROM t)) +
    (SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM x)) AS different;
SELECT * FROM agree;
SELECT base_offset, records FROM commitlog_segments('x');
.shell ls test.db-commitlog/*/*.idx | wc -l | tr -d ' '

.print -- every index missing
.open :memory:
.shell cp -R test.db-commitlog saved; rm test.db-commitlog/*/*.idx
.open test.db
.load ./commitlog
SELECT * FROM agree;
SELECT offset, substr(value, 1, 3) FROM x WHERE offset IN (0, 13, 29);
INSERT INTO x(timestamp, value) VALUES (30, 'appended');
INSERT INTO t(timestamp, value) VALUES (30, 'appended');
SELECT * FROM agree;

.print -- cut to nothing, to odd lengths; full of garbage; of zeros; those of other segments
.open :memory:
.shell for f in test.db-commitlog/*/*.idx; do : > $f; done
.open test.db
.load ./commitlog
SELECT * FROM agree;
.open :memory:
.shell for f in test.db-commitlog/*/*.idx; do printf 'abc' > $f; done
.open test.db
.load ./commitlog
SELECT * FROM agree;
.open :memory:
.shell for f in test.db-commitlog/*/*.idx; do printf '%s' garbagegarbagegarbagegarbagegarbagegarbagegarbagegarbagegarbagegarbagegarbage > $f; done
.open test.db
.load ./commitlog
SELECT * FROM agree;
.open :memory:
.shell for f in test.db-commitlog/*/*.idx; do head -c 4096 /dev/zero > $f; done
.open test.db
.load ./commitlog
SELECT * FROM agree;
.open :memory:
.shell for f in test.db-commitlog/*/*.idx; do cp saved/*/00000000000000000000.idx $f; done
.open test.db
.load ./commitlog
SELECT * FROM agree;
SELECT offset, substr(value, 1, 3) FROM x ORDER BY offset DESC LIMIT 3;
SELECT substr(value, 1, 3) FROM x WHERE offset = 13;
INSERT INTO x(timestamp, value) VALUES (31, 'appended');
INSERT INTO t(timestamp, value) VALUES (31, 'appended');
SELECT * FROM agree;
.print -- a directory in the place of one; read-only, missing
.open :memory:
.shell d=$(ls -d test.db-commitlog/*); rm $d/*.idx; mkdir $d/00000000000000000000.idx
.open test.db
.load ./commitlog
SELECT * FROM agree;
.open :memory:
.shell rm -r test.db-commitlog/*/*.idx
.open --readonly test.db
.load ./commitlog
SELECT * FROM agree;
SELECT substr(value, 1, 3) FROM x WHERE offset = 13;
.shell ls test.db-commitlog/*/*.idx 2>/dev/null | wc -l | tr -d ' '

.print -- one byte of one value in the second segment
.open :memory:
.shell unset LD_PRELOAD; f=$(ls test.db-commitlog/*/*.log | sed -n 2p); printf 'Y' | dd of=$f bs=1 seek=1900 conv=notrunc 2>/dev/null
.open test.db
.load ./commitlog
SELECT count(value) FROM x;
SELECT substr(value, 1, 3) FROM x WHERE offset = 4;
SELECT substr(value, 1, 3) FROM x WHERE offset = 3;
SELECT substr(value, 1, 3) FROM x WHERE offset = 5;
SELECT group_concat(substr(value, 1, 3)) FROM x WHERE offset < 3;
SELECT count(value) FROM x WHERE offset >= 6;
SELECT * FROM x WHERE offset = 4;
SELECT count(value) FROM x WHERE offset BETWEEN 2 AND 7;
SELECT max(offset) FROM x;
INSERT INTO x(timestamp, value) VALUES (32, 'appended');
SELECT substr(value, 1, 8) FROM x WHERE offset = 32;
.print -- its header
.open :memory:
.shell unset LD_PRELOAD; f=$(ls test.db-commitlog/*/*.log | sed -n 3p); printf 'GARBAGE' | dd of=$f bs=1 seek=0 conv=notrunc 2>/dev/null
.open test.db
.load ./commitlog
SELECT count(value) FROM x WHERE offset >= 9;
SELECT count(value) FROM x WHERE offset BETWEEN 6 AND 8;
SELECT count(value) FROM x WHERE offset < 3;
.print -- cut short; missing
.open :memory:
.shell f=$(ls test.db-commitlog/*/*.log | sed -n 4p); head -c 1500 $f > cut && cp cut $f
.shell f=$(ls test.db-commitlog/*/*.log | sed -n 5p); rm $f
.open test.db
.load ./commitlog
SELECT substr(value, 1, 3) FROM x WHERE offset = 9;
SELECT substr(value, 1, 3) FROM x WHERE offset = 11;
SELECT count(value) FROM x WHERE offset BETWEEN 9 AND 11;
SELECT count(value) FROM x WHERE offset BETWEEN 12 AND 14;
SELECT substr(value, 1, 3) FROM x WHERE offset = 12;
SELECT count(value) FROM x WHERE offset >= 15;
SELECT count(value) FROM x WHERE offset < 3;
.print -- two segments swapped
.open :memory:
.shell d=$(ls -d test.db-commitlog/*); a=$(ls $d/*.log | sed -n 6p); b=$(ls $d/*.log | sed -n 7p); mv $a swap; mv $b $a; mv swap $b
.open test.db
.load ./commitlog
SELECT count(value) FROM x WHERE offset BETWEEN 18 AND 20;
.print -- a symbolic link in the place of one: not followed
.open :memory:
.shell d=$(ls -d test.db-commitlog/*); a=$(ls $d/*.log | tail -n 2 | head -n 1); mv $a elsewhere; ln -s "$PWD/elsewhere" $a
.open test.db
.load ./commitlog
SELECT count(value) FROM x WHERE offset BETWEEN 24 AND 26;
SELECT count(value) FROM x WHERE offset BETWEEN 27 AND 29;

.print -- the damaged head can be deleted, and the rest is whole
INSERT INTO x(x, offset) VALUES ('delete-records', 30);
SELECT offset, value FROM x;
.print -- and the table dropped
DROP TABLE x;
SELECT count(*) FROM sqlite_schema WHERE name GLOB 'x*';

.print -- shadow rows edited by a stranger: an error, not a wrong answer
CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);
INSERT INTO x(timestamp, value) SELECT value, printf('%d %.*c', value, 1000, 'x')
    FROM generate_series(0, 9);
.dbconfig defensive off
UPDATE x_ledger SET next_offset = next_offset + 1;
.open test.db
.load ./commitlog
SELECT count(*) FROM x;
INSERT INTO x(value) VALUES ('a');
.dbconfig defensive off
UPDATE x_ledger SET next_offset = next_offset - 1;
.open test.db
.load ./commitlog
SELECT count(*) FROM x;
.dbconfig defensive off
UPDATE x_segments SET record_count = record_count - 1 WHERE base_offset = 0;
.open test.db
.load ./commitlog
SELECT count(value) FROM x;
SELECT * FROM commitlog_segments('x');
DROP TABLE x;
PRAGMA integrity_check;
