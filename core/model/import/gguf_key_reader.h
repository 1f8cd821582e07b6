#pragma once

#include "model/import/gguf_families.h"
#include "model/import/gguf_rope.h"

#include <fmt/format.h>
#include <optional>

namespace fettle::model {

/// Reads the keys of one architecture; after the first problem the rest gives fallbacks.
class GgufKeyReader
{
public:
    GgufKeyReader(const tensor::GgufFile& file, const GgufFamily& family)
        : m_file(file)
        , m_prefix(std::string(family.architecture) + ".")
    {
    }

    std::string full(const char* key) const { return m_prefix + key; }
    bool has(const char* key) const { return m_file.has(full(key)); }
    /// A whole number above 0; required without fallback.
    std::int64_t count(const char* key, std::optional<std::int64_t> fallback = std::nullopt)
    {
        const auto name = full(key);
        if (!m_file.has(name) && fallback)
            return *fallback;
        const auto value = m_file.integer(name);
        if (!value || *value < 1) {
            refuse(fmt::format("the key '{}' is missing or not a whole number above 0", name));
            return 1;
        }
        return *value;
    }
    double real(const char* key, std::optional<double> fallback = std::nullopt)
    {
        const auto name = full(key);
        const auto value = m_file.real(name);
        if (!value && (!fallback || m_file.has(name)))
            refuse(fmt::format("the key '{}' is missing or not a number", name));
        return shortestOf(value.value_or(fallback.value_or(1)));
    }
    /// As count(), and at most as many as the file has tensors.
    std::int64_t layers(const char* key, std::optional<std::int64_t> fallback = std::nullopt)
    {
        const auto layers = count(key, fallback);
        if (static_cast<std::uint64_t>(layers) > m_file.tensors().size())
            refuse(fmt::format("the keys promise {} layers, the file has {} tensors", layers,
                               m_file.tensors().size()));
        return layers;
    }
    /// Rows of the embedding table.
    std::int64_t vocab()
    {
        const auto* embedding = m_file.tensor("token_embd.weight");
        if (embedding && embedding->dims.size() == 2)
            return embedding->dims[1];
        refuse("the weight 'token_embd.weight' is missing or not a table");
        return 0;
    }
    void refuse(std::string what, ErrorCode code = ErrorCode::InvalidInput)
    {
        if (!m_problem)
            m_problem =
                Error{code, std::move(what), "", "Fetch the file again, or choose another one"};
    }
    const std::optional<Error>& problem() const { return m_problem; }
    const tensor::GgufFile& file() const { return m_file; }

private:
    const tensor::GgufFile& m_file;
    std::string m_prefix;
    std::optional<Error> m_problem;
};

} // namespace fettle::model
