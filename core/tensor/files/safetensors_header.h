#pragma once

#include "base/result.h"
#include "tensor/files/safetensors.h"

#include <string_view>

namespace fettle::tensor {

/// What the header of a safetensors file says about one tensor; not yet checked against the data.
struct HeaderEntry
{
    std::string name;
    DType dtype = DType::F32;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0; ///< from the first byte behind the header
};

struct Header
{
    std::vector<HeaderEntry> entries;
    FileMetadata metadata;
};

/// Reads the JSON text of a header in one pass, with bounded depth, counts and name lengths. Double
/// names and unknown keys are refused. `where` names the file in errors.
Result<Header> parseHeader(std::string_view text, const std::string& where);

} // namespace fettle::tensor
