/*
 * What SQLite promises a virtual table about transactions: which callbacks come, in which order,
 * under which lock, and what may fail when. The engine's commit protocol rests on every line here;
 * each test says what falls with it.
 *
 * Independent of the engine (see recorder.h). It does not test what SQLite does to ordinary tables.
 */
#include "check_main.h"
#include "recorder.h"

#include <stdio.h>
#include <string.h>

static sqlite3 *db;
static sqlite3 *other; /* a second connection to the same file */
static recorder rec;

static void setup(void)
{
    facts_setup();
    db = facts_open("facts.db");
    other = facts_open("facts.db");
    recorder_register(&rec, db);
    MUST(db, "CREATE TABLE plain(x, y)");
}

static void teardown(void)
{
    sqlite3_close(other);
    sqlite3_close(db);
    recorder_free(&rec);
    facts_teardown();
}

/* Makes the table t and forgets the callbacks that took. */
static void make_log(void)
{
    MUST(db, "CREATE VIRTUAL TABLE t USING recorder");
    recorder_take(&rec);
}

/* ---- reactions ---- */

static int note_lock(recorder *self, const char *event)
{
    (void)event;
    int code = facts_exec(other, "BEGIN IMMEDIATE");
    recorder_note(self, code == SQLITE_OK ? "free" : code == SQLITE_BUSY ? "locked" : "?");
    if (code == SQLITE_OK)
        facts_exec(other, "ROLLBACK");
    return SQLITE_OK;
}

static const char *reaction_event; /* run_sql, fail: where */
static const char *reaction_sql;   /* run_sql: what; its result goes to reaction_result */
static int reaction_code;          /* fail: with what */
static char reaction_result[256];  /* of run_sql */

static int run_sql(recorder *self, const char *event)
{
    if (!reaction_event || strcmp(event, reaction_event) != 0)
        return SQLITE_OK;
    const char *now = reaction_event;
    reaction_event = NULL; /* the statement may call back */
    snprintf(reaction_result, sizeof reaction_result, "%s", facts_query(self->db, reaction_sql));
    reaction_event = now;
    return SQLITE_OK;
}

static void react_with_sql(const char *event, const char *sql)
{
    rec.react = run_sql;
    reaction_event = event;
    reaction_sql = sql;
    snprintf(reaction_result, sizeof reaction_result, "never ran");
}

static int give_code(recorder *self, const char *event)
{
    (void)self;
    return strcmp(event, reaction_event) == 0 ? reaction_code : SQLITE_OK;
}

static void react_with_code(const char *event, int code)
{
    rec.react = give_code;
    reaction_event = event;
    reaction_code = code;
}

static int commit_veto;

static int note_hook(void *context)
{
    recorder_note(context, "hook");
    return commit_veto;
}

/* ---- fact 1: the lock ---- */

static void check_locks(const char *mode)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", mode);
    ROWS(db, sql, mode);
    make_log();
    rec.react = note_lock;
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin locked t.insert locked t.sync locked t.commit free");
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "t.begin locked t.insert locked t.rollback free");
    MUST(db, "BEGIN");
    MUST(db, "DELETE FROM t");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.begin locked t.savepoint(0) locked t.delete(0) locked t.release(0) locked "
                "t.sync locked t.commit free");
}

/* Falls: reading the end of the log at the first change, and writing no file after the commit. */
START_TEST(write_lock_is_held_from_begin_to_sync_with_rollback_journal)
{
    check_locks("delete");
}
END_TEST

START_TEST(write_lock_is_held_from_begin_to_sync_with_wal)
{
    check_locks("wal");
}
END_TEST

/* Falls: BEGIN; SELECT; INSERT on an old snapshot stages nothing. */
START_TEST(a_stale_snapshot_is_refused_before_any_callback)
{
    ROWS(db, "PRAGMA journal_mode = wal", "wal");
    make_log();
    MUST(db, "BEGIN");
    ROWS(db, "SELECT count(*) FROM t", "0");
    MUST(other, "INSERT INTO plain VALUES (1, 1)");
    FAILS(db, "INSERT INTO t(value) VALUES (1)", SQLITE_BUSY_SNAPSHOT, "database is locked");
    TRACE(&rec, "");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "");
}
END_TEST

/* ---- fact 2: the order, and SQL in xSync ---- */

/* Falls: the commit protocol's steps 7 to 12. */
START_TEST(sync_of_all_tables_comes_before_the_hook_and_commit_after)
{
    sqlite3_commit_hook(db, note_hook, &rec);
    make_log();
    MUST(db, "CREATE VIRTUAL TABLE u USING recorder");
    TRACE(&rec, "u.create u.sync hook u.commit");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin t.insert t.sync hook t.commit");
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (1), (2)");
    MUST(db, "INSERT INTO u(value) VALUES (1)");
    TRACE(&rec, "t.begin t.savepoint(0) t.insert t.insert t.release(0) u.begin u.insert");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.sync u.sync hook t.commit u.commit");
}
END_TEST

/* Falls: the ledger as a shadow table. Whatever way the change came, what xSync writes commits
 * with it, and another connection sees both or none. */
START_TEST(shadow_rows_written_in_sync_commit_with_the_transaction)
{
    make_log();
    MUST(db, "INSERT INTO t(value) VALUES ('autocommit')");
    ROWS(other, "SELECT * FROM t_data", "0|null|autocommit");
    MUST(db, "CREATE TRIGGER p AFTER INSERT ON plain BEGIN "
             "INSERT INTO t(value) VALUES (new.x); END");
    MUST(db, "INSERT INTO plain VALUES ('trigger', 0)");
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('gone')");
    MUST(db, "ROLLBACK");
    MUST(db, "SAVEPOINT s");
    MUST(db, "INSERT INTO t(value) VALUES ('savepoint')");
    MUST(db, "RELEASE s");
    ROWS(other, "SELECT value FROM t_data", "autocommit;trigger;savepoint");
}
END_TEST

START_TEST(sync_may_write_in_attached_memory_and_defensive_databases)
{
    make_log();
    char *attach = sqlite3_mprintf("ATTACH %Q AS side", facts_path("side.db"));
    MUST(db, attach);
    sqlite3_free(attach);
    MUST(db, "ATTACH ':memory:' AS memory");
    MUST(db, "CREATE VIRTUAL TABLE side.s USING recorder");
    MUST(db, "CREATE VIRTUAL TABLE memory.m USING recorder");
    MUST(db, "CREATE VIRTUAL TABLE temp.x USING recorder");
    ck_assert_int_eq(sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL), SQLITE_OK);
    FAILS(db, "INSERT INTO t_data(value) VALUES (1)", SQLITE_ERROR,
          "table t_data may not be modified");
    recorder_take(&rec);
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('main')");
    MUST(db, "INSERT INTO s(value) VALUES ('attached')");
    MUST(db, "INSERT INTO m(value) VALUES ('memory')");
    MUST(db, "INSERT INTO x(value) VALUES ('temp')");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.begin t.insert s.begin s.insert m.begin m.insert x.begin x.insert "
                "t.sync s.sync m.sync x.sync t.commit s.commit m.commit x.commit");
    ROWS(db,
         "SELECT value FROM t_data UNION ALL SELECT value FROM s_data UNION ALL "
         "SELECT value FROM m_data UNION ALL SELECT value FROM x_data",
         "main;attached;memory;temp");
}
END_TEST

/* Falls: keeping the ledger in a virtual table. */
START_TEST(writing_a_virtual_table_in_sync_is_refused)
{
    make_log();
    MUST(db, "CREATE VIRTUAL TABLE u USING recorder");
    react_with_sql("t.sync", "INSERT INTO u(value) VALUES (1)");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    ck_assert_str_eq(reaction_result, "error: database table is locked");
    react_with_sql("t.sync", "SELECT count(*) FROM u");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    ck_assert_str_eq(reaction_result, "0");
}
END_TEST

static const char *const reading_events[] = {"t.begin",      "t.insert",        "t.savepoint(1)",
                                             "t.release(1)", "t.rollbackto(1)", "t.sync",
                                             "t.commit",     "t.filter"};

/* Falls: reading shadow tables where the engine wants to. */
START_TEST(a_shadow_table_can_be_read_in_every_callback)
{
    make_log();
    MUST(db, "INSERT INTO t(value) VALUES (1), (2)");
    rec.trace_reads = true;
    react_with_sql(reading_events[_i], "SELECT count(*) FROM t_data");
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (3)");
    MUST(db, "SAVEPOINT a; SAVEPOINT b; INSERT INTO t(value) VALUES (4); ROLLBACK TO b; RELEASE b");
    ROWS(db, "SELECT count(*) FROM t", "2");
    MUST(db, "COMMIT");
    ck_assert_str_eq(reaction_result, strcmp(reading_events[_i], "t.commit") == 0 ? "3" : "2");
}
END_TEST

/* Falls: reading _config in xConnect, also when the schema changed under the connection. */
START_TEST(a_shadow_table_can_be_read_in_connect)
{
    make_log();
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(other, "CREATE TABLE new_schema(x)"); /* makes db connect again */
    recorder_take(&rec);
    react_with_sql("t.connect", "SELECT count(*) FROM t_data");
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (2)");
    TRACE(&rec, "t.connect t.begin t.insert");
    MUST(db, "COMMIT");
    ck_assert_str_eq(reaction_result, "1");
}
END_TEST

/* Falls: "xCommit writes nothing". A row written there is committed by nobody until the next
 * statement ends, and the write lock is held as long. */
START_TEST(a_write_in_commit_hangs_until_the_next_statement)
{
    sqlite3_commit_hook(db, note_hook, &rec);
    make_log();
    react_with_sql("t.commit", "INSERT INTO plain VALUES (1, 1)");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin t.insert t.sync hook t.commit");
    ROWS(other, "SELECT count(*) FROM plain", "0");
    ck_assert_int_eq(facts_exec(other, "BEGIN IMMEDIATE"), SQLITE_BUSY);
    ROWS(db, "SELECT count(*) FROM t_data", "1");
    TRACE(&rec, "hook");
    ROWS(other, "SELECT count(*) FROM plain", "1");
}
END_TEST

/* ---- fact 3: a commit fails after xSync ---- */

static void open_reader(void)
{
    MUST(other, "BEGIN");
    ROWS(other, "SELECT count(*) FROM plain", "0");
}

/* Falls: "xSync is repeatable and extendable", INSERT OR REPLACE in step 7. */
START_TEST(a_busy_commit_stays_open_and_syncs_again)
{
    make_log();
    open_reader();
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('a')");
    FAILS(db, "COMMIT", SQLITE_BUSY, "database is locked");
    TRACE(&rec, "t.begin t.insert t.sync");
    ck_assert_int_eq(sqlite3_get_autocommit(db), 0);
    ROWS(db, "SELECT value FROM t_data", "a"); /* the first xSync's row is still there */
    MUST(db, "INSERT INTO t(value) VALUES ('b')");
    FAILS(db, "COMMIT", SQLITE_BUSY, "database is locked");
    MUST(other, "COMMIT");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.insert t.sync t.sync t.commit");
    ROWS(other, "SELECT value FROM t_data", "a;b");
}
END_TEST

/* Falls: "believe the tables, not memory". */
START_TEST(rollback_to_after_a_busy_commit_removes_what_sync_wrote)
{
    make_log();
    open_reader();
    MUST(db, "BEGIN; SAVEPOINT s");
    MUST(db, "INSERT INTO t(value) VALUES ('a')");
    FAILS(db, "COMMIT", SQLITE_BUSY, "database is locked");
    ROWS(db, "SELECT value FROM t_data", "a");
    MUST(db, "ROLLBACK TO s");
    ROWS(db, "SELECT value FROM t_data", "");
    TRACE(&rec, "t.begin t.savepoint(0) t.insert t.sync t.rollbackto(0)");
    MUST(other, "COMMIT");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.sync t.commit");
}
END_TEST

START_TEST(a_busy_autocommit_rolls_back)
{
    make_log();
    open_reader();
    FAILS(db, "INSERT INTO t(value) VALUES ('a')", SQLITE_BUSY, "database is locked");
    TRACE(&rec, "t.begin t.insert t.sync t.rollback");
    MUST(other, "COMMIT");
    ROWS(db, "SELECT value FROM t_data", "");
}
END_TEST

START_TEST(a_commit_hook_veto_comes_after_sync_and_rolls_back)
{
    sqlite3_commit_hook(db, note_hook, &rec);
    make_log();
    commit_veto = 1;
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('a')");
    FAILS(db, "COMMIT", SQLITE_CONSTRAINT_COMMITHOOK, "constraint failed");
    TRACE(&rec, "t.begin t.insert t.sync hook t.rollback");
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
    commit_veto = 0;
    ROWS(db, "SELECT value FROM t_data", "");
}
END_TEST

/* Falls: step 10, "never BUSY": it alone would leave the transaction open. */
START_TEST(an_error_of_sync_rolls_back_unless_it_is_busy)
{
    static const int codes[] = {SQLITE_IOERR, SQLITE_FULL,    SQLITE_LOCKED,
                                SQLITE_NOMEM, SQLITE_CORRUPT, SQLITE_CONSTRAINT};
    make_log();
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        react_with_code("t.sync", codes[i]);
        MUST(db, "BEGIN");
        MUST(db, "INSERT INTO t(value) VALUES ('a')");
        ck_assert_int_eq(facts_exec(db, "COMMIT"), codes[i]);
        TRACE(&rec, "t.begin t.insert t.sync t.rollback");
        ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
    }
    react_with_code("t.sync", SQLITE_BUSY);
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('a')");
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_BUSY);
    TRACE(&rec, "t.begin t.insert t.sync");
    ck_assert_int_eq(sqlite3_get_autocommit(db), 0);
    MUST(db, "ROLLBACK");
    ROWS(db, "SELECT value FROM t_data", "");
}
END_TEST

/* Falls: a file made before another table's xSync failed is forgotten in xRollback. */
START_TEST(a_table_that_synced_is_rolled_back_when_another_fails)
{
    make_log();
    MUST(db, "CREATE VIRTUAL TABLE u USING recorder");
    recorder_take(&rec);
    react_with_code("u.sync", SQLITE_IOERR);
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(db, "INSERT INTO u(value) VALUES (1)");
    FAILS(db, "COMMIT", SQLITE_IOERR, "disk I/O error");
    TRACE(&rec, "t.begin t.insert u.begin u.insert t.sync u.sync t.rollback u.rollback");
}
END_TEST

/* ---- fact 4: missing and unannounced callbacks ---- */

/* Falls: opening the transaction lazily, at the first change. */
START_TEST(the_creating_transaction_has_no_begin)
{
    MUST(db, "BEGIN");
    MUST(db, "CREATE VIRTUAL TABLE t USING recorder");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.create t.insert t.sync t.commit");
    ROWS(db, "SELECT value FROM t_data", "1");
}
END_TEST

/* Falls: "an unknown savepoint is the state at the beginning". */
START_TEST(a_savepoint_that_was_never_announced_is_rolled_back_to)
{
    make_log();
    MUST(db, "BEGIN");
    MUST(db, "SAVEPOINT a; SAVEPOINT b");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin t.savepoint(1) t.insert");
    MUST(db, "ROLLBACK TO a");
    TRACE(&rec, "t.rollbackto(0)");
    MUST(db, "COMMIT");
    TRACE(&rec, "t.sync t.commit");
    ROWS(db, "SELECT value FROM t_data", "");
}
END_TEST

START_TEST(the_outermost_savepoint_is_rolled_back_to_as_minus_one)
{
    make_log();
    MUST(db, "SAVEPOINT a");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(db, "ROLLBACK TO a");
    MUST(db, "INSERT INTO t(value) VALUES (2)");
    MUST(db, "RELEASE a");
    TRACE(&rec, "t.begin t.insert t.rollbackto(-1) t.insert t.sync t.commit");
    ROWS(db, "SELECT value FROM t_data", "2");
}
END_TEST

/* Falls: xSync with nothing staged touches no shadow table; here there is none any more. */
START_TEST(a_table_whose_creation_was_rolled_back_still_syncs_and_commits)
{
    MUST(db, "SAVEPOINT a");
    MUST(db, "CREATE VIRTUAL TABLE t USING recorder");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(db, "ROLLBACK TO a");
    TRACE(&rec, "t.create t.insert t.rollbackto(-1)");
    ROWS(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 't%'", "0");
    MUST(db, "RELEASE a");
    TRACE(&rec, "t.sync t.commit");
}
END_TEST

/* Falls: statements that fail half-way leave no record. */
START_TEST(a_failing_statement_rolls_back_to_its_own_savepoint)
{
    make_log();
    MUST(db, "CREATE TABLE q(x UNIQUE)");
    MUST(db, "CREATE TRIGGER q1 AFTER INSERT ON q BEGIN INSERT INTO t(value) VALUES (new.x); END");
    recorder_take(&rec);
    MUST(db, "BEGIN");
    FAILS(db, "INSERT INTO q VALUES (1), (2), (1)", SQLITE_CONSTRAINT_UNIQUE,
          "UNIQUE constraint failed: q.x");
    TRACE(&rec, "t.begin t.savepoint(0) t.insert t.insert t.rollbackto(0) t.release(0)");
    MUST(db, "INSERT INTO q VALUES (3)");
    TRACE(&rec, "t.savepoint(0) t.insert t.release(0)");
    MUST(db, "COMMIT");
    ROWS(db, "SELECT value FROM t_data", "3");
    recorder_take(&rec);
    FAILS(db, "INSERT INTO q VALUES (1), (2), (1)", SQLITE_CONSTRAINT_UNIQUE,
          "UNIQUE constraint failed: q.x");
    TRACE(&rec, "t.begin t.insert t.insert t.rollback");
}
END_TEST

static int write_and_fail(recorder *self, const char *event)
{
    if (strcmp(event, reaction_event) != 0)
        return SQLITE_OK;
    MUST(self->db, "INSERT INTO plain VALUES (1, 1)");
    return SQLITE_ERROR;
}

/* Falls: xUpdate undoes its own work before it returns an error. A statement of one row has no
 * savepoint, so what a failing xUpdate wrote to shadow tables would stay. */
START_TEST(a_one_row_statement_has_no_savepoint_to_undo_its_update)
{
    make_log();
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b')");
    recorder_take(&rec);
    rec.react = write_and_fail;
    MUST(db, "BEGIN");
    reaction_event = "t.insert";
    ck_assert_int_eq(facts_exec(db, "INSERT INTO t(value) VALUES (1)"), SQLITE_ERROR);
    TRACE(&rec, "t.begin t.insert");
    ROWS(db, "SELECT count(*) FROM plain", "1");
    reaction_event = "t.delete(0)";
    ck_assert_int_eq(facts_exec(db, "DELETE FROM t WHERE offset = 0"), SQLITE_ERROR);
    TRACE(&rec, "t.delete(0)");
    ROWS(db, "SELECT count(*) FROM plain", "2");
    ck_assert_int_eq(facts_exec(db, "DELETE FROM t"), SQLITE_ERROR);
    TRACE(&rec, "t.savepoint(0) t.delete(0) t.rollbackto(0) t.release(0)");
    ROWS(db, "SELECT count(*) FROM plain", "2");
    MUST(db, "COMMIT");
    ROWS(other, "SELECT count(*) FROM plain", "2");
}
END_TEST

/* Falls: a refused xBegin needs no clean-up; a refused xSavepoint ends the transaction. */
START_TEST(errors_of_begin_and_savepoint_end_what_they_began)
{
    make_log();
    react_with_code("t.begin", SQLITE_FULL);
    FAILS(db, "INSERT INTO t(value) VALUES (1)", SQLITE_FULL, "database or disk is full");
    TRACE(&rec, "t.begin");
    react_with_code("t.savepoint(0)", SQLITE_FULL);
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    FAILS(db, "SAVEPOINT s", SQLITE_FULL, "database or disk is full");
    TRACE(&rec, "t.begin t.insert t.savepoint(0) t.rollback");
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
}
END_TEST

/* ---- fact 9 ---- */

/* Falls: nothing fallible may stand in xCommit and xRollback. */
START_TEST(errors_of_commit_and_rollback_are_ignored)
{
    make_log();
    react_with_code("t.commit", SQLITE_IOERR);
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin t.insert t.sync t.commit");
    ROWS(other, "SELECT value FROM t_data", "1");
    react_with_code("t.rollback", SQLITE_IOERR);
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "t.begin t.insert t.rollback");
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("sqlite_facts_commit");
    TCase *test_case = tcase_create("transactions");
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, write_lock_is_held_from_begin_to_sync_with_rollback_journal);
    tcase_add_test(test_case, write_lock_is_held_from_begin_to_sync_with_wal);
    tcase_add_test(test_case, a_stale_snapshot_is_refused_before_any_callback);
    tcase_add_test(test_case, sync_of_all_tables_comes_before_the_hook_and_commit_after);
    tcase_add_test(test_case, shadow_rows_written_in_sync_commit_with_the_transaction);
    tcase_add_test(test_case, sync_may_write_in_attached_memory_and_defensive_databases);
    tcase_add_test(test_case, writing_a_virtual_table_in_sync_is_refused);
    tcase_add_loop_test(test_case, a_shadow_table_can_be_read_in_every_callback, 0,
                        (int)(sizeof reading_events / sizeof *reading_events));
    tcase_add_test(test_case, a_shadow_table_can_be_read_in_connect);
    tcase_add_test(test_case, a_write_in_commit_hangs_until_the_next_statement);
    tcase_add_test(test_case, a_busy_commit_stays_open_and_syncs_again);
    tcase_add_test(test_case, rollback_to_after_a_busy_commit_removes_what_sync_wrote);
    tcase_add_test(test_case, a_busy_autocommit_rolls_back);
    tcase_add_test(test_case, a_commit_hook_veto_comes_after_sync_and_rolls_back);
    tcase_add_test(test_case, an_error_of_sync_rolls_back_unless_it_is_busy);
    tcase_add_test(test_case, a_table_that_synced_is_rolled_back_when_another_fails);
    tcase_add_test(test_case, the_creating_transaction_has_no_begin);
    tcase_add_test(test_case, a_savepoint_that_was_never_announced_is_rolled_back_to);
    tcase_add_test(test_case, the_outermost_savepoint_is_rolled_back_to_as_minus_one);
    tcase_add_test(test_case, a_table_whose_creation_was_rolled_back_still_syncs_and_commits);
    tcase_add_test(test_case, a_failing_statement_rolls_back_to_its_own_savepoint);
    tcase_add_test(test_case, a_one_row_statement_has_no_savepoint_to_undo_its_update);
    tcase_add_test(test_case, errors_of_begin_and_savepoint_end_what_they_began);
    tcase_add_test(test_case, errors_of_commit_and_rollback_are_ignored);
    suite_add_tcase(suite, test_case);
    return suite;
}
