#pragma once

#include "base/mapped_file.h"
#include "tensor/files/ggml_types.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace fettle::tensor {

/// Kinds of values in GGUF files, with the numbers of the format.
enum class GgufType : std::uint32_t
{
    U8 = 0,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64
};

/// One value, still in the file's bytes.
struct GgufValue
{
    GgufType type = GgufType::U8;
    GgufType element = GgufType::U8;  ///< arrays only
    std::uint64_t count = 1;          ///< elements of an array
    std::span<const std::byte> bytes; ///< a text without its length; an array's elements
};

struct GgufTensor
{
    std::string name;
    std::vector<std::int64_t> dims; ///< as in the file: the fastest-moving dimension first
    std::uint32_t type = 0;         ///< of GgmlType, or one that dequantise() refuses
    std::span<const std::byte> bytes;

    std::uint64_t values() const;            ///< product of dims
    std::vector<std::int64_t> shape() const; ///< dims reversed: [out, in]
};

/// A GGUF file (version 2 or 3, little-endian), opened by mapping. All counts, lengths, offsets and
/// sizes are checked against the file's size before use; nothing is allocated by a declared size.
/// Errors: NotFound; InvalidInput with file, key or tensor, byte and remedy; Unsupported for other
/// versions.
class GgufFile
{
public:
    static Result<GgufFile> open(const std::filesystem::path& path);
    /// The same over bytes that the caller keeps alive; `where` names them in errors.
    static Result<GgufFile> parse(std::span<const std::byte> bytes, const std::string& where);

    bool has(const std::string& key) const { return find(key) != nullptr; }
    const GgufValue* find(const std::string& key) const;
    /// Typed access: absent when the key is not there or is of another kind.
    std::optional<std::string> text(const std::string& key) const;
    std::optional<std::int64_t> integer(const std::string& key) const; ///< of any width that fits
    std::optional<double> real(const std::string& key) const;
    std::optional<bool> flag(const std::string& key) const;
    std::optional<std::vector<std::string>> texts(const std::string& key) const;
    std::optional<std::vector<std::int64_t>> integers(const std::string& key) const;
    std::optional<std::vector<float>> reals(const std::string& key) const;

    const std::vector<GgufTensor>& tensors() const { return m_tensors; }
    const GgufTensor* tensor(const std::string& name) const;
    const std::filesystem::path& path() const { return m_path; }

private:
    friend class GgufParser;

    std::filesystem::path m_path;
    std::shared_ptr<const MappedFile> m_mapping;
    std::unordered_map<std::string, GgufValue> m_values;
    std::vector<GgufTensor> m_tensors;
    std::unordered_map<std::string, std::size_t> m_index;
};

/// Bytes of one value of a fixed size; 0 for texts, arrays and unknown kinds.
std::uint64_t fixedSize(GgufType type);

} // namespace fettle::tensor
