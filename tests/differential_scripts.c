/*
 * Opening and closing the two databases, and the kinds that take several statements: reopen,
 * rename, VACUUM, journal modes, DROP with ROLLBACK, a commit hook that refuses, and the
 * consistency of commitlog_segments(). Each ends with every row compared.
 */
#include "differential.h"

#include <inttypes.h>
#include <string.h>

/* Both sides in the same modes. The oracle must not write pages early, for it would lock early. */
static void set_modes(world *w, sqlite3 *db)
{
    driver_must(db, "PRAGMA synchronous = %s; PRAGMA cache_spill = OFF;", w->synchronous);
}

static void open_pair(world *w, pair *p)
{
    memset(p, 0, sizeof(*p));
    p->log = driver_open(w->in_memory ? ":memory:" : w->log_path, 0);
    p->oracle = driver_open(w->in_memory ? ":memory:" : w->oracle_path, 0);
    set_modes(w, p->log);
    set_modes(w, p->oracle);
}

static void close_pair(pair *p)
{
    driver_close(p->log);
    driver_close(p->oracle);
    memset(p, 0, sizeof(*p));
}

static void set_journal_mode(world *w, sqlite3 *db, const char *mode)
{
    /* SQLite 3.40 leaves WAL mode with a stale page cache when another connection wrote last and
     * this one has not read since: it then misses rows of ordinary tables, too. And of main alone:
     * the temp database would keep OFF, and go into its error state at a ROLLBACK. */
    driver_must(db, "SELECT count(*) FROM sqlite_schema");
    char *got = driver_text(db, "PRAGMA main.journal_mode = %s", mode);

    if (sqlite3_stricmp(got, mode) != 0 && !w->in_memory) {
        driver_fail("journal_mode is '%s', wanted '%s'", got, mode);
    }
    sqlite3_free(got);
}

static void create_tables(world *w, pair *p)
{
    static const char orders[] = "CREATE TABLE orders(id INTEGER PRIMARY KEY, event TEXT, a, b);";

    driver_must(p->log, "PRAGMA encoding = '%s'", w->encoding);
    driver_must(p->oracle, "PRAGMA encoding = '%s'", w->encoding);
    set_journal_mode(w, p->log, w->journal_mode);
    set_journal_mode(w, p->oracle, w->journal_mode);
    driver_must(p->log, w->create, w->name);
    oracle_create(w, p);
    driver_must(p->log, orders);
    driver_must(p->oracle, orders);
    driver_must(p->log,
                "CREATE TRIGGER order_append AFTER INSERT ON orders WHEN new.event = 'append' BEGIN"
                "  INSERT INTO %s(timestamp, key, value) VALUES (new.a, new.id, new.b); END;"
                "CREATE TRIGGER order_offset AFTER INSERT ON orders WHEN new.event = 'offset' BEGIN"
                "  INSERT INTO %s(offset, timestamp, value) VALUES (new.b, new.a, new.id); END;"
                "CREATE TRIGGER order_headers AFTER INSERT ON orders WHEN new.event = 'headers' "
                "BEGIN INSERT INTO %s(timestamp, headers) VALUES (new.a, 'no json'); END;",
                w->name, w->name, w->name);
    driver_must(p->oracle,
                "CREATE TRIGGER order_append AFTER INSERT ON orders WHEN new.event = 'append' BEGIN"
                "  INSERT INTO %s(offset, timestamp, key, value)"
                "    SELECT next, new.a, new.id, new.b FROM log_end;"
                "  UPDATE log_end SET next = next + 1; END;"
                "CREATE TRIGGER order_offset AFTER INSERT ON orders WHEN new.event = 'offset' BEGIN"
                "  INSERT INTO %s(offset, timestamp, value)"
                "    SELECT iif(new.b = next, next, -1), new.a, new.id FROM log_end;"
                "  UPDATE log_end SET next = next + 1"
                "    WHERE EXISTS (SELECT 1 FROM %s WHERE offset = next); END;"
                "CREATE TRIGGER order_headers AFTER INSERT ON orders WHEN new.event = 'headers' "
                "BEGIN SELECT RAISE(ABORT, 'bad headers'); END;",
                w->name, w->name, w->name);
}

void world_open(world *w)
{
    for (unsigned i = 0; i < w->pair_count; i++) {
        open_pair(w, &w->pairs[i]);
        if (i == 0) {
            create_tables(w, &w->pairs[0]);
        }
    }
}

void world_close(world *w)
{
    quiesce(w);
    compare_everything(w, &w->pairs[0]);
    for (unsigned i = 0; i < w->pair_count; i++) {
        close_pair(&w->pairs[i]);
    }
}

static void both_must(world *w, pair *p, const char *sql)
{
    record_history(w, p, sql, NULL);
    driver_must(p->log, "%s", sql);
    driver_must(p->oracle, "%s", sql);
}

static void insert_some(world *w, pair *p)
{
    kind_insert_several(w, p);
    kind_append_function(w, p);
}

void quiesce(world *w)
{
    kept_finish_all(w);
    /* The second connection first: what it holds could keep the first from committing. */
    for (unsigned i = w->pair_count; i-- > 0;) {
        pair *p = &w->pairs[i];
        bool keep = i == 0 && prng_chance(&w->random, 60);

        if (in_transaction(p)) {
            both_must(w, p, keep ? "COMMIT" : "ROLLBACK");
            oracle_follow_retention(w, p, false);
        }
    }
}

/* Close all connections but the first, as a change of the journal mode demands. */
static void close_others(world *w)
{
    quiesce(w);
    for (unsigned i = 1; i < w->pair_count; i++) {
        close_pair(&w->pairs[i]);
    }
}

static void open_others(world *w)
{
    for (unsigned i = 1; i < w->pair_count; i++) {
        open_pair(w, &w->pairs[i]);
    }
    for (unsigned i = 0; i < w->pair_count; i++) {
        compare_everything(w, &w->pairs[i]);
    }
}

outcome kind_reopen(world *w, pair *p)
{
    (void)p;
    if (w->in_memory) {
        return OUTCOME_SKIPPED;
    }
    close_others(w);
    close_pair(&w->pairs[0]);
    record_history(w, &w->pairs[0], "-- all connections are closed and opened again", NULL);
    open_pair(w, &w->pairs[0]);
    /* The first statement of a fresh connection is as often a write as a read. */
    if (prng_chance(&w->random, 50)) {
        insert_some(w, &w->pairs[0]);
    }
    open_others(w);
    return OUTCOME_SUCCEEDED;
}

outcome kind_rename(world *w, pair *p)
{
    const char *old_name = w->name;
    const char *new_name = strcmp(old_name, "events") == 0 ? "audit" : "events";
    bool own = prng_chance(&w->random, 60);
    bool keep = !own || prng_chance(&w->random, 50);

    quiesce(w);
    if (own) {
        both_must(w, p, "BEGIN");
        insert_some(w, p);
    }
    char *sql = sqlite3_mprintf("ALTER TABLE %s RENAME TO %s", old_name, new_name);
    both_must(w, p, sql);
    sqlite3_free(sql);
    w->name = new_name;
    if (own) {
        insert_some(w, p);
        compare_everything(w, p);
        both_must(w, p, keep ? "COMMIT" : "ROLLBACK");
    }
    if (!keep) {
        w->name = old_name;
    } else {
        oracle_follow_retention(w, p, false);
    }
    for (unsigned i = 0; i < w->pair_count; i++) {
        compare_everything(w, &w->pairs[i]);
    }
    return OUTCOME_SUCCEEDED;
}

outcome kind_vacuum(world *w, pair *p)
{
    quiesce(w);
    both_must(w, p, "VACUUM");
    for (unsigned i = 0; i < w->pair_count; i++) {
        compare_everything(w, &w->pairs[i]);
    }
    return OUTCOME_SUCCEEDED;
}

outcome kind_journal_mode(world *w, pair *p)
{
    static const char *const modes[] = {"wal", "wal", "delete", "truncate", "persist", "memory"};

    /* Retention is followed by a second transaction of the oracle's, which must not meet locks. */
    if (w->in_memory || w->retention_records > 0) {
        return OUTCOME_SKIPPED;
    }
    p = &w->pairs[0];
    close_others(w);
    w->journal_mode = RANDOM_OF(w, modes);
    char *sql = sqlite3_mprintf("PRAGMA main.journal_mode = %s", w->journal_mode);
    record_history(w, p, sql, NULL);
    sqlite3_free(sql);
    set_journal_mode(w, p->log, w->journal_mode);
    set_journal_mode(w, p->oracle, w->journal_mode);
    insert_some(w, p);
    open_others(w);
    return OUTCOME_SUCCEEDED;
}

/* Without a journal there is no ROLLBACK: the log takes no records then. */
outcome kind_journal_off(world *w, pair *p)
{
    char *sql = NULL;

    if (w->in_memory) {
        return OUTCOME_SKIPPED;
    }
    p = &w->pairs[0];
    close_others(w);
    set_journal_mode(w, p->log, "off");
    sql =
        sqlite3_mprintf("INSERT INTO %s(value) VALUES ('never') /* journal_mode = OFF */", w->name);
    record_history(w, p, sql, NULL);
    result log = run_statement(p->log, sql, NULL);
    if (log.code != SQLITE_ERROR && log.code != SQLITE_MISUSE) {
        mismatch(w, p, sql, "the log returned %d (%s), expected a refusal", log.code, log.message);
    }
    result_free(&log);
    sqlite3_free(sql);
    compare_everything(w, p);
    set_journal_mode(w, p->log, w->journal_mode);
    open_others(w);
    return OUTCOME_REFUSED;
}

outcome kind_drop_rollback(world *w, pair *p)
{
    quiesce(w);
    both_must(w, p, "BEGIN IMMEDIATE");
    if (prng_chance(&w->random, 70)) {
        insert_some(w, p);
    }
    record_history(w, p, "-- DROP TABLE, CREATE it again, fill it", NULL);
    driver_must(p->log, "DROP TABLE %s", w->name);
    if (prng_chance(&w->random, 70)) {
        driver_must(p->log, w->create, w->name);
        driver_must(p->log, "INSERT INTO %s(value) VALUES (1), (2), (3)", w->name);
        if (driver_integer(p->log, "SELECT sum(offset * 10 + value) FROM %s", w->name) != 36) {
            mismatch(w, p, "DROP; CREATE; INSERT", "the new table's offsets do not start at 0");
        }
    }
    /* Nothing of it happened, the records inserted before the DROP included. */
    both_must(w, p, "ROLLBACK");
    for (unsigned i = 0; i < w->pair_count; i++) {
        compare_everything(w, &w->pairs[i]);
    }
    return OUTCOME_SUCCEEDED;
}

static int refuse_commit(void *unused)
{
    (void)unused;
    return 1;
}

outcome kind_commit_hook(world *w, pair *p)
{
    sqlite3_commit_hook(p->log, refuse_commit, NULL);
    sqlite3_commit_hook(p->oracle, refuse_commit, NULL);
    if (in_transaction(p)) {
        kept_rolled_back(p);
    }
    outcome common = in_transaction(p) ? kind_commit(w, p) : kind_insert_several(w, p);
    sqlite3_commit_hook(p->log, NULL, NULL);
    sqlite3_commit_hook(p->oracle, NULL, NULL);
    return common;
}

/* The segments must join without a gap up to the log's end, and rotate at their size. */
outcome kind_segments(world *w, pair *p)
{
    static const char sql[] =
        "SELECT base_offset, records, state, file, bytes FROM commitlog_segments(...) "
        "ORDER BY base_offset";
    char *text = sqlite3_mprintf("SELECT base_offset, records, state, file, bytes "
                                 "FROM commitlog_segments(%Q) ORDER BY base_offset",
                                 w->name);
    int64_t next = oracle_next(w, p);
    int64_t expected = -1;
    unsigned active_count = 0;
    int code;

    record_history(w, p, text, NULL);
    sqlite3_stmt *statement = driver_prepare(p->log, text);
    sqlite3_free(text);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t base = sqlite3_column_int64(statement, 0);
        int64_t records = sqlite3_column_int64(statement, 1);
        int64_t end = base + records;
        int64_t bytes = sqlite3_column_int64(statement, 4);
        bool active = strcmp((const char *)sqlite3_column_text(statement, 2), "active") == 0;
        char digits[32];

        if (expected >= 0 && base != expected) {
            mismatch(w, p, sql, "a segment starts at %" PRId64 ", the last one ended at %" PRId64,
                     base, expected);
        }
        if (records > 1 && bytes > (int64_t)w->segment_kib * 1024) {
            mismatch(w, p, sql, "segment %" PRId64 " has %" PRId64 " bytes, and is full at %u KiB",
                     base, bytes, w->segment_kib);
        }
        sqlite3_snprintf(sizeof(digits), digits, "/%020lld", (long long)base);
        if (strstr((const char *)sqlite3_column_text(statement, 3), digits) == NULL) {
            mismatch(w, p, sql, "segment %" PRId64 " is in file '%s'", base,
                     (const char *)sqlite3_column_text(statement, 3));
        }
        if (active_count > 0 || end > next) {
            mismatch(w, p, sql, "segment %" PRId64 " ends at %" PRId64 " %s, the log at %" PRId64,
                     base, end, active_count > 0 ? "behind an active one" : "", next);
        }
        active_count += active ? 1 : 0;
        expected = end;
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE && (code & 0xff) != SQLITE_BUSY) {
        mismatch(w, p, sql, "the log returned %d (%s)", code, sqlite3_errmsg(p->log));
    }
    return outcome_of(code == SQLITE_DONE ? SQLITE_OK : code & 0xff);
}
