#include "model/import/config_reader.h"

#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

const Json* ConfigReader::value(const char* key) const
{
    const auto at = m_object.find(key);
    return at == m_object.end() || at->is_null() ? nullptr : &*at;
}

bool ConfigReader::has(const char* key) const { return value(key) != nullptr; }

void ConfigReader::refuse(std::string what, ErrorCode code, std::string remedy)
{
    if (!m_problem)
        m_problem =
            Error{code, std::move(what), m_where,
                  remedy.empty() ? "Fetch the model's folder again, or correct this file" : remedy};
}

std::int64_t ConfigReader::integer(const char* key, std::int64_t least, std::int64_t most,
                                   std::optional<std::int64_t> fallback)
{
    const Json* found = value(key);
    if (!found) {
        if (!fallback)
            refuse(fmt::format("the key '{}' is missing", key));
        return fallback.value_or(least);
    }
    // 1e30 is written for "no limit"; whole floats such as 2048.0 occur too.
    const double number = found->is_number() ? found->get<double>() : NAN;
    if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) ||
        number != std::floor(number)) {
        refuse(fmt::format("'{}' must be a whole number from {} to {}", key, least, most));
        return fallback.value_or(least);
    }
    return static_cast<std::int64_t>(number);
}

double ConfigReader::real(const char* key, double least, double most,
                          std::optional<double> fallback)
{
    const Json* found = value(key);
    if (!found) {
        if (!fallback)
            refuse(fmt::format("the key '{}' is missing", key));
        return fallback.value_or(least);
    }
    const double number = found->is_number() ? found->get<double>() : NAN;
    if (!(number >= least && number <= most)) {
        refuse(fmt::format("'{}' must be a number from {:g} to {:g}", key, least, most));
        return fallback.value_or(least);
    }
    return number;
}

bool ConfigReader::flag(const char* key, bool fallback)
{
    const Json* found = value(key);
    if (found && !found->is_boolean())
        refuse(fmt::format("'{}' must be true or false", key));
    return found && found->is_boolean() ? found->get<bool>() : fallback;
}

std::string ConfigReader::text(const char* key, const std::string& fallback)
{
    const Json* found = value(key);
    if (found && !found->is_string())
        refuse(fmt::format("'{}' must be a text", key));
    return found && found->is_string() ? found->get<std::string>() : fallback;
}

std::vector<double> ConfigReader::reals(const char* key, std::size_t maxCount)
{
    const Json* found = value(key);
    std::vector<double> numbers;
    if (!found)
        return numbers;
    if (!found->is_array() || found->size() > maxCount) {
        refuse(fmt::format("'{}' must be a list of at most {} numbers", key, maxCount));
        return numbers;
    }
    for (const auto& item : *found) {
        const double number = item.is_number() ? item.get<double>() : NAN;
        if (!(number > 0 && number < 1e9)) {
            refuse(fmt::format("'{}' must hold positive numbers only", key));
            return {};
        }
        numbers.push_back(number);
    }
    return numbers;
}

std::vector<std::int32_t> ConfigReader::ids(const char* key, std::int64_t limit)
{
    const Json* found = value(key);
    std::vector<std::int32_t> ids;
    if (!found)
        return ids;
    const Json list = found->is_array() ? *found : Json::array({*found});
    for (const auto& item : list) {
        if (!item.is_number_integer() || item.get<double>() >= static_cast<double>(limit) ||
            item.get<double>() < -1 || list.size() > 1000) {
            refuse(
                fmt::format("'{}' must be a token number below {}, or a list of them", key, limit));
            return {};
        }
        if (item.get<std::int64_t>() >= 0)
            ids.push_back(item.get<std::int32_t>());
    }
    return ids;
}

} // namespace fettle::model
