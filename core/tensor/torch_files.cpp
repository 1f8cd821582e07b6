#include "tensor/torch_files.h"

#include "tensor/torch_pch.h"

#include <cstring>

namespace fettle::tensor {

using at::Tensor;

std::optional<at::ScalarType> scalarTypeOf(DType type)
{
    switch (type) {
    case DType::Bool:
        return at::kBool;
    case DType::U8:
        return at::kByte;
    case DType::I8:
        return at::kChar;
    case DType::I16:
        return at::kShort;
    case DType::I32:
        return at::kInt;
    case DType::I64:
        return at::kLong;
    case DType::F16:
        return at::kHalf;
    case DType::BF16:
        return at::kBFloat16;
    case DType::F32:
        return at::kFloat;
    case DType::F64:
        return at::kDouble;
    case DType::F8E4M3:
        return at::kFloat8_e4m3fn;
    case DType::F8E5M2:
        return at::kFloat8_e5m2;
    default:
        return {};
    }
}

std::optional<DType> dtypeOf(at::ScalarType type)
{
    for (const auto each : {DType::Bool, DType::U8, DType::I8, DType::I16, DType::I32, DType::I64, DType::F16,
                            DType::BF16, DType::F32, DType::F64}) {
        if (scalarTypeOf(each) == type)
            return each;
    }
    return {};
}

Result<Tensor> tensorOver(const TensorInfo& info, std::shared_ptr<const void> keepAlive)
{
    const auto type = scalarTypeOf(info.dtype);
    if (!type)
        return Error{ErrorCode::Unsupported, "numbers of type " + std::string(nameOf(info.dtype)) + " cannot be used",
                     info.name, "Convert the model to float32, float16 or bfloat16"};
    const auto options = at::TensorOptions().dtype(*type);
    const auto width = at::elementSize(*type);
    auto* data = const_cast<std::byte*>(info.bytes.data());
    if (reinterpret_cast<std::uintptr_t>(data) % width == 0 && keepAlive)
        return at::from_blob(data, info.shape, [keepAlive](void*) {}, options);
    Tensor copy = at::empty(info.shape, options);
    std::memcpy(copy.data_ptr(), data, info.bytes.size());
    return copy;
}

Result<std::map<std::string, Tensor>> readTensors(const std::filesystem::path& file)
{
    auto opened = SafetensorsFile::open(file);
    if (!opened)
        return opened.error();
    std::map<std::string, Tensor> out;
    for (const auto& info : opened->tensors()) {
        auto tensor = tensorOver(info, opened->mapping());
        if (!tensor)
            return at(tensor.error(), file.filename().string());
        out.emplace(info.name, *std::move(tensor));
    }
    return out;
}

Result<void> writeTensors(const std::filesystem::path& file, const NamedTensors& tensors)
{
    std::vector<Tensor> kept;
    std::vector<TensorToWrite> items;
    for (const auto& [name, value] : tensors) {
        const auto type = dtypeOf(value.scalar_type());
        if (!type)
            return Error{ErrorCode::Unsupported, "numbers of this type cannot be written", name, "Choose float32"};
        kept.push_back(value.detach().to(at::kCPU).contiguous());
        items.push_back({{name, *type, kept.back().sizes().vec()},
                         kept.back().const_data_ptr(),
                         static_cast<std::uint64_t>(kept.back().nbytes())});
    }
    return writeSafetensors(file, items);
}

} // namespace fettle::tensor
