-- Questions to a web server's access log (combined format), one record a request in the table log:
-- the key is the client's address, the value the whole line.

-- The status code is the word after the quoted request.
SELECT substr(value, instr(value, '" ') + 2, 3) AS status, count(*) AS requests
FROM log
GROUP BY status
ORDER BY requests DESC;

-- The busiest clients, and how much of what they asked for was not there.
SELECT key AS client, count(*) AS requests,
       sum(substr(value, instr(value, '" ') + 2, 3) = '404') AS not_found
FROM log
GROUP BY client
ORDER BY requests DESC
LIMIT 10;
