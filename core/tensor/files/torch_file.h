#pragma once

#include "base/mapped_file.h"
#include "tensor/files/dtype.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fettle::tensor {

/// One tensor of a PyTorch file: a view of stored elements, not always contiguous.
struct TorchTensor
{
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::int64_t> shape, strides;
    std::span<const std::byte> storage; ///< from the tensor's first element on
};

/// Weights of a .bin or .pt file, in the zip form and the older plain form. Such files are pickles,
/// programs for a small machine that can call any function; this reader runs only the steps that
/// build dictionaries of tensors, knows fifteen names, calls nothing, and refuses everything else.
/// Every index and length is checked against the file.
/// Errors: NotFound; Unsupported naming what the file asks for; InvalidInput for a damaged file.
class TorchFile
{
public:
    static Result<TorchFile> open(const std::filesystem::path& path);
    /// The same over bytes that the caller keeps alive; `where` names them in errors.
    static Result<TorchFile> parse(std::span<const std::byte> bytes, const std::string& where);

    const std::vector<TorchTensor>& tensors() const { return m_tensors; }
    const std::filesystem::path& path() const { return m_path; }
    /// The elements in row-major order, in parts.
    static Result<void> read(const TorchTensor& tensor,
                             const std::function<Result<void>(const void*, std::uint64_t)>& sink);

private:
    std::filesystem::path m_path;
    std::shared_ptr<const MappedFile> m_mapping;
    std::vector<TorchTensor> m_tensors;
};

} // namespace fettle::tensor
