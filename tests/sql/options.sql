-- CREATE VIRTUAL TABLE ... USING commitlog(options): every option, its units, what is refused and
-- how the refusal reads, the defaults. Relies on small segments to make a value's effect visible.
-- Does not test retention itself (retention.sql) nor rotation itself (rotation.sql).
.nullvalue NULL

.print -- no options, empty parentheses
CREATE VIRTUAL TABLE plain USING commitlog;
CREATE VIRTUAL TABLE parens USING commitlog();
INSERT INTO plain(value) VALUES ('a');
INSERT INTO parens(value) VALUES ('a');
SELECT offset, value FROM plain UNION ALL SELECT offset, value FROM parens;

.print -- all options at once, units, spaces, either kind of quote, none
CREATE VIRTUAL TABLE every USING commitlog(
    segment_bytes = '64KiB', segment_ms='7d', retention_bytes="1GiB", retention_ms = '30d',
    retention_records=1000000, max_message_bytes='1MiB', file_delete_delay_ms='60s');
INSERT INTO every(value) VALUES ('a');
SELECT offset, value FROM every;

.print -- dots for underscores
CREATE VIRTUAL TABLE dotted USING commitlog(segment.bytes='64KiB', segment.ms='7d',
    retention.bytes='1GiB', retention.ms='30d', retention.records=1000000,
    max.message.bytes='1MiB', file.delete.delay.ms='60s');
INSERT INTO dotted(value) VALUES ('a');
SELECT offset, value FROM dotted;

.print -- the columns: five in SELECT *, four hidden, the last named like the table
SELECT name, type, hidden FROM pragma_table_xinfo('plain') ORDER BY cid;
SELECT group_concat(name) FROM pragma_table_info('plain');

.print -- sizes: 4096, 4KiB and segment.bytes say the same; 8KiB holds twice as much
CREATE VIRTUAL TABLE s1 USING commitlog(segment_bytes=4096);
CREATE VIRTUAL TABLE s2 USING commitlog(segment_bytes='4KiB');
CREATE VIRTUAL TABLE s3 USING commitlog(segment.bytes='4096');
CREATE VIRTUAL TABLE s4 USING commitlog(segment_bytes='8KiB');
CREATE TEMP TABLE filler(n INTEGER PRIMARY KEY, value);
INSERT INTO filler SELECT value, printf('%.*c', 800, 'x') FROM generate_series(1, 64);
INSERT INTO s1(timestamp, value) SELECT n, value FROM filler;
INSERT INTO s2(timestamp, value) SELECT n, value FROM filler;
INSERT INTO s3(timestamp, value) SELECT n, value FROM filler;
INSERT INTO s4(timestamp, value) SELECT n, value FROM filler;
SELECT '4096 = 4KiB', (SELECT group_concat(base_offset) FROM commitlog_segments('s1'))
    = (SELECT group_concat(base_offset) FROM commitlog_segments('s2'));
SELECT '4096 = segment.bytes 4096', (SELECT group_concat(base_offset) FROM commitlog_segments('s1'))
    = (SELECT group_concat(base_offset) FROM commitlog_segments('s3'));
SELECT 'segments of 4KiB', count(*), max(records), max(bytes) <= 4096 FROM commitlog_segments('s1');
SELECT 'segments of 8KiB', count(*), max(records), max(bytes) BETWEEN 4097 AND 8192
FROM commitlog_segments('s4');

.print -- the default segment is 64 MiB: 60 MiB fit in one, 70 MiB do not, and no other limit bites
CREATE VIRTUAL TABLE big USING commitlog;
INSERT INTO big(timestamp, value) SELECT 0, zeroblob(1048576) FROM generate_series(1, 60);
SELECT count(*) FROM commitlog_segments('big');
INSERT INTO big(timestamp, value) SELECT 0, zeroblob(1048576) FROM generate_series(1, 10);
SELECT count(*) FROM commitlog_segments('big');
.print -- ... and no retention of any kind is the default: records of 1970 stay
INSERT INTO big(big) VALUES ('rotate');
INSERT INTO big(big) VALUES ('trim');
SELECT count(*), min(offset), max(offset) FROM big;
DROP TABLE big;

.print -- durations: limits of two hours in ms, s, m, h, and of two days; ages of 1 h and 3 h, 47 h and 49 h
CREATE VIRTUAL TABLE d1 USING commitlog(retention_ms=7200000);
CREATE VIRTUAL TABLE d2 USING commitlog(retention_ms='7200000ms');
CREATE VIRTUAL TABLE d3 USING commitlog(retention_ms='7200s');
CREATE VIRTUAL TABLE d4 USING commitlog(retention_ms='120m');
CREATE VIRTUAL TABLE d5 USING commitlog(retention_ms='2h');
CREATE VIRTUAL TABLE d6 USING commitlog(retention_ms='2d');
.output durations.sql
WITH log(name, older, younger) AS (
    VALUES ('d1', 3, 1), ('d2', 3, 1), ('d3', 3, 1), ('d4', 3, 1), ('d5', 3, 1), ('d6', 49, 47))
SELECT replace(replace(replace('INSERT INTO @(timestamp, value)
    VALUES (unixepoch() * 1000 - #older * 3600000, ''older'');
INSERT INTO @(@) VALUES (''rotate'');
INSERT INTO @(timestamp, value) VALUES (unixepoch() * 1000 - #younger * 3600000, ''younger'');
INSERT INTO @(@) VALUES (''rotate'');
INSERT INTO @(value) VALUES (''now'');
INSERT INTO @(@) VALUES (''trim'');
SELECT ''@'', group_concat(value) FROM @;', '@', name), '#older', older), '#younger', younger)
FROM log;
.output
.read durations.sql

.print -- max_message_bytes in KiB and MiB: key, value and headers together, exactly
CREATE VIRTUAL TABLE m1 USING commitlog(max_message_bytes='100KiB');
INSERT INTO m1(value) VALUES (zeroblob(102400));
INSERT INTO m1(value) VALUES (zeroblob(102401));
INSERT INTO m1(key, value, headers) VALUES (zeroblob(51200), zeroblob(51196), '"ab"');
INSERT INTO m1(key, value, headers) VALUES (zeroblob(51200), zeroblob(51197), '"ab"');
CREATE VIRTUAL TABLE m2 USING commitlog(max_message_bytes='1MiB');
INSERT INTO m2(value) VALUES (zeroblob(1048576));
INSERT INTO m2(value) VALUES (zeroblob(1048577));
.print -- ... and under OR IGNORE too, for an event too big must not vanish in silence
INSERT OR IGNORE INTO m2(value) VALUES (zeroblob(1060000));
SELECT 'm1', offset, ifnull(length(key), 0) + length(value) + ifnull(length(headers), 0) FROM m1 UNION ALL SELECT 'm2', offset, length(value) FROM m2;

.print -- unknown options
CREATE VIRTUAL TABLE bad USING commitlog(segment_byte=4096);
CREATE VIRTUAL TABLE bad USING commitlog(colour='red');
CREATE VIRTUAL TABLE bad USING commitlog('64KiB');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes);
CREATE VIRTUAL TABLE bad USING commitlog(key, value);

.print -- bad values
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes=);
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='many');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='64kilo');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='64 KiB x');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='64h');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='KiB');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='4096.5');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='0x10000');
CREATE VIRTUAL TABLE bad USING commitlog(segment_bytes='64KiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_ms='1KiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_ms='1w');
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_bytes='7d');
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_ms='7MiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_records='7d');
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_records='7KiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(max_message_bytes='1s');
CREATE VIRTUAL TABLE bad2 USING commitlog(file_delete_delay_ms='soon');

.print -- GiB: 16 are the most of segment_bytes
CREATE VIRTUAL TABLE gib USING commitlog(segment_bytes='16GiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes='17GiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes='17179869185');

.print -- out of range
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes=-1);
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes=0);
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes=4095);
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes='9223372036854775807');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes='9223372036854775808');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes='99999999999GiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_ms=-1);
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_ms='99999999999999d');
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_bytes=-2);
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_ms=-2);
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_records=-2);
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_records='99999999999999999999');
CREATE VIRTUAL TABLE bad2 USING commitlog(max_message_bytes=-1);
CREATE VIRTUAL TABLE bad2 USING commitlog(max_message_bytes='4GiB');
CREATE VIRTUAL TABLE bad2 USING commitlog(file_delete_delay_ms=-1);

.print -- the same option twice, the second time in another spelling
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes=4096, segment_bytes=8192);
CREATE VIRTUAL TABLE bad2 USING commitlog(segment_bytes=4096, segment.bytes=4096);
CREATE VIRTUAL TABLE bad2 USING commitlog(retention_ms='1d', segment_ms='1d', retention.ms='1d');

.print -- a refused CREATE leaves nothing (bad is the good one of above)
SELECT type, name FROM sqlite_schema WHERE name LIKE 'bad%' AND name NOT LIKE 'bad!_%' ESCAPE '!';
SELECT count(*) FROM sqlite_schema WHERE name LIKE 'bad2%';

.print -- a table named like one of its columns
CREATE VIRTUAL TABLE offset USING commitlog;
CREATE VIRTUAL TABLE "timestamp" USING commitlog;
CREATE VIRTUAL TABLE key USING commitlog;
CREATE VIRTUAL TABLE value USING commitlog;
CREATE VIRTUAL TABLE headers USING commitlog;
CREATE VIRTUAL TABLE segment USING commitlog;
CREATE VIRTUAL TABLE position USING commitlog;
CREATE VIRTUAL TABLE size USING commitlog;
CREATE VIRTUAL TABLE rowid USING commitlog;
CREATE VIRTUAL TABLE "_ROWID_" USING commitlog;
CREATE VIRTUAL TABLE VALUE USING commitlog;
CREATE VIRTUAL TABLE "Offset" USING commitlog;
SELECT count(*) FROM sqlite_schema
WHERE lower(name) GLOB 'offset*' OR lower(name) GLOB 'value*' OR lower(name) GLOB 'key*';

.print -- RENAME to such a name, and to a good one
ALTER TABLE plain RENAME TO value;
ALTER TABLE plain RENAME TO "KEY";
ALTER TABLE plain RENAME TO segment;
SELECT offset, value FROM plain;
INSERT INTO plain(plain) VALUES ('rotate');
ALTER TABLE plain RENAME TO "plain two";
INSERT INTO "plain two"("plain two") VALUES ('rotate');
INSERT INTO "plain two"(value) VALUES ('b');
SELECT offset, value FROM "plain two";
SELECT * FROM plain;

.print -- names that need quoting
CREATE VIRTUAL TABLE "odd ""name'%s[]" USING commitlog(segment_bytes=4096);
INSERT INTO "odd ""name'%s[]"(value) VALUES ('x');
INSERT INTO "odd ""name'%s[]"("odd ""name'%s[]") VALUES ('rotate');
SELECT offset, value FROM "odd ""name'%s[]";
CREATE VIRTUAL TABLE "ünïcode_log" USING commitlog;
INSERT INTO "ünïcode_log"(value) VALUES ('y');
INSERT INTO "ünïcode_log"("ünïcode_log") VALUES ('rotate');
SELECT offset, value FROM "ünïcode_log";
CREATE VIRTUAL TABLE a_b_c USING commitlog;
INSERT INTO a_b_c(value) VALUES ('z');
SELECT offset, value FROM a_b_c;

.print -- options last: reopened, the small segments are still small
.open test.db
.load ./commitlog
INSERT INTO s1(timestamp, value) SELECT 1, printf('%.*c', 800, 'x') FROM generate_series(1, 16);
SELECT count(*), max(bytes) <= 4096 FROM commitlog_segments('s1');

.print -- the schema names no path
SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%test.db%' OR sql LIKE '%commitlog/%';
PRAGMA integrity_check;
