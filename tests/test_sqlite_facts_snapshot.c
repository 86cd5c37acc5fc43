/*
 * What a virtual table can know of snapshots, files and durability: when a read transaction is
 * open, when SQLITE_FCNTL_DATA_VERSION changes, what SQLITE_FCNTL_JOURNAL_POINTER gives, which
 * commits come back, and what closing the database file does to locks. Also the life of a table
 * (DROP, RENAME and their ROLLBACK), which decides when data files may go.
 *
 * Independent of the engine (see recorder.h). The power loss that some of this is about is not
 * simulated here; a process that dies without closing is.
 */
#define _GNU_SOURCE /* strict mode hides fork and pread */
#include "check_main.h"
#include "recorder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static sqlite3 *db;
static sqlite3 *other;
static recorder rec;

static void open_both(void)
{
    db = facts_open("facts.db");
    other = facts_open("facts.db");
    recorder_register(&rec, db);
    MUST(db, "CREATE TABLE plain(x)");
    MUST(db, "CREATE VIRTUAL TABLE t USING recorder");
    recorder_take(&rec);
}

static void setup(void)
{
    facts_setup();
    open_both();
}

static void teardown(void)
{
    sqlite3_close(other);
    sqlite3_close(db);
    recorder_free(&rec);
    facts_teardown();
}

static void use_journal(const char *mode)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", mode);
    ROWS(db, sql, mode);
}

/* ---- the life of a table (facts 5 and 12) ---- */

/* Falls: files go by collection only, never in xDestroy. */
START_TEST(destroy_runs_before_the_commit_and_rollback_undoes_it)
{
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    recorder_take(&rec);
    MUST(db, "BEGIN");
    MUST(db, "DROP TABLE t");
    TRACE(&rec, "t.destroy");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "");
    ROWS(db, "SELECT value FROM t", "1");
    TRACE(&rec, "t.connect");
}
END_TEST

/* Falls: a dropped table must not wait for xCommit to let go of what it staged. xSavepoint can
 * come from the table's own SQL in xDestroy. */
START_TEST(a_dropped_table_gets_no_commit)
{
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin t.insert");
    MUST(db, "DROP TABLE t");
    TRACE(&rec, "t.savepoint(0) t.destroy t.savepoint(1) t.release(1)");
    MUST(db, "COMMIT");
    TRACE(&rec, "");
    ROWS(other, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 't%'", "0");
}
END_TEST

/* Falls: nothing may be made in xCreate that xDestroy would have to remove. */
START_TEST(a_rolled_back_create_is_not_destroyed)
{
    MUST(db, "BEGIN");
    MUST(db, "CREATE VIRTUAL TABLE u USING recorder");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "u.create u.rollback");
}
END_TEST

/* Falls: naming files after the table. */
START_TEST(a_rolled_back_rename_is_not_undone)
{
    MUST(db, "BEGIN");
    MUST(db, "ALTER TABLE t RENAME TO v");
    MUST(db, "INSERT INTO v(value) VALUES (2)");
    TRACE(&rec, "t.rename(v) v.connect v.begin v.insert");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "v.rollback");
    ROWS(db, "SELECT count(*) FROM t", "0");
    TRACE(&rec, "t.connect");
}
END_TEST

/* Falls: the hidden table that tells the end of a DROP's transaction. */
START_TEST(a_hidden_table_written_in_destroy_hears_the_end)
{
    rec.announce_drop = true;
    MUST(db, "BEGIN");
    MUST(db, "DROP TABLE t");
    TRACE(&rec, "t.destroy recorder_drops.connect recorder_drops.begin recorder_drops.savepoint(0) "
                "recorder_drops.insert recorder_drops.release(0)");
    ck_assert_str_eq(rec.values, "text:main.t");
    MUST(db, "ROLLBACK");
    TRACE(&rec, "recorder_drops.rollback");
    MUST(db, "DROP TABLE t");
    TRACE(&rec, "t.connect t.destroy recorder_drops.begin recorder_drops.insert "
                "recorder_drops.sync recorder_drops.commit");
    ROWS(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%drops%'", "0");
}
END_TEST

START_TEST(a_hidden_table_hears_of_savepoints_around_the_drop)
{
    rec.announce_drop = true;
    MUST(db, "BEGIN");
    MUST(db, "SAVEPOINT a");
    MUST(db, "DROP TABLE t");
    TRACE(&rec, "t.destroy recorder_drops.connect recorder_drops.begin recorder_drops.savepoint(1) "
                "recorder_drops.insert recorder_drops.release(1)");
    MUST(db, "SAVEPOINT b; ROLLBACK TO b; ROLLBACK TO a");
    TRACE(&rec,
          "recorder_drops.savepoint(1) recorder_drops.rollbackto(1) recorder_drops.rollbackto(0)");
    MUST(db, "COMMIT");
    TRACE(&rec, "recorder_drops.sync recorder_drops.commit");
    ROWS(db, "SELECT count(*) FROM t", "0");
}
END_TEST

/* Falls: DROP in an attached database leaves main alone. It does not: an eponymous table belongs to
 * main, so writing to it takes main's write lock as well. */
START_TEST(a_hidden_table_takes_the_write_lock_of_main)
{
    char *attach = sqlite3_mprintf("ATTACH %Q AS side", facts_path("side.db"));
    MUST(db, attach);
    sqlite3_free(attach);
    MUST(db, "CREATE VIRTUAL TABLE side.s USING recorder");
    recorder_take(&rec);
    rec.announce_drop = true;
    MUST(db, "BEGIN");
    MUST(db, "DROP TABLE side.s");
    TRACE(&rec, "s.destroy recorder_drops.connect recorder_drops.begin recorder_drops.savepoint(0) "
                "recorder_drops.insert recorder_drops.release(0)");
    ck_assert_str_eq(rec.values, "text:side.s");
    ck_assert_int_eq(sqlite3_txn_state(db, "main"), SQLITE_TXN_WRITE);
    MUST(db, "ROLLBACK");
    TRACE(&rec, "recorder_drops.rollback");

    MUST(other, "BEGIN IMMEDIATE");
    ck_assert_int_eq(facts_exec(db, "DROP TABLE side.s"), SQLITE_BUSY);
    MUST(other, "ROLLBACK");
    MUST(db, "DROP TABLE side.s");
}
END_TEST

/* ---- fact 10 ---- */

/* Answers each byte from `questions` with whether the process gets the write lock: '0' or '1'. */
static void answer_about_lock(int questions, int answers)
{
    char byte;
    while (read(questions, &byte, 1) == 1) {
        sqlite3 *mine = NULL;
        sqlite3_open(facts_path("facts.db"), &mine);
        byte = sqlite3_exec(mine, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ? '1' : '0';
        sqlite3_close(mine);
        if (write(answers, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

/* Falls: nothing of the engine; it is why the engine never touches the database file itself. */
START_TEST(closing_any_descriptor_of_the_database_drops_its_locks)
{
    int questions[2], answers[2];
    char byte = '?';
    facts_setup();
    ck_assert_int_eq(pipe(questions), 0);
    ck_assert_int_eq(pipe(answers), 0);
    pid_t child = fork(); /* before any connection exists, as SQLite demands */
    if (child == 0) {
        close(questions[1]);
        answer_about_lock(questions[0], answers[1]);
    }
    open_both();
    MUST(db, "BEGIN IMMEDIATE");
    ck_assert_int_eq(write(questions[1], "?", 1), 1);
    ck_assert_int_eq(read(answers[0], &byte, 1), 1);
    ck_assert_int_eq(byte, '0');
    close(open(facts_path("facts.db"), O_RDONLY));
    ck_assert_int_eq(write(questions[1], "?", 1), 1);
    ck_assert_int_eq(read(answers[0], &byte, 1), 1);
    ck_assert_int_eq(byte, '1');
    close(questions[1]);
    waitpid(child, NULL, 0);
    MUST(db, "ROLLBACK");
    teardown();
}
END_TEST

/* ---- reading ---- */

static int note_transactions(recorder *self, const char *event)
{
    (void)event;
    static const char *const state_name[] = {"none", "read", "write"};
    char text[64];
    snprintf(text, sizeof text, "(%s %s)", state_name[sqlite3_txn_state(self->db, "main")],
             state_name[sqlite3_txn_state(self->db, "side")]);
    recorder_note(self, text);
    return SQLITE_OK;
}

/* Falls: what xFilter reads from shadow tables belongs to the reader's snapshot. */
START_TEST(a_read_transaction_is_open_on_the_tables_schema_in_filter)
{
    char *attach = sqlite3_mprintf("ATTACH %Q AS side", facts_path("side.db"));
    MUST(db, attach);
    sqlite3_free(attach);
    MUST(db, "CREATE VIRTUAL TABLE side.s USING recorder");
    recorder_take(&rec);
    rec.trace_reads = true;
    rec.react = note_transactions;
    ROWS(db, "SELECT count(*) FROM t", "0");
    TRACE(&rec, "t.open (read none) t.filter (read none) t.close (read none)");
    ROWS(db, "SELECT count(*) FROM s", "0");
    TRACE(&rec, "s.open (none read) s.filter (none read) s.close (none read)");
    MUST(db, "INSERT INTO s(value) SELECT count(*) FROM t");
    TRACE(&rec, "s.begin (read write) t.open (read write) t.filter (read write) "
                "s.insert (read write) t.close (read write) s.sync (read write) "
                "s.commit (none none)");
}
END_TEST

/* Falls: pins are taken at the first xFilter, not at BEGIN, so a trim between the two may win;
 * "older than retention" is the answer then. */
START_TEST(no_callback_announces_a_read_snapshot)
{
    use_journal("wal");
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b')");
    recorder_take(&rec);
    rec.trace_reads = true;
    MUST(db, "BEGIN");
    ROWS(db, "SELECT count(*) FROM plain", "0");
    TRACE(&rec, "");
    MUST(other, "DELETE FROM t_data WHERE offset = 0"); /* a trim, as the tables show it */
    ROWS(db, "SELECT value FROM t", "a;b");
    TRACE(&rec, "t.open t.filter t.close");
    MUST(db, "COMMIT");
    TRACE(&rec, "");
    ROWS(db, "SELECT value FROM t", "b");
}
END_TEST

/* ---- SQLITE_FCNTL_DATA_VERSION ---- */

static unsigned version_seen; /* in the last xFilter */

static unsigned data_version(void)
{
    unsigned version = 0;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
    ck_assert_int_eq(code, SQLITE_OK);
    return version;
}

static int note_version(recorder *self, const char *event)
{
    (void)self;
    if (strcmp(event, "t.filter") == 0)
        version_seen = data_version();
    return SQLITE_OK;
}

/* The version as the log's xFilter sees it. */
static unsigned version_in_filter(void)
{
    rec.trace_reads = true;
    rec.react = note_version;
    version_seen = 0;
    facts_query(db, "SELECT count(*) FROM t");
    rec.react = NULL;
    ck_assert_uint_gt(version_seen, 0);
    return version_seen;
}

/* Falls: keeping what was read from the ledger for as long as the version stays. */
static void check_versions(const char *mode, bool readers_block)
{
    use_journal(mode);
    unsigned before = version_in_filter();
    ck_assert_uint_eq(version_in_filter(), before);

    MUST(db, "INSERT INTO plain VALUES (1)"); /* own commit */
    ck_assert_uint_ne(version_in_filter(), before);
    before = version_in_filter();

    MUST(other, "INSERT INTO plain VALUES (2)"); /* another's, seen when the snapshot is taken */
    ck_assert_uint_eq(data_version(), before);
    ck_assert_uint_ne(version_in_filter(), before);
    before = version_in_filter();

    MUST(db, "BEGIN"); /* a snapshot keeps its version */
    ck_assert_uint_eq(version_in_filter(), before);
    if (!readers_block) {
        MUST(other, "INSERT INTO plain VALUES (3)");
        ck_assert_uint_eq(version_in_filter(), before);
    }
    MUST(db, "COMMIT");
    if (!readers_block)
        ck_assert_uint_ne(version_in_filter(), before);
    before = version_in_filter();

    MUST(db, "BEGIN IMMEDIATE; COMMIT"); /* a commit without a change counts as one */
    ck_assert_uint_ne(version_in_filter(), before);
}

START_TEST(data_version_in_filter_follows_the_snapshot_with_rollback_journal)
{
    check_versions("delete", true);
}
END_TEST

START_TEST(data_version_in_filter_follows_the_snapshot_with_wal)
{
    check_versions("wal", false);
}
END_TEST

/* Falls: the same; what was read while this connection had changes of its own must not be kept,
 * for neither the changes nor their ROLLBACK show in the version. */
static void check_uncommitted_versions(const char *mode)
{
    use_journal(mode);
    unsigned before = version_in_filter();
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t_data(value) VALUES (1)");
    ROWS(db, "SELECT count(*) FROM t", "1");
    ck_assert_uint_eq(version_in_filter(), before);
    MUST(db, "SAVEPOINT s");
    MUST(db, "INSERT INTO t_data(value) VALUES (2)");
    MUST(db, "ROLLBACK TO s");
    ck_assert_uint_eq(version_in_filter(), before);
    MUST(db, "ROLLBACK");
    ROWS(db, "SELECT count(*) FROM t", "0");
    ck_assert_uint_eq(version_in_filter(), before);
}

START_TEST(uncommitted_changes_do_not_show_in_data_version_with_rollback_journal)
{
    check_uncommitted_versions("delete");
}
END_TEST

START_TEST(uncommitted_changes_do_not_show_in_data_version_with_wal)
{
    check_uncommitted_versions("wal");
}
END_TEST

/* ---- files and durability ---- */

static int wal_sync_code; /* of the WAL's xSync, called from the last reaction */
static sqlite3_int64 wal_bytes;

static int sync_wal(recorder *self, const char *event)
{
    (void)event;
    sqlite3_file *wal = NULL;
    int code = sqlite3_file_control(self->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    ck_assert_int_eq(code, SQLITE_OK);
    wal_sync_code = -1;
    wal_bytes = -1;
    if (wal && wal->pMethods) {
        wal_sync_code = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
        wal->pMethods->xFileSize(wal, &wal_bytes);
    }
    recorder_note(self, wal_sync_code == SQLITE_OK ? "synced" : "none");
    return SQLITE_OK;
}

/* Falls: step 17, making the past durable in WAL mode. */
START_TEST(journal_pointer_is_the_wal_and_can_be_synced_in_every_callback)
{
    struct stat info;
    use_journal("wal");
    MUST(db, "PRAGMA synchronous = NORMAL");
    rec.react = sync_wal;
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin synced t.insert synced t.sync synced t.commit synced");
    ck_assert_int_eq(stat(facts_path("facts.db-wal"), &info), 0);
    ck_assert_int_eq(wal_bytes, info.st_size);
    ck_assert_int_gt(wal_bytes, 0);
}
END_TEST

START_TEST(journal_pointer_is_the_wal_in_exclusive_locking_mode)
{
    use_journal("wal");
    sqlite3_close(other);
    other = NULL;
    ROWS(db, "PRAGMA locking_mode = EXCLUSIVE", "exclusive");
    rec.react = sync_wal;
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin synced t.insert synced t.sync synced t.commit synced");
    ck_assert_int_gt(wal_bytes, 0);
}
END_TEST

/* Falls: telling the two modes apart by journal_mode, not by this pointer. */
START_TEST(journal_pointer_is_the_rollback_journal_without_wal)
{
    rec.react = sync_wal;
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin none t.insert none t.sync none t.commit none");
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO plain VALUES (1)"); /* opens the journal */
    MUST(db, "INSERT INTO t(value) VALUES (1)");
    TRACE(&rec, "t.begin synced t.insert synced");
    MUST(db, "COMMIT");
}
END_TEST

static int refuse_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return SQLITE_IOERR_FSYNC;
}

/* A process whose second commit fails in the sync of the WAL, and which then dies. */
static void fail_to_commit_and_die(void)
{
    static sqlite3_io_methods broken;
    sqlite3_file *wal = NULL;
    sqlite3 *mine = facts_open("lost.db");
    MUST(mine, "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL");
    MUST(mine, "CREATE TABLE kept(x); INSERT INTO kept VALUES ('first')");
    sqlite3_file_control(mine, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    broken = *wal->pMethods;
    broken.xSync = refuse_sync;
    wal->pMethods = &broken;
    int code = facts_exec(mine, "INSERT INTO kept VALUES ('refused')");
    const char *rows = facts_query(mine, "SELECT x FROM kept");
    _exit(code == SQLITE_IOERR_FSYNC && strcmp(rows, "first") == 0 ? 42 : 1);
}

/* Falls: the tail check, step 3, and unique file names: what a failed commit wrote may come back,
 * without any power loss, so nobody may overwrite it. */
START_TEST(a_commit_that_reported_failure_comes_back_whole)
{
    int status = 0;
    facts_setup();
    pid_t child = fork();
    if (child == 0)
        fail_to_commit_and_die();
    waitpid(child, &status, 0);
    ck_assert_int_eq(WEXITSTATUS(status), 42);
    sqlite3 *heir = facts_open("lost.db");
    ROWS(heir, "SELECT x FROM kept", "first;refused");
    sqlite3_close(heir);
    facts_teardown();
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("sqlite_facts_snapshot");
    TCase *test_case = tcase_create("snapshots");
    TCase *forking = tcase_create("forking"); /* these open their databases after they forked */
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, destroy_runs_before_the_commit_and_rollback_undoes_it);
    tcase_add_test(test_case, a_dropped_table_gets_no_commit);
    tcase_add_test(test_case, a_rolled_back_create_is_not_destroyed);
    tcase_add_test(test_case, a_rolled_back_rename_is_not_undone);
    tcase_add_test(test_case, a_hidden_table_written_in_destroy_hears_the_end);
    tcase_add_test(test_case, a_hidden_table_hears_of_savepoints_around_the_drop);
    tcase_add_test(test_case, a_hidden_table_takes_the_write_lock_of_main);
    tcase_add_test(forking, closing_any_descriptor_of_the_database_drops_its_locks);
    tcase_add_test(test_case, a_read_transaction_is_open_on_the_tables_schema_in_filter);
    tcase_add_test(test_case, no_callback_announces_a_read_snapshot);
    tcase_add_test(test_case, data_version_in_filter_follows_the_snapshot_with_rollback_journal);
    tcase_add_test(test_case, data_version_in_filter_follows_the_snapshot_with_wal);
    tcase_add_test(test_case,
                   uncommitted_changes_do_not_show_in_data_version_with_rollback_journal);
    tcase_add_test(test_case, uncommitted_changes_do_not_show_in_data_version_with_wal);
    tcase_add_test(test_case, journal_pointer_is_the_wal_and_can_be_synced_in_every_callback);
    tcase_add_test(test_case, journal_pointer_is_the_wal_in_exclusive_locking_mode);
    tcase_add_test(test_case, journal_pointer_is_the_rollback_journal_without_wal);
    tcase_add_test(forking, a_commit_that_reported_failure_comes_back_whole);
    suite_add_tcase(suite, test_case);
    suite_add_tcase(suite, forking);
    return suite;
}
