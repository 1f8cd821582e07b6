#include "store/sqlite.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits>
#include <sqlite3.h>
#include <unistd.h>

namespace fettle::store {

namespace {

constexpr int kBusyMilliseconds = 5000;

bool isNoSpace(int systemError)
{
    return systemError == ENOSPC || systemError == EDQUOT || systemError == EFBIG;
}

/// Why nothing can be written beside this file, or 0. SQLite tries a second way when the first fails, so
/// that its own number is about the wrong one.
int reasonInFolder(const std::filesystem::path& file)
{
    std::filesystem::path probe = file;
    probe += fmt::format("-probe.{}.tmp", ::getpid());
    const int fd = ::open(probe.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    const std::array<char, 4096> block{};
    const ssize_t done = ::write(fd, block.data(), block.size());
    const int reason = done == static_cast<ssize_t>(block.size()) ? 0 : done < 0 ? errno : ENOSPC;
    ::close(fd);
    ::unlink(probe.c_str());
    return reason;
}

Error errorOf(sqlite3* db, int code, const std::filesystem::path& file)
{
    const std::string where = file.string();
    const int kind = code & 0xff;
    int system = db ? sqlite3_system_errno(db) : 0;
    if ((kind == SQLITE_CANTOPEN || kind == SQLITE_IOERR) && !isNoSpace(system)) {
        if (const int reason = reasonInFolder(file); reason != 0)
            system = reason;
    }
    if (kind == SQLITE_FULL || ((kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN) && isNoSpace(system)))
        return {ErrorCode::DiskFull, "the disk is full", where,
                "Free some space and try again; what was saved before is safe"};
    if (kind == SQLITE_NOMEM)
        return {ErrorCode::OutOfMemory, "there is not enough memory for the database", where,
                "Close other programs and try again; what was saved before is safe"};
    if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED)
        return {ErrorCode::Busy, "another window or command is writing at the moment", where,
                "Try again in a moment"};
    if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB)
        return {ErrorCode::InvalidInput, "the file is damaged or no database of this program",
                where, "Put back a copy of it"};
    if (kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY || kind == SQLITE_PERM ||
        kind == SQLITE_IOERR)
        return {ErrorCode::Io,
                fmt::format("reading or writing failed ({})",
                            system != 0 ? std::strerror(system) : sqlite3_errstr(code)),
                where, "Check the disk and the folder's permissions"};
    return {ErrorCode::Internal,
            fmt::format("the database refused a statement ({})", sqlite3_errstr(code)), where, ""};
}

} // namespace

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file,
                                                 Durability durability, bool create)
{
    if (create) {
        // Made here so that nobody else may read it; the -wal and -shm files take over its mode.
        const int fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0)
            return Error{isNoSpace(errno) ? ErrorCode::DiskFull : ErrorCode::Io,
                         fmt::format("the file cannot be made ({})", std::strerror(errno)),
                         file.string(), "Check the disk and the folder's permissions"};
        ::close(fd);
    } else if (std::error_code ec; !std::filesystem::exists(file, ec)) {
        return Error{ErrorCode::NotFound, "there is no such file", file.string(), "Check the name"};
    }
    std::unique_ptr<Database> database(new Database(file));
    const int code = sqlite3_open_v2(file.c_str(), &database->m_db,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK)
        return errorOf(database->m_db, code, file);
    sqlite3_extended_result_codes(database->m_db, 1);
    sqlite3_busy_timeout(database->m_db, kBusyMilliseconds);
    sqlite3_db_config(database->m_db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    std::string mode;
    {
        Statement journal(*database, "PRAGMA journal_mode = WAL");
        mode = journal.step() ? journal.text(0) : "";
    }
    database->exec(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY");
    database->exec(durability == Durability::Full ? "PRAGMA synchronous = FULL"
                                                  : "PRAGMA synchronous = NORMAL");
    if (auto status = database->takeError(); !status)
        return status.error();
    if (mode != "wal")
        return Error{ErrorCode::Io,
                     "this file system cannot hold a database that several programs use",
                     file.string(), "Choose a folder on a disk of this computer"};
    return database;
}

void Database::setPatience(std::chrono::milliseconds longest)
{
    sqlite3_busy_timeout(m_db, static_cast<int>(longest.count()));
}

Database::~Database() { sqlite3_close_v2(m_db); }

bool Database::exec(const char* sql)
{
    if (failed())
        return false;
    const int code = sqlite3_exec(m_db, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK)
        note(code);
    return code == SQLITE_OK;
}

Result<void> Database::takeError()
{
    if (!m_error)
        return {};
    const Error error = std::move(*m_error);
    m_error.reset();
    return error;
}

void Database::fail(Error error)
{
    if (!m_error)
        m_error = std::move(error);
}

void Database::note(int code) { fail(errorOf(m_db, code, m_file)); }

std::int64_t Database::lastId() const { return sqlite3_last_insert_rowid(m_db); }

std::int64_t Database::changes() const { return sqlite3_changes64(m_db); }

std::int64_t Database::userVersion()
{
    Statement statement(*this, "PRAGMA user_version");
    return statement.step() ? statement.integer(0) : -1;
}

std::int64_t Database::dataVersion()
{
    Statement statement(*this, "PRAGMA data_version");
    return statement.step() ? statement.integer(0) : -1;
}

Result<void> Database::quickCheck()
{
    Statement statement(*this, "PRAGMA quick_check(1)");
    const bool ok = statement.step() && statement.text(0) == "ok";
    if (auto status = takeError(); !status)
        return status.error();
    if (!ok)
        return errorOf(nullptr, SQLITE_CORRUPT, m_file);
    return {};
}

Statement::Statement(Database& database, std::string_view sql)
    : m_database(database)
{
    if (m_database.failed())
        return;
    const int code = sqlite3_prepare_v2(m_database.m_db, sql.data(), static_cast<int>(sql.size()),
                                        &m_statement, nullptr);
    if (code != SQLITE_OK)
        m_database.note(code);
}

Statement::~Statement() { sqlite3_finalize(m_statement); }

void Statement::reset()
{
    if (m_statement)
        sqlite3_reset(m_statement);
    m_ended = false;
}

bool Statement::step()
{
    if (!m_statement || m_ended || m_database.failed())
        return false;
    const int code = sqlite3_step(m_statement);
    if (code == SQLITE_ROW)
        return true;
    m_ended = true;
    if (code != SQLITE_DONE)
        m_database.note(code);
    sqlite3_reset(m_statement); // ends the read, so that a later COMMIT is not held up
    return false;
}

bool Statement::run()
{
    step();
    return m_statement && !m_database.failed();
}

std::int64_t Statement::integer(int column) const
{
    return sqlite3_column_int64(m_statement, column);
}

double Statement::real(int column) const
{
    return isNull(column) ? std::numeric_limits<double>::quiet_NaN()
                          : sqlite3_column_double(m_statement, column);
}

std::string Statement::text(int column) const
{
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(m_statement, column));
    const int size = sqlite3_column_bytes(m_statement, column);
    return bytes ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
}

bool Statement::isNull(int column) const
{
    return sqlite3_column_type(m_statement, column) == SQLITE_NULL;
}

void Statement::bindOne(int at, std::nullptr_t)
{
    if (m_statement)
        sqlite3_bind_null(m_statement, at);
}

void Statement::bindOne(int at, std::int64_t value)
{
    if (m_statement)
        sqlite3_bind_int64(m_statement, at, value);
}

void Statement::bindOne(int at, double value)
{
    if (m_statement)
        sqlite3_bind_double(m_statement, at, value);
}

void Statement::bindOne(int at, std::string_view text)
{
    if (!m_statement)
        return;
    // SQLITE_TRANSIENT is a cast to a function pointer in C; a copy is what it asks for.
    const int code = sqlite3_bind_text64(m_statement, at, text.data() ? text.data() : "",
                                         text.size(), sqlite3_destructor_type(-1), SQLITE_UTF8);
    if (code != SQLITE_OK)
        m_database.note(code);
}

void Statement::bindOne(int at, std::span<const std::uint8_t> blob)
{
    if (m_statement)
        sqlite3_bind_blob64(m_statement, at, blob.data(), blob.size(), sqlite3_destructor_type(-1));
}

Transaction::Transaction(Database& database)
    : m_database(database)
{
    m_open = m_database.exec("BEGIN IMMEDIATE");
}

Transaction::~Transaction()
{
    if (m_done)
        return;
    static_cast<void>(m_database.takeError());
    if (!m_open)
        return;
    sqlite3_exec(m_database.m_db, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<void> Transaction::commit()
{
    m_done = true;
    if (!m_database.failed() && m_database.exec("COMMIT"))
        m_open = false;
    auto status = m_database.takeError();
    if (m_open) {
        sqlite3_exec(m_database.m_db, "ROLLBACK", nullptr, nullptr, nullptr);
        m_open = false;
    }
    return status;
}

} // namespace fettle::store
