#pragma once

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "tensor/files/dtype.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace fettle::tensor {

/// One tensor of a file: its description and its bytes (row-major, little-endian) in the mapping.
/// The bytes may be misaligned for their type.
struct TensorInfo
{
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;
};

using FileMetadata = std::map<std::string, std::string>;

/// A safetensors file, opened by mapping: nothing is copied, and the spans live as long as this
/// object or a copy of it. Every length, offset and shape is checked against the file's size before
/// use, and each byte of the file belongs to exactly one tensor or to the header.
/// Errors: NotFound; InvalidInput with file, tensor, byte and remedy; Unsupported for an element
/// type that this program cannot turn into numbers.
class SafetensorsFile
{
public:
    static Result<SafetensorsFile> open(const std::filesystem::path& path);
    /// The same over bytes that the caller keeps alive; `where` names them in errors.
    static Result<SafetensorsFile> parse(std::span<const std::byte> bytes,
                                         const std::string& where);

    /// In the order of their bytes.
    const std::vector<TensorInfo>& tensors() const { return m_tensors; }
    /// nullptr when there is none of this name.
    const TensorInfo* find(const std::string& name) const;
    const FileMetadata& metadata() const { return m_metadata; }
    const std::filesystem::path& path() const { return m_path; }
    /// Keeps the bytes alive; null after parse().
    std::shared_ptr<const MappedFile> mapping() const { return m_mapping; }

private:
    std::filesystem::path m_path;
    std::shared_ptr<const MappedFile> m_mapping;
    std::vector<TensorInfo> m_tensors;
    std::unordered_map<std::string, std::size_t> m_index;
    FileMetadata m_metadata;
};

/// Description of a tensor that will be written.
struct TensorPlan
{
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::int64_t> shape;
};

/// transformers refuses files without it.
FileMetadata defaultMetadata();

/// Writes a safetensors file in parts, so that no tensor needs to be in memory whole.
/// The bytes are those that the reference library writes for the same tensors. The file appears
/// whole on commit() or not at all. Errors: InvalidInput for double names or shapes that do not
/// fit; DiskFull, Io.
class SafetensorsWriter
{
public:
    SafetensorsWriter(std::filesystem::path path, std::vector<TensorPlan> plan,
                      FileMetadata metadata = defaultMetadata());

    /// Checks the plan and writes the header.
    Result<void> open();
    /// The order in which data must be given: by element type, widest first, then by name.
    const std::vector<TensorPlan>& order() const { return m_plan; }
    /// The next bytes in order: a whole tensor or a part of one, never across two tensors.
    Result<void> write(const void* data, std::uint64_t size);
    /// Errors: Internal when a tensor was not given to its end.
    Result<void> commit();
    /// Size of the finished file; valid after open().
    std::uint64_t fileSize() const { return m_fileSize; }

private:
    void skipFinished();

    std::filesystem::path m_path;
    std::vector<TensorPlan> m_plan;
    FileMetadata m_metadata;
    AtomicFile m_file;
    std::size_t m_next = 0;   // in m_plan: the tensor that is being written
    std::uint64_t m_left = 0; // bytes of it that are still to come
    std::uint64_t m_fileSize = 0;
};

/// A tensor with its data, which must stay alive during the call.
struct TensorToWrite
{
    TensorPlan plan;
    const void* data = nullptr;
    std::uint64_t size = 0;
};

/// Writes a whole file from tensors that are in memory, in any order.
Result<void> writeSafetensors(const std::filesystem::path& path,
                              const std::vector<TensorToWrite>& tensors,
                              const FileMetadata& metadata = defaultMetadata());

} // namespace fettle::tensor
