/*
 * Handles: one open log for each log that a connection uses, and where its directory is.
 *
 * A database without a file has its logs in a temporary directory. Connections that share such a
 * database find it through the log's uuid, in a list of the process; with the last of them it goes.
 */
#include "glue.h"

#include <string.h>

/* ---- temporary directories ------------------------------------------------------------------- */

typedef struct temporary_root temporary_root;

struct temporary_root {
    temporary_root *next;
    connection *conn; /* a row for each connection that uses the directory; NULL: it is closed */
    const void *database; /* the same for connections that share it, see identity_of() */
    char database_name[128];
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    uint64_t process_generation;
    char path[512];
};

/* Of the process; under SQLITE_MUTEX_STATIC_APP1. */
static temporary_root *temporary_roots;

/*
 * Which database a connection has in memory: in a shared cache the pager's file object is one and
 * the same; with the memdb VFS the name is. A copy has the same uuid, but is another database.
 */
static void identity_of(sqlite3 *db, const char *schema, temporary_root *root)
{
    const char *name = sqlite3_db_filename(db, schema);

    root->database = NULL;
    root->database_name[0] = '\0';
    if (name != NULL && name[0] != '\0')
        sqlite3_snprintf(sizeof root->database_name, root->database_name, "%s", name);
    else
        (void)sqlite3_file_control(db, schema, SQLITE_FCNTL_FILE_POINTER, &root->database);
}

static int is_same_log(const temporary_root *a, const temporary_root *b)
{
    return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0 && a->database == b->database &&
           strcmp(a->database_name, b->database_name) == 0;
}

/* The row of this log: of any connection, or of the wanted row's. */
static temporary_root *find_root(const temporary_root *wanted, int of_any)
{
    for (temporary_root *at = temporary_roots; at != NULL; at = at->next)
        if (at != wanted && is_same_log(at, wanted) && (of_any || at->conn == wanted->conn))
            return at;
    return NULL;
}

/* The temporary directory of a log, made if this process has none. */
static status temporary_root_path(connection *conn, const char *schema, const uint8_t *uuid,
                                  char **ret_path, failure *why)
{
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
    temporary_root *own, *made = sqlite3_malloc64(sizeof *made);
    status result = STATUS_OK;

    if (made == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    memset(made, 0, sizeof *made);
    made->conn = conn;
    memcpy(made->uuid, uuid, sizeof made->uuid);
    made->process_generation = commitlog_process_generation();
    identity_of(conn->db, schema, made);
    sqlite3_mutex_enter(mutex);
    own = find_root(made, 0);
    if (own == NULL) {
        const temporary_root *other = find_root(made, 1);
        if (other != NULL)
            memcpy(made->path, other->path, sizeof made->path);
        else
            result = commitlog_make_temporary_root(made->path, sizeof made->path, why);
        if (result == STATUS_OK) {
            made->next = temporary_roots;
            temporary_roots = own = made;
            made = NULL;
        }
    }
    if (own != NULL && (*ret_path = sqlite3_mprintf("%s", own->path)) == NULL)
        result = fail(why, STATUS_NO_MEMORY, "out of memory");
    sqlite3_mutex_leave(mutex);
    sqlite3_free(made);
    return result;
}

/*
 * A database in memory may be shared with a connection that has not used the log yet, and SQLite
 * does not tell. So as long as the process has any connection to such a database, the directory
 * stays, in nobody's name.
 */
void handle_release_temporary_roots(connection *conn)
{
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
    int may_be_shared = connection_any_in_memory();

    sqlite3_mutex_enter(mutex);
    for (temporary_root **link = &temporary_roots; *link != NULL;) {
        temporary_root *at = *link;
        if (at->conn == conn)
            at->conn = NULL;
        if (at->conn != NULL || may_be_shared) {
            link = &at->next;
            continue;
        }
        *link = at->next;
        /* A child of fork() must not take its parent's log away. */
        if (find_root(at, 1) == NULL && at->process_generation == commitlog_process_generation())
            commitlog_remove_temporary_root(at->path);
        sqlite3_free(at);
    }
    sqlite3_mutex_leave(mutex);
}

const char *handle_database_path(sqlite3 *db, const char *schema)
{
    const char *file = sqlite3_db_filename(db, schema);
    char *vfs = NULL;
    int has_file = file != NULL && file[0] != '\0';

    if (has_file && sqlite3_file_control(db, schema, SQLITE_FCNTL_VFSNAME, &vfs) == SQLITE_OK &&
        vfs != NULL && strncmp(vfs, "memdb", 5) == 0)
        has_file = 0;
    sqlite3_free(vfs);
    return has_file ? file : NULL;
}

status handle_locate(connection *conn, const char *schema, const uint8_t uuid[COMMITLOG_UUID_BYTES],
                     char **ret_root_path, char **ret_database_path, failure *why)
{
    const char *file = handle_database_path(conn->db, schema);

    *ret_database_path = NULL;
    if (file == NULL)
        return temporary_root_path(conn, schema, uuid, ret_root_path, why);
    *ret_root_path = sqlite3_mprintf("%s-commitlog", file);
    *ret_database_path = sqlite3_mprintf("%s", file);
    if (*ret_root_path == NULL || *ret_database_path == NULL) {
        sqlite3_free(*ret_root_path);
        sqlite3_free(*ret_database_path);
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    }
    return STATUS_OK;
}

/* ---- what the tables said -------------------------------------------------------------------- */

/*
 * May what was read from the tables be remembered, and is what is remembered still what they say?
 * The data version changes with every commit, of this connection or another, that the present read
 * transaction sees; not with changes that are not committed yet, so a writing one remembers
 * nothing.
 */
static int is_cacheable(log_handle *handle)
{
    sqlite3 *db = handle->conn->db;
    unsigned version = 0;

    if (sqlite3_txn_state(db, handle->schema) != SQLITE_TXN_READ ||
        sqlite3_file_control(db, handle->schema, SQLITE_FCNTL_DATA_VERSION, &version) != SQLITE_OK)
        return 0;
    if (handle->cache_version != version) {
        handle->cache_version = version;
        handle_forget(handle);
    }
    return 1;
}

void handle_forget(log_handle *handle)
{
    handle->has_cached_state = 0;
    handle->cached_row_count = 0;
}

static status segment_at(void *context, uint64_t offset, commitlog_segment *ret, failure *why)
{
    log_handle *handle = context;
    int cacheable = is_cacheable(handle);
    status result;

    for (unsigned i = 0; cacheable && i < HANDLE_CACHED_ROWS && i < handle->cached_row_count; i++) {
        const commitlog_segment *row = &handle->cached_rows[i];
        if (offset >= row->base_offset && offset - row->base_offset < row->record_count) {
            *ret = *row;
            return STATUS_OK;
        }
    }
    result = store_segment_at(handle, offset, ret, why);
    if (result == STATUS_OK && cacheable)
        handle->cached_rows[handle->cached_row_count++ % HANDLE_CACHED_ROWS] = *ret;
    return result;
}

/* ---- handles --------------------------------------------------------------------------------- */

static commitlog_options core_options(const log_options *options)
{
    return (commitlog_options){.segment_bytes = (uint64_t)options->segment_bytes,
                               .segment_ms = options->segment_ms,
                               .max_message_bytes = (uint64_t)options->max_message_bytes};
}

/* Open handle->core for handle->uuid. */
static status open_core(log_handle *handle, failure *why)
{
    commitlog_catalog catalog = {handle, segment_at};
    commitlog_options options = core_options(&handle->options);
    commitlog_location where = {.read_only =
                                    sqlite3_db_readonly(handle->conn->db, handle->schema) == 1};
    char *root_path = NULL, *database_path = NULL;
    status result =
        handle_locate(handle->conn, handle->schema, handle->uuid, &root_path, &database_path, why);

    if (result != STATUS_OK)
        return result;
    sqlite3_free(handle->root_path);
    sqlite3_free(handle->database_path);
    handle->root_path = root_path;
    handle->database_path = database_path;
    where.root_path = root_path;
    where.database_path = database_path;
    memcpy(where.uuid, handle->uuid, sizeof where.uuid);
    return commitlog_open(NULL, &where, &options, &catalog, &handle->core, why);
}

static void handle_free(log_handle *handle)
{
    store_finalize(handle);
    commitlog_close(handle->core);
    sqlite3_free(handle->collectable);
    sqlite3_free(handle->schema);
    sqlite3_free(handle->name);
    sqlite3_free(handle->root_path);
    sqlite3_free(handle->database_path);
    sqlite3_free(handle);
}

void handle_put(log_handle *handle)
{
    if (handle == NULL || --handle->reference_count > 0)
        return;
    for (log_handle **link = &handle->conn->handles; *link != NULL; link = &(*link)->next) {
        if (*link == handle) {
            *link = handle->next;
            break;
        }
    }
    handle_free(handle);
}

static log_handle *find_handle(connection *conn, const char *schema, const uint8_t *uuid)
{
    for (log_handle *at = conn->handles; at != NULL; at = at->next)
        if (memcmp(at->uuid, uuid, sizeof at->uuid) == 0 &&
            sqlite3_stricmp(at->schema, schema) == 0)
            return at;
    return NULL;
}

/* An instance of the table under another name or with other options has come: it knows best. */
static status refresh(log_handle *handle, const char *name, const log_options *options,
                      failure *why)
{
    commitlog_options for_core = core_options(options);

    handle->options = *options;
    commitlog_set_options(handle->core, &for_core);
    if (strcmp(handle->name, name) != 0) {
        char *copy = sqlite3_mprintf("%s", name);
        if (copy == NULL)
            return fail(why, STATUS_NO_MEMORY, "out of memory");
        store_finalize(handle);
        sqlite3_free(handle->name);
        handle->name = copy;
    }
    return STATUS_OK;
}

status handle_get(connection *conn, const char *schema, const char *name,
                  const log_options *options, log_handle **ret, failure *why)
{
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    log_handle *handle;
    status result = store_read_uuid(conn->db, schema, name, uuid, why);

    if (result == STATUS_NOT_FOUND)
        return fail(why, STATUS_DAMAGED, "the log's tables: %s_config is missing", name);
    if (result != STATUS_OK)
        return result;
    handle = find_handle(conn, schema, uuid);
    if (handle != NULL) {
        result = refresh(handle, name, options, why);
        if (result != STATUS_OK)
            return result;
        handle->reference_count++;
        *ret = handle;
        return STATUS_OK;
    }
    handle = sqlite3_malloc64(sizeof *handle);
    if (handle == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    memset(handle, 0, sizeof *handle);
    handle->conn = conn;
    handle->reference_count = 1;
    handle->wants_drop_check = 1;
    handle->next_collection_ms = INT64_MAX;
    handle->options = *options;
    handle->known_records = 1000000;
    memcpy(handle->uuid, uuid, sizeof handle->uuid);
    handle->schema = sqlite3_mprintf("%s", schema);
    handle->name = sqlite3_mprintf("%s", name);
    result = handle->schema != NULL && handle->name != NULL
                 ? open_core(handle, why)
                 : fail(why, STATUS_NO_MEMORY, "out of memory");
    if (result != STATUS_OK) {
        handle_free(handle);
        return result;
    }
    handle->next = conn->handles;
    conn->handles = handle;
    *ret = handle;
    return STATUS_OK;
}

status handle_reopen(log_handle *handle, failure *why)
{
    uint8_t uuid[COMMITLOG_UUID_BYTES], old_uuid[COMMITLOG_UUID_BYTES];
    commitlog *old = handle->core;
    status result = store_read_uuid(handle->conn->db, handle->schema, handle->name, uuid, why);

    if (result != STATUS_OK || memcmp(uuid, handle->uuid, sizeof uuid) == 0)
        return result;
    memcpy(old_uuid, handle->uuid, sizeof old_uuid);
    memcpy(handle->uuid, uuid, sizeof uuid);
    result = open_core(handle, why);
    handle_forget(handle);
    if (result == STATUS_OK)
        commitlog_close(old);
    else
        memcpy(handle->uuid, old_uuid, sizeof old_uuid);
    return result;
}

status handle_read_state(log_handle *handle, commitlog_state *ret, failure *why)
{
    failure cause = {STATUS_OK, ""};
    int cacheable = is_cacheable(handle);
    status result;

    if (cacheable && handle->has_cached_state) {
        *ret = handle->cached_state;
        return STATUS_OK;
    }
    result = store_read_state(handle, ret, &cause);
    if (result == STATUS_DAMAGED && !commitlog_is_reading(handle->core) &&
        !commitlog_in_transaction(handle->core)) {
        result = handle_reopen(handle, why);
        if (result == STATUS_OK)
            result = store_read_state(handle, ret, &cause);
    }
    if (result != STATUS_OK)
        return fail(why, result, "%s", cause.text);
    commitlog_forget_before(handle->core, ret->log_start_offset);
    handle->cached_state = *ret;
    handle->has_cached_state = cacheable;
    handle->known_records = (sqlite3_int64)(ret->end_offset - ret->log_start_offset);
    return STATUS_OK;
}
