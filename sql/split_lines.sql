-- Splits the file whose bytes are bound to @file into the table temp.lines: one row a line, with
-- its number, its text without the newline, and as its key the first word.
--
-- Exact for any bytes: quotes, tabs, carriage returns, NULs, invalid UTF-8, empty lines, a last
-- line without newline. (The shell's own .import has no mode for that: csv reads quotes, ascii
-- stops at an empty line.) The time is proportional to the file's size, up to SQLite's limit of
-- 1,000,000,000 bytes.
--
-- In the sqlite3 shell:   .parameter set @file "readfile('access.log')"
--                         .read sql/split_lines.sql

CREATE TEMP TABLE lines(n INTEGER PRIMARY KEY, key TEXT, line TEXT);

-- A row of scan is a window of 4096 bytes, from `position` on, of the line that begins at `start`;
-- `hit` is the newline's place in it, or NULL. The next window begins after the newline, or where
-- this one ends: so no line is copied more than twice.
INSERT INTO lines(key, line)
WITH RECURSIVE
    scan(start, position, hit) AS (
        SELECT 1, 1, nullif(instr(substr(@file, 1, 4096), x'0a'), 0) WHERE length(@file) > 0
        UNION ALL
        SELECT
            ifnull(position + hit, start),
            position + ifnull(hit, 4096),
            nullif(instr(substr(@file, position + ifnull(hit, 4096), 4096), x'0a'), 0)
        FROM scan
        WHERE position + ifnull(hit, 4096) <= length(@file)
    ),
    line(bytes) AS (
        SELECT substr(@file, start, ifnull(position + hit - 1, length(@file) + 1) - start)
        FROM scan
        WHERE hit IS NOT NULL OR position + 4096 > length(@file)
    ),
    -- The same with every tab a space and no space in front, as bytes: functions on text may stop
    -- at a NUL.
    words(bytes, spaced) AS (
        SELECT bytes, CAST(ltrim(replace(bytes, x'09', ' '), ' ') AS BLOB) FROM line
    )
SELECT
    CAST(nullif(CASE instr(spaced, x'20')
                    WHEN 0 THEN spaced
                    ELSE substr(spaced, 1, instr(spaced, x'20') - 1)
                END, x'') AS TEXT),
    CAST(bytes AS TEXT)
FROM words;
