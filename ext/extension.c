/*
 * The entry point: registers the module commitlog, its functions and its table-valued functions
 * with a connection, and keeps what belongs to that connection until SQLite lets go of them all.
 */
#define COMMITLOG_EXTENSION_C
#include "glue.h"
SQLITE_EXTENSION_INIT1

#define SQLITE_VERSION_OLDEST 3038000 /* xBestIndex is told of OFFSET */

#ifdef _WIN32
#define COMMITLOG_EXPORT __declspec(dllexport)
#else
#define COMMITLOG_EXPORT __attribute__((visibility("default")))
#endif

/* Of the process, so that loading twice into a connection finds what is there; under
 * SQLITE_MUTEX_STATIC_APP2. */
static connection *connections;

/* The connection's own, with a reference more. NULL: out of memory. */
static connection *connection_of(sqlite3 *db)
{
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP2);
    connection *conn;

    sqlite3_mutex_enter(mutex);
    for (conn = connections; conn != NULL && conn->db != db;)
        conn = conn->next;
    if (conn == NULL && (conn = sqlite3_malloc64(sizeof *conn)) != NULL) {
        *conn = (connection){.next = connections,
                             .db = db,
                             .is_in_memory = handle_database_path(db, "main") == NULL};
        connections = conn;
    }
    if (conn != NULL)
        conn->reference_count++;
    sqlite3_mutex_leave(mutex);
    return conn;
}

int connection_any_in_memory(void)
{
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP2);
    int found = 0;

    sqlite3_mutex_enter(mutex);
    for (const connection *conn = connections; conn != NULL; conn = conn->next)
        found |= conn->is_in_memory;
    sqlite3_mutex_leave(mutex);
    return found;
}

void connection_release(void *argument)
{
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP2);
    connection *conn = argument;

    if (--conn->reference_count > 0)
        return;
    sqlite3_mutex_enter(mutex);
    for (connection **link = &connections; *link != NULL; link = &(*link)->next) {
        if (*link == conn) {
            *link = conn->next;
            break;
        }
    }
    sqlite3_mutex_leave(mutex);
    drop_forget_leftovers(conn);
    handle_release_temporary_roots(conn);
    sqlite3_free(conn);
}

/* SQLite calls the release also when a registration fails. */
static int register_module(connection *conn, const char *name, const sqlite3_module *module)
{
    conn->reference_count++;
    return sqlite3_create_module_v2(conn->db, name, module, conn, connection_release);
}

COMMITLOG_EXPORT int sqlite3_commitlog_init(sqlite3 *db, char **ret_message,
                                            const sqlite3_api_routines *api);

COMMITLOG_EXPORT int sqlite3_commitlog_init(sqlite3 *db, char **ret_message,
                                            const sqlite3_api_routines *api)
{
    connection *conn;
    int code;

#ifndef SQLITE_CORE
    /* As SQLITE_EXTENSION_INIT2, but threads that load it again must not write what others read. */
    if (sqlite3_api != api)
        sqlite3_api = api;
#endif
    (void)api;
    if (sqlite3_libversion_number() < SQLITE_VERSION_OLDEST) {
        *ret_message = sqlite3_mprintf("commitlog needs SQLite 3.38.0 or newer, this is %s",
                                       sqlite3_libversion());
        return SQLITE_ERROR;
    }
    conn = connection_of(db);
    if (conn == NULL)
        return SQLITE_NOMEM;
    code = register_module(conn, "commitlog", &table_module);
    if (code == SQLITE_OK)
        code = register_module(conn, "commitlog_segments", &segments_module);
    if (code == SQLITE_OK)
        code = register_module(conn, "commitlog_dropped_tables", &drop_module);
    if (code == SQLITE_OK)
        code = functions_register(conn);
    connection_release(conn);
#ifdef SQLITE_CORE
    return code;
#else
    return code == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : code;
#endif
}
