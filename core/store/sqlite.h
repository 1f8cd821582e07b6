#pragma once

#include "base/result.h"

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace fettle::store {

enum class Durability
{
    Full,  ///< a committed transaction survives a power failure: what people do
    Normal ///< it survives a kill, the last ones may be lost with the power: metric batches
};

/// One connection to a database in WAL mode. An error is kept from the first failing statement on
/// until takeError(), and no further statement runs meanwhile, so that a group of statements is
/// checked once at its end. Used by one thread at a time.
class Database
{
public:
    /// Opens or, with `create`, makes the file (0600). Errors: NotFound, Io, Busy, DiskFull;
    /// InvalidInput when it is no database.
    static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file,
                                                  Durability durability, bool create = false);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// How long a statement waits for another program before it gives up as Busy: 5 s unless set.
    void setPatience(std::chrono::milliseconds longest);

    /// Runs statements that give no rows.
    bool exec(const char* sql);
    /// The first error since the last call, or success.
    Result<void> takeError();
    bool failed() const { return m_error.has_value(); }
    void fail(Error error);

    std::int64_t lastId() const;
    std::int64_t changes() const;
    std::int64_t userVersion();
    /// Grows when another connection has changed the database.
    std::int64_t dataVersion();
    /// Reads every page. Errors: InvalidInput when the file is damaged.
    Result<void> quickCheck();

private:
    friend class Statement;
    friend class Transaction;
    explicit Database(std::filesystem::path file)
        : m_file(std::move(file))
    {
    }
    void note(int code);

    std::filesystem::path m_file;
    sqlite3* m_db = nullptr;
    std::optional<Error> m_error;
};

/// A prepared statement. bind() takes the values in order; step() gives true while there is a row.
class Statement
{
public:
    Statement(Database& database, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    template<class... Values> Statement& bind(const Values&... values)
    {
        reset();
        int at = 0;
        (bindOne(++at, values), ...);
        return *this;
    }
    bool step();
    /// step() for statements that give no row: true when it ran.
    bool run();

    std::int64_t integer(int column) const;
    double real(int column) const;      ///< NaN for NULL: SQLite keeps no NaN
    std::string text(int column) const; ///< the bytes of a text or a blob
    bool isNull(int column) const;

private:
    void reset();
    void bindOne(int at, std::nullptr_t);
    void bindOne(int at, std::int64_t value);
    void bindOne(int at, double value);
    void bindOne(int at, std::string_view text);
    void bindOne(int at, std::span<const std::uint8_t> blob);
    void bindOne(int at, int value) { bindOne(at, std::int64_t{value}); }
    void bindOne(int at, bool value) { bindOne(at, std::int64_t{value}); }
    void bindOne(int at, const std::string& value) { bindOne(at, std::string_view(value)); }
    void bindOne(int at, const char* value) { bindOne(at, std::string_view(value)); }
    template<class T> void bindOne(int at, const std::optional<T>& value)
    {
        if (value)
            bindOne(at, *value);
        else
            bindOne(at, nullptr);
    }

    Database& m_database;
    sqlite3_stmt* m_statement = nullptr;
    bool m_ended = false;
};

/// BEGIN IMMEDIATE ... COMMIT. Without a successful commit() everything is rolled back.
class Transaction
{
public:
    explicit Transaction(Database& database);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    /// Commits unless a statement since the start failed; then the error.
    Result<void> commit();

private:
    Database& m_database;
    bool m_open = false, m_done = false;
};

} // namespace fettle::store
