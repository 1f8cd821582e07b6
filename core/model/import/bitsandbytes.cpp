#include "model/import/bitsandbytes.h"

#include "model/import/stored_names.h"
#include "tensor/files/convert.h"
#include "tensor/files/four_bit.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <span>

namespace fettle::model {

namespace fs = std::filesystem;
using tensor::DType;
using tensor::TensorInfo;

namespace {

/// Values that are decoded at once.
constexpr std::int64_t kPart = 1 << 18;

std::int64_t over(std::int64_t count, std::int64_t unit) { return (count + unit - 1) / unit; }

std::int64_t elementsOf(const std::vector<std::int64_t>& shape)
{
    std::int64_t count = 1; // the header has checked that it fits
    for (const auto size : shape)
        count *= size;
    return count;
}

/// The numbers of a tensor; its bytes may be misaligned.
std::vector<float> floatsOf(const TensorInfo& info)
{
    std::vector<float> out(static_cast<std::size_t>(elementsOf(info.shape)));
    tensor::toFloats(info.dtype, info.bytes, out.data());
    return out;
}

const std::uint8_t* bytesOf(const TensorInfo& info)
{
    return reinterpret_cast<const std::uint8_t*>(info.bytes.data());
}

Result<void> give(const PartSink& sink, const std::vector<float>& values, std::int64_t count)
{
    return sink(values.data(), static_cast<std::uint64_t>(count) * sizeof(float));
}

Json withoutCompression(Json json)
{
    json.erase("quantization_config");
    return json;
}

} // namespace

bool BitsandbytesFolder::isIn(const fs::path& folder)
{
    const auto json = readJsonFile(folder / "config.json", 16u << 20);
    if (!json || !json->is_object() || !json->contains("quantization_config"))
        return false;
    const auto& how = (*json)["quantization_config"];
    if (!how.is_object())
        return false;
    // Older files name no method.
    const bool named = how.contains("quant_method")
                           ? how["quant_method"] == "bitsandbytes"
                           : how.contains("load_in_4bit") || how.contains("load_in_8bit");
    return named && !how.contains("quant_storage_dtype");
}

Result<BitsandbytesFolder> BitsandbytesFolder::open(const fs::path& folder)
{
    BitsandbytesFolder out;
    out.m_folder = folder;
    auto json = readJsonFile(folder / "config.json", 16u << 20);
    if (!json)
        return json.error();
    out.m_json = withoutCompression(*std::move(json));
    auto config = parseModelConfig(out.m_json, Json(), (folder / "config.json").string());
    if (!config)
        return config.error();
    out.m_config = *std::move(config);
    if (out.m_config.transposedWeights)
        return Error{ErrorCode::Unsupported,
                     fmt::format("compressed {} models are not opened", out.m_config.family),
                     folder.string(), "Choose the uncompressed version of the model"};
    auto weights = tensor::WeightFiles::open(folder);
    if (!weights)
        return weights.error();
    out.m_weights = *std::move(weights);
    completeFromWeights(out.m_config, {[&](const std::string& name) {
                                           const auto* found = out.find(name);
                                           return found ? &found->shape : nullptr;
                                       },
                                       [&](const std::string& a, const std::string& b) {
                                           return std::ranges::equal(out.find(a)->bytes,
                                                                     out.find(b)->bytes);
                                       }});
    for (const auto& weight : expectedWeights(out.m_config)) {
        if (auto fine = out.check(weight); !fine)
            return fine.error();
        out.m_plan.push_back({weight.name, DType::F32, weight.shape});
    }
    return out;
}

const TensorInfo* BitsandbytesFolder::find(const std::string& name) const
{
    for (const auto& stored : storedNames(m_config, name)) {
        if (const auto* found = m_weights.find(stored))
            return found;
    }
    return nullptr;
}

Error BitsandbytesFolder::broken(const std::string& weight, const std::string& what) const
{
    return Error{ErrorCode::InvalidInput,
                 fmt::format("the compressed weight '{}' {}", weight, what), m_folder.string(),
                 "Fetch the model's folder again, or choose its uncompressed version"};
}

Result<const TensorInfo*> BitsandbytesFolder::part(const std::string& name, DType type,
                                                   std::int64_t count) const
{
    const auto* found = m_weights.find(name);
    if (!found)
        return broken(name, "is missing");
    if (found->dtype != type || elementsOf(found->shape) != count)
        return broken(name, fmt::format("has {} values of type {}, {} of type {} are needed",
                                        elementsOf(found->shape), tensor::nameOf(found->dtype),
                                        count, tensor::nameOf(type)));
    return found;
}

Result<void> BitsandbytesFolder::check(const WeightShape& weight)
{
    const auto* found = find(weight.name);
    if (!found)
        return broken(weight.name, "is missing");
    const auto count = elementsOf(weight.shape);
    if (found->dtype == DType::U8) {
        auto fourBit = fourBitOf(weight, *found);
        if (!fourBit)
            return fourBit.error();
        m_fourBit[weight.name] = *fourBit;
        return {};
    }
    if (found->shape != weight.shape)
        return broken(weight.name, fmt::format("has the shape {}, config.json asks for {}",
                                               tensor::shapeText(found->shape),
                                               tensor::shapeText(weight.shape)));
    if (found->dtype == DType::I8) {
        if (weight.shape.size() != 2)
            return broken(weight.name, "is no matrix and yet stored in 8 bits");
        const auto path = found->name.substr(0, found->name.rfind('.'));
        if (const auto* format = m_weights.find(path + ".weight_format");
            format &&
            (format->dtype != DType::U8 || format->bytes.size() != 1 || *bytesOf(*format) != 0))
            return Error{
                ErrorCode::Unsupported,
                fmt::format("'{}' lies in an order for one kind of graphics card", weight.name),
                m_folder.string(), "Save the model again with a newer bitsandbytes"};
        if (auto scales = part(path + ".SCB", DType::F32, weight.shape[0]); !scales)
            return scales.error();
        return {};
    }
    if (!tensor::isFloatType(found->dtype))
        return broken(weight.name, fmt::format("is stored as {}", tensor::nameOf(found->dtype)));
    return count > 0 ? Result<void>{} : broken(weight.name, "is empty");
}

Result<BitsandbytesFolder::FourBit> BitsandbytesFolder::fourBitOf(const WeightShape& weight,
                                                                  const TensorInfo& codes) const
{
    const auto& name = codes.name;
    const auto count = elementsOf(weight.shape);
    const TensorInfo* state = nullptr;
    for (const char* kind : {"nf4", "fp4"}) {
        if (const auto* found = m_weights.find(name + ".quant_state.bitsandbytes__" + kind))
            state = found;
    }
    if (!state || state->dtype != DType::U8 || state->bytes.size() > 65536)
        return broken(name, "has no description (quant_state)");
    const auto json = parseJson(
        {reinterpret_cast<const char*>(state->bytes.data()), state->bytes.size()}, state->name);
    if (!json)
        return json.error();
    const auto number = [&](const char* key) -> std::int64_t {
        const auto found = json->find(key);
        return found != json->end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
    };
    FourBit out;
    out.blockSize = number("blocksize");
    if (!json->is_object() || out.blockSize < 32 || out.blockSize > 4096 ||
        !std::has_single_bit(static_cast<std::uint64_t>(out.blockSize)))
        return broken(name, "names no size of a block");
    if (json->value("shape", Json()) != Json(weight.shape))
        return broken(name,
                      fmt::format("has another shape than {}", tensor::shapeText(weight.shape)));
    if (elementsOf(codes.shape) != over(count, 2))
        return broken(name, "has another number of codes than its shape asks for");
    const auto blocks = over(count, out.blockSize);
    if (auto map = part(name + ".quant_map", DType::F32, 16); !map)
        return map.error();
    if (!m_weights.find(name + ".nested_absmax")) {
        if (auto scales = part(name + ".absmax", DType::F32, blocks); !scales)
            return scales.error();
        return out;
    }
    out.nestedBlockSize = number("nested_blocksize");
    const auto offset = json->value("nested_offset", Json());
    if (out.nestedBlockSize < 32 || out.nestedBlockSize > 4096 || !offset.is_number())
        return broken(name, "names no nested block or offset");
    out.offset = offset.get<float>();
    if (auto scales = part(name + ".absmax", DType::U8, blocks); !scales)
        return scales.error();
    if (auto nested = part(name + ".nested_absmax", DType::F32, over(blocks, out.nestedBlockSize));
        !nested)
        return nested.error();
    if (auto map = part(name + ".nested_quant_map", DType::F32, 256); !map)
        return map.error();
    return out;
}

Result<void> BitsandbytesFolder::read(const tensor::TensorPlan& weight, const PartSink& sink) const
{
    const auto* found = find(weight.name);
    if (found->dtype == DType::U8)
        return readFourBit(weight, *found, sink);
    if (found->dtype == DType::I8)
        return readInt8(weight, *found, sink);
    const auto width = static_cast<std::int64_t>(tensor::bitsOf(found->dtype) / 8);
    const auto count = elementsOf(weight.shape);
    std::vector<float> values(static_cast<std::size_t>(std::min(kPart, count)));
    for (std::int64_t from = 0; from < count; from += kPart) {
        const auto some = std::min(kPart, count - from);
        tensor::toFloats(found->dtype,
                         found->bytes.subspan(static_cast<std::size_t>(from * width),
                                              static_cast<std::size_t>(some * width)),
                         values.data());
        if (auto given = give(sink, values, some); !given)
            return given;
    }
    return {};
}

Result<void> BitsandbytesFolder::readFourBit(const tensor::TensorPlan& weight,
                                             const TensorInfo& codes, const PartSink& sink) const
{
    const auto& how = m_fourBit.at(weight.name);
    const auto map = floatsOf(*m_weights.find(codes.name + ".quant_map"));
    const auto& stored = *m_weights.find(codes.name + ".absmax");
    std::vector<float> absmax;
    if (how.nestedBlockSize == 0) {
        absmax = floatsOf(stored);
    } else {
        const auto nested = floatsOf(*m_weights.find(codes.name + ".nested_absmax")),
                   nestedMap = floatsOf(*m_weights.find(codes.name + ".nested_quant_map"));
        absmax.resize(static_cast<std::size_t>(elementsOf(stored.shape)));
        tensor::decodeNested(
            {bytesOf(stored), nestedMap.data(), nested.data(), how.nestedBlockSize, how.offset}, 0,
            static_cast<std::int64_t>(absmax.size()), absmax.data());
    }
    const auto count = elementsOf(weight.shape);
    std::vector<float> values(static_cast<std::size_t>(std::min(kPart, count)));
    for (std::int64_t from = 0; from < count; from += kPart) {
        const auto some = std::min(kPart, count - from);
        tensor::decodeFourBit(bytesOf(codes), std::span<const float, 16>(map.data(), 16),
                              absmax.data(), how.blockSize, from, some, values.data());
        if (auto given = give(sink, values, some); !given)
            return given;
    }
    return {};
}

Result<void> BitsandbytesFolder::readInt8(const tensor::TensorPlan& weight, const TensorInfo& codes,
                                          const PartSink& sink) const
{
    const auto scales =
        floatsOf(*m_weights.find(codes.name.substr(0, codes.name.rfind('.')) + ".SCB"));
    const auto columns = weight.shape[1];
    std::vector<float> values(static_cast<std::size_t>(columns));
    for (std::size_t row = 0; row < scales.size(); ++row) {
        const auto* code = reinterpret_cast<const std::int8_t*>(bytesOf(codes)) +
                           static_cast<std::int64_t>(row) * columns;
        for (std::int64_t i = 0; i < columns; ++i) // rounded twice, as bitsandbytes does
            values[static_cast<std::size_t>(i)] =
                static_cast<float>(code[i]) * scales[row] * 0.007874015718698502f;
        if (auto given = give(sink, values, columns); !given)
            return given;
    }
    return {};
}

} // namespace fettle::model
