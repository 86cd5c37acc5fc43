-- What goes in comes out: every SQLite type in key and value, empty and large, NUL bytes and
-- invalid UTF-8; timestamps and headers, good and bad. The same rows stand in an ordinary table,
-- and both are compared in SQL. Relies on the shell's generate_series and sha3.
.nullvalue NULL
CREATE VIRTUAL TABLE x USING commitlog;
CREATE TABLE t(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, headers TEXT);

CREATE TEMP TABLE samples(n INTEGER PRIMARY KEY, v);
INSERT INTO samples(v) VALUES
    (NULL), (0), (1), (-1), (127), (128), (-128), (-129), (32767), (32768), (-32768),
    (2147483647), (2147483648), (-2147483648), (9223372036854775807), (-9223372036854775807 - 1),
    (0.0), (-0.0), (1.0), (1.5), (-1e300), (1e-300), (5e-324), (1.7976931348623157e308),
    (9e999), (-9e999), (9007199254740993), (0.1),
    (''), ('a'), ('12'), ('1.0'), ('NULL'), ('"quoted" ''text'''), ('ünïcödé 日本 🙂'),
    (CAST(x'610062' AS TEXT)), (CAST(x'00' AS TEXT)), (CAST(x'6100' AS TEXT)),
    (CAST(x'ff' AS TEXT)), (CAST(x'c0af' AS TEXT)), (CAST(x'eda080' AS TEXT)),
    (CAST(x'61ffc328' AS TEXT)), (CAST(x'efbbbf41' AS TEXT)),
    (x''), (x'00'), (x'ff'), (x'0001feff'), (x'61'), (CAST('a' AS BLOB)),
    (zeroblob(0)), (zeroblob(1)), (zeroblob(7)), (zeroblob(8)), (zeroblob(9)), (zeroblob(4096)),
    (printf('%.*c', 4095, 'x')), (printf('%.*c', 70000, 'y'));

.print -- every type, in key times value (the pairs)
INSERT INTO x(timestamp, key, value)
SELECT 1000 + a.n, a.v, b.v FROM samples a, samples b ORDER BY a.n, b.n;
INSERT INTO t(offset, timestamp, key, value)
SELECT (a.n - 1) * (SELECT count(*) FROM samples) + b.n - 1, 1000 + a.n, a.v, b.v
FROM samples a, samples b ORDER BY a.n, b.n;
SELECT count(*) FROM x;
SELECT count(*) FROM t;

.print -- differences by value and type: none, either way, and rows in the same order
CREATE TEMP VIEW vx AS SELECT offset, timestamp, typeof(key) tk, quote(key) qk, length(key) lk,
    hex(key) hk, typeof(value) tv, quote(value) qv, length(value) lv, hex(value) hv, headers FROM x;
CREATE TEMP VIEW vt AS SELECT offset, timestamp, typeof(key) tk, quote(key) qk, length(key) lk,
    hex(key) hk, typeof(value) tv, quote(value) qv, length(value) lv, hex(value) hv, headers FROM t;
SELECT count(*) FROM (SELECT * FROM vx EXCEPT SELECT * FROM vt);
SELECT count(*) FROM (SELECT * FROM vt EXCEPT SELECT * FROM vx);
SELECT count(*) FROM x JOIN t USING (offset)
WHERE x.key IS t.key AND x.value IS t.value AND typeof(x.key) = typeof(t.key)
    AND typeof(x.value) = typeof(t.value);
SELECT typeof(value), count(*) FROM x GROUP BY 1;
SELECT typeof(value), count(*) FROM t GROUP BY 1;

.print -- a few by eye
SELECT offset, typeof(key), quote(value) FROM x WHERE offset < 34 AND typeof(value) <> 'real';
SELECT offset, typeof(value), hex(value), length(value) FROM x WHERE offset BETWEEN 35 AND 52;

.print -- comparisons with the values themselves, no affinity applied
SELECT (SELECT count(*) FROM x WHERE value = 12), (SELECT count(*) FROM t WHERE value = 12);
SELECT (SELECT count(*) FROM x WHERE value = '12'), (SELECT count(*) FROM t WHERE value = '12');
SELECT (SELECT count(*) FROM x WHERE value = x'61'), (SELECT count(*) FROM t WHERE value = x'61');
SELECT (SELECT count(*) FROM x WHERE value = 1), (SELECT count(*) FROM t WHERE value = 1);
SELECT (SELECT count(*) FROM x WHERE key IS NULL), (SELECT count(*) FROM t WHERE key IS NULL);

.print -- in DISTINCT, GROUP BY, ORDER BY, min and max
SELECT (SELECT count(*) FROM (SELECT DISTINCT value FROM x)),
    (SELECT count(*) FROM (SELECT DISTINCT value FROM t));
SELECT (SELECT group_concat(offset) FROM (SELECT offset FROM x ORDER BY value, key, offset))
    = (SELECT group_concat(offset) FROM (SELECT offset FROM t ORDER BY value, key, offset));
SELECT quote(max(value)) IS (SELECT quote(max(value)) FROM t), hex(max(value)) FROM x;
SELECT quote(min(value)) IS (SELECT quote(min(value)) FROM t), typeof(min(value)) FROM x;

.print -- the same after a rotation, and after the database is opened again
INSERT INTO x(x) VALUES ('rotate');
SELECT count(*) FROM (SELECT * FROM vx EXCEPT SELECT * FROM vt);
.open test.db
.load ./commitlog
SELECT count(*) FROM x JOIN t USING (offset)
WHERE x.key IS t.key AND x.value IS t.value AND typeof(x.key) = typeof(t.key)
    AND typeof(x.value) = typeof(t.value) AND x.timestamp = t.timestamp AND x.headers IS t.headers;

.print -- a tombstone is a NULL value, given or left out; a key may be NULL too, and both
CREATE VIRTUAL TABLE y USING commitlog;
INSERT INTO y(key, value) VALUES ('k', NULL);
INSERT INTO y(key) VALUES ('k');
INSERT INTO y(value) VALUES ('v');
INSERT INTO y(key, value) VALUES (NULL, NULL);
INSERT INTO y DEFAULT VALUES;
SELECT offset, key, value, headers, typeof(timestamp) FROM y;
SELECT count(*) FROM y WHERE value IS NULL;
SELECT count(*) FROM y WHERE value IS NOT NULL;

.print -- values of 64 MiB: length, first and last bytes, a digest; with an ordinary table beside
CREATE VIRTUAL TABLE large USING commitlog;
CREATE TEMP TABLE large_t(offset INTEGER PRIMARY KEY, value);
INSERT INTO large_t VALUES (0, zeroblob(67108864));
INSERT INTO large_t VALUES (1, CAST(printf('%.*c', 67108864, 'z') AS TEXT));
INSERT INTO large_t VALUES (2, randomblob(67108864));
INSERT INTO large_t VALUES (3, 'after');
INSERT INTO large(value) SELECT value FROM large_t ORDER BY offset;
SELECT offset, typeof(value), length(value), substr(value, 1, 2) = substr(value, 3, 2) FROM large;
SELECT offset, large.value = large_t.value, typeof(large.value) = typeof(large_t.value),
    sha3(large.value, 256) = sha3(large_t.value, 256) FROM large JOIN large_t USING (offset);
.print -- a large key, and large headers
INSERT INTO large(key, value, headers)
SELECT value, 'k', '"' || printf('%.*c', 16777216, 'h') || '"' FROM large_t WHERE offset = 0;
SELECT offset, length(key), value, length(headers) FROM large WHERE offset = 4;
DROP TABLE large;
DROP TABLE large_t;

.print -- values up to SQLite's own length limit, not beyond
CREATE VIRTUAL TABLE limited USING commitlog;
.limit length 1000000
INSERT INTO limited(value) VALUES (zeroblob(999000));
INSERT INTO limited(value) VALUES (zeroblob(1000001));
SELECT offset, length(value) FROM limited;
.limit length 1000000000

.print -- timestamp: default is now, in milliseconds
CREATE VIRTUAL TABLE stamps USING commitlog;
CREATE TABLE stamps_t(offset INTEGER PRIMARY KEY, timestamp INTEGER);
INSERT INTO stamps(value) VALUES ('default');
INSERT INTO stamps(timestamp, value) VALUES (NULL, 'null is default');
SELECT offset, value, typeof(timestamp), abs(timestamp - unixepoch() * 1000) < 60000 FROM stamps;
.print -- timestamp given: what INTEGER affinity makes an integer
INSERT INTO stamps(timestamp) VALUES (1700000000123);
INSERT INTO stamps(timestamp) VALUES (0);
INSERT INTO stamps(timestamp) VALUES (-1);
INSERT INTO stamps(timestamp) VALUES ('12');
INSERT INTO stamps(timestamp) VALUES (' 12 ');
INSERT INTO stamps(timestamp) VALUES ('1e3');
INSERT INTO stamps(timestamp) VALUES ('12.0');
INSERT INTO stamps(timestamp) VALUES (1.0);
INSERT INTO stamps(timestamp) VALUES (1e15);
INSERT INTO stamps(timestamp) VALUES (9223372036854775807);
INSERT INTO stamps(timestamp) VALUES (-9223372036854775807 - 1);
INSERT INTO stamps_t(timestamp)
VALUES (1700000000123), (0), (-1), ('12'), (' 12 '), ('1e3'), ('12.0'), (1.0), (1e15),
    (9223372036854775807), (-9223372036854775807 - 1);
SELECT offset, typeof(timestamp), timestamp FROM stamps WHERE offset >= 2;
SELECT count(*) FROM stamps x JOIN stamps_t t ON x.offset = t.offset + 1
WHERE x.timestamp IS t.timestamp AND typeof(x.timestamp) = typeof(t.timestamp);
.print -- ... and the rest refused, under OR IGNORE too
INSERT INTO stamps(timestamp) VALUES (1.5);
INSERT INTO stamps(timestamp) VALUES ('abc');
INSERT INTO stamps(timestamp) VALUES ('');
INSERT INTO stamps(timestamp) VALUES ('12x');
INSERT INTO stamps(timestamp) VALUES ('1.5');
INSERT INTO stamps(timestamp) VALUES (x'00');
INSERT INTO stamps(timestamp) VALUES (x'3132');
INSERT INTO stamps(timestamp) VALUES (1e300);
INSERT INTO stamps(timestamp) VALUES (9223372036854775808);
INSERT INTO stamps(timestamp) VALUES ('9223372036854775808');
INSERT INTO stamps(timestamp) VALUES (9e999);
INSERT OR IGNORE INTO stamps(timestamp) VALUES ('abc');
INSERT OR REPLACE INTO stamps(timestamp) VALUES (x'00');
SELECT count(*), max(offset) FROM stamps;

.print -- offset: what INTEGER affinity makes an integer is compared, the rest refused
CREATE VIRTUAL TABLE o USING commitlog;
INSERT INTO o(offset, value) VALUES (0, 'integer');
INSERT INTO o(offset, value) VALUES ('1', 'text');
INSERT INTO o(offset, value) VALUES (2.0, 'real');
INSERT INTO o(offset, value) VALUES (' 3 ', 'spaces');
INSERT INTO o(offset, value) VALUES ('4.0', 'text of a real');
INSERT INTO o(offset, value) VALUES (NULL, 'null is next');
INSERT INTO o(offset, value) VALUES (6.5, 'bad');
INSERT INTO o(offset, value) VALUES ('abc', 'bad');
INSERT INTO o(offset, value) VALUES ('', 'bad');
INSERT INTO o(offset, value) VALUES (x'36', 'bad');
INSERT INTO o(offset, value) VALUES (1e300, 'bad');
INSERT OR IGNORE INTO o(offset, value) VALUES ('abc', 'bad');
INSERT INTO o(rowid, value) VALUES ('6', 'rowid, text');
INSERT INTO o(rowid, value) VALUES (x'37', 'bad');
SELECT offset, typeof(offset), value FROM o;

.print -- headers: JSON text
CREATE VIRTUAL TABLE h USING commitlog;
INSERT INTO h(headers) VALUES ('{}');
INSERT INTO h(headers) VALUES ('{"trace":"abc","n":[1,2.5,null,true]}');
INSERT INTO h(headers) VALUES ('[]');
INSERT INTO h(headers) VALUES ('[["a","1"],["a","2"]]');
INSERT INTO h(headers) VALUES (' {"space" : "kept" } ');
INSERT INTO h(headers) VALUES ('"text"');
INSERT INTO h(headers) VALUES ('1');
INSERT INTO h(headers) VALUES ('null');
INSERT INTO h(headers) VALUES ('{"u":"\u00e9 ü \ud83d\ude42 \"\\\/\b\f\n\r\t"}');
INSERT INTO h(headers) VALUES (json_object('made', json_array(1, 2)));
INSERT INTO h(headers) VALUES (NULL);
SELECT offset, typeof(headers), headers, ifnull(json_valid(headers), 0) FROM h;
SELECT headers ->> '$.trace' FROM h WHERE offset = 1;
.print -- ... and what is not
INSERT INTO h(headers) VALUES ('');
INSERT INTO h(headers) VALUES (' ');
INSERT INTO h(headers) VALUES ('{');
INSERT INTO h(headers) VALUES ('{"a":1');
INSERT INTO h(headers) VALUES ('{"a":1,}');
INSERT INTO h(headers) VALUES ('{a:1}');
INSERT INTO h(headers) VALUES ('{''a'':1}');
INSERT INTO h(headers) VALUES ('{"a" 1}');
INSERT INTO h(headers) VALUES ('{1:2}');
INSERT INTO h(headers) VALUES ('[1,]');
INSERT INTO h(headers) VALUES ('[1 2]');
INSERT INTO h(headers) VALUES ('hello');
INSERT INTO h(headers) VALUES ('nul');
INSERT INTO h(headers) VALUES ('01');
INSERT INTO h(headers) VALUES ('+1');
INSERT INTO h(headers) VALUES ('1.');
INSERT INTO h(headers) VALUES ('.5');
INSERT INTO h(headers) VALUES ('1e');
INSERT INTO h(headers) VALUES ('"open');
INSERT INTO h(headers) VALUES ('"bad \x"');
INSERT INTO h(headers) VALUES ('"bad \u12g4"');
INSERT INTO h(headers) VALUES ('"line' || char(10) || 'break"');
INSERT INTO h(headers) VALUES ('{} {}');
INSERT INTO h(headers) VALUES (CAST(x'7b7d00' AS TEXT));
INSERT INTO h(headers) VALUES (x'7b7d');
INSERT OR IGNORE INTO h(headers) VALUES ('not json');
INSERT OR REPLACE INTO h(headers) VALUES ('not json');
.print -- deep nesting is JSON or refused, never a crash
INSERT INTO h(headers) VALUES (printf('%.*c', 500, '[') || printf('%.*c', 500, ']'));
INSERT INTO h(headers) VALUES (printf('%.*c', 1000000, '['));
SELECT count(*), max(length(headers)) FROM h;

.print -- hidden columns may not be given
INSERT INTO h(segment, value) VALUES (0, 'x');
INSERT INTO h(position, value) VALUES (0, 'x');
INSERT INTO h(size, value) VALUES (0, 'x');
SELECT count(*) FROM h;
PRAGMA integrity_check;
