#pragma once

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "tensor/files/gguf.h"

#include <set>

namespace fettle::tensor {

/// The keys of a GGUF file in the order in which they are written.
class GgufKeys
{
public:
    void text(const std::string& key, const std::string& value);
    void u32(const std::string& key, std::uint64_t value); ///< counts, sizes and ids
    void f32(const std::string& key, double value);
    void flag(const std::string& key, bool value);
    void texts(const std::string& key, const std::vector<std::string>& values);
    void i32s(const std::string& key, const std::vector<std::int32_t>& values);
    void f32s(const std::string& key, const std::vector<float>& values);
    void flags(const std::string& key, const std::vector<bool>& values);
    void bytes(const std::string& key, const std::string& values);

private:
    friend class GgufWriter;

    void begin(const std::string& key, GgufType type);
    void beginList(const std::string& key, GgufType element, std::uint64_t count);
    template<class T> void put(T value);
    void putText(const std::string& value);

    std::string m_bytes;
    std::set<std::string> m_names;
    std::uint64_t m_count = 0;
    std::string m_problem; // of the first key that no reader would take
};

/// Description of a tensor that will be written.
struct GgufTensorPlan
{
    std::string name;
    GgmlType type = GgmlType::F32;
    std::vector<std::int64_t> shape; ///< [out, in]; the file has it reversed
};

/// Writes a GGUF file of version 3 in parts, so that no tensor needs to be in memory whole. All
/// that the reference reader demands is checked before anything is written. The file appears whole
/// on commit() or not at all. Errors: InvalidInput for names, shapes and keys that no reader takes;
/// DiskFull, Io.
class GgufWriter
{
public:
    GgufWriter(std::filesystem::path path, GgufKeys keys, std::vector<GgufTensorPlan> plan);

    /// Checks and writes the tables.
    Result<void> open();
    const std::vector<GgufTensorPlan>& plan() const { return m_plan; }
    /// The next bytes in the order of the plan: a whole tensor or a part of one, never across two.
    Result<void> write(const void* data, std::uint64_t size);
    /// SHA-256 of the file. Errors: Internal when a tensor was not given to its end.
    Result<std::string> commit();
    /// Size of the finished file; valid after open().
    std::uint64_t fileSize() const { return m_fileSize; }

private:
    Result<std::string> tables();
    Result<void> give(const void* data, std::uint64_t size);

    std::filesystem::path m_path;
    GgufKeys m_keys;
    std::vector<GgufTensorPlan> m_plan;
    std::vector<std::uint64_t> m_sizes; // bytes of each tensor, without padding
    AtomicFile m_file;
    Sha256 m_digest;
    std::size_t m_next = 0;   // in m_plan: the tensor that is being written
    std::uint64_t m_left = 0; // bytes of it that are still to come
    std::uint64_t m_fileSize = 0;
};

} // namespace fettle::tensor
