#pragma once

#include "base/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fettle::model {

/// Reads keys of a configuration with type and range checks. After the first problem every further
/// read gives the fallback, so that a reader is a list of lines; problem() is asked once at the
/// end. A key that is absent or null counts as not given.
class ConfigReader
{
public:
    ConfigReader(const Json& object, std::string where)
        : m_object(object)
        , m_where(std::move(where))
    {
    }

    bool has(const char* key) const;
    /// A whole number in [least, most]; required when there is no fallback.
    std::int64_t integer(const char* key, std::int64_t least, std::int64_t most,
                         std::optional<std::int64_t> fallback = std::nullopt);
    /// A finite number in [least, most].
    double real(const char* key, double least, double most,
                std::optional<double> fallback = std::nullopt);
    bool flag(const char* key, bool fallback);
    std::string text(const char* key, const std::string& fallback);
    /// Finite positive numbers.
    std::vector<double> reals(const char* key, std::size_t maxCount);
    /// One id or a list of ids, in [0, limit); ids of -1 mean none in some files and are left out.
    std::vector<std::int32_t> ids(const char* key, std::int64_t limit);

    void refuse(std::string what, ErrorCode code = ErrorCode::InvalidInput,
                std::string remedy = "");
    const std::optional<Error>& problem() const { return m_problem; }
    const Json& object() const { return m_object; }

private:
    const Json* value(const char* key) const;

    const Json& m_object;
    std::string m_where;
    std::optional<Error> m_problem;
};

} // namespace fettle::model
