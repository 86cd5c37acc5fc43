-- A question to any log in the table log: the most frequent keys, as a histogram.

-- A text histogram: the bar of the most frequent key is 40 characters long.
WITH counts(key, records) AS (
    SELECT key, count(*) FROM log GROUP BY key
)
SELECT key, records,
       printf('%.*c', max(1, 40 * records / (SELECT max(records) FROM counts)), '#') AS histogram
FROM counts
ORDER BY records DESC
LIMIT 10;
