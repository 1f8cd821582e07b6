// Weight files: safetensors, GGUF, PyTorch.
#include "base/text.h"
#include "fuzz/fuzz_target.h"
#include "model/import/gguf_config.h"
#include "model/import/gguf_metadata.h"
#include "model/import/gguf_model.h"
#include "tensor/files/safetensors.h"
#include "tensor/files/torch_file.h"
#include "text/chat_template.h"
#include "text/tokenizer_json.h"

#include <algorithm>
#include <cstring>

namespace fettle::fuzz {

using namespace fettle::tensor;

namespace {

constexpr const char* kName = "input.file";

std::span<const std::byte> bytesOf(std::string_view input)
{
    return std::as_bytes(std::span(input.data(), input.size()));
}

/// Touches every byte, so that the sanitizers see each of them.
void touch(std::span<const std::byte> bytes)
{
    volatile unsigned sum = 0;
    for (const auto byte : bytes)
        sum = sum + static_cast<unsigned>(byte);
}

bool inside(std::span<const std::byte> part, std::span<const std::byte> whole)
{
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

void useTokenizer(const GgufFile& file)
{
    const auto facts = model::tokenizerFromGguf(file);
    if (!facts)
        return checkRefusal(facts.error());
    const auto files = text::tokenizerJsonFromGguf(*facts);
    if (!files)
        return checkRefusal(files.error());
    if (files->contains("chat_template.jinja")) {
        const auto form = text::ChatTemplate::parse(
            (*files)["chat_template.jinja"].get<std::string>(), Json::object());
        if (!form)
            checkRefusal(form.error());
    }
    const auto tokenizer = text::JsonTokenizer::fromJson((*files)["tokenizer.json"]);
    if (!tokenizer)
        return checkRefusal(tokenizer.error());
    const auto ids = (*tokenizer)->encode("Hello, 12 w\xC3\xB6rter\n", {true, true});
    for (const auto id : ids)
        promise(id >= 0 && id < (*tokenizer)->vocabSize(), "ids lie in the vocabulary");
    (*tokenizer)->decode(ids, false);
}

void useModel(std::string_view input)
{
    const MemoryFile file(input);
    const auto opened = model::GgufModel::open(file.path());
    if (!opened)
        return checkRefusal(opened.error());
    for (const auto& weight : opened->plan()) {
        std::uint64_t given = 0;
        const auto read =
            opened->read(weight, [&](const void* data, std::uint64_t size) -> Result<void> {
                touch({static_cast<const std::byte*>(data), size});
                given += size;
                return {};
            });
        if (!read)
            checkRefusal(read.error());
        else
            promise(given == byteCount(weight.dtype, weight.shape), "a weight is given whole");
    }
}

} // namespace

void runSafetensors(std::string_view input)
{
    const auto bytes = bytesOf(input);
    const auto file = SafetensorsFile::parse(bytes, kName);
    if (!file)
        return checkRefusal(file.error());
    std::uint64_t data = 0;
    for (const auto& tensor : file->tensors()) {
        promise(inside(tensor.bytes, bytes), "a tensor lies inside the file");
        promise(byteCount(tensor.dtype, tensor.shape) == tensor.bytes.size(),
                "a tensor has the bytes of its shape");
        promise(file->find(tensor.name) == &tensor, "a tensor is found by its name");
        touch(tensor.bytes);
        data += tensor.bytes.size();
    }
    std::uint64_t header = 0;
    std::memcpy(&header, input.data(), sizeof header);
    promise(8 + header + data == input.size(), "every byte belongs to the header or one tensor");
}

void runGguf(std::string_view input)
{
    const auto bytes = bytesOf(input);
    const auto file = GgufFile::parse(bytes, kName);
    if (!file)
        return checkRefusal(file.error());
    std::vector<float> values;
    for (const auto& tensor : file->tensors()) {
        promise(inside(tensor.bytes, bytes), "a tensor lies inside the file");
        promise(file->tensor(tensor.name) == &tensor, "a tensor is found by its name");
        touch(tensor.bytes);
        const auto shape = tensor.shape();
        if (std::find(shape.begin(), shape.end(), 0) != shape.end())
            continue;
        values.resize(tensor.values());
        const auto done = dequantise(tensor.type, tensor.bytes, values.data(), values.size());
        if (!done)
            checkRefusal(done.error());
    }
    model::generationFromGguf(*file);
    promise(isValidUtf8(model::readmeFromGguf(*file)), "the card is text");
    useModel(input);
    useTokenizer(*file);
}

void runTorch(std::string_view input)
{
    const auto bytes = bytesOf(input);
    const auto file = TorchFile::parse(bytes, kName);
    if (!file)
        return checkRefusal(file.error());
    for (const auto& tensor : file->tensors()) {
        promise(inside(tensor.storage, bytes), "a tensor lies inside the file");
        std::uint64_t given = 0;
        const auto read =
            TorchFile::read(tensor, [&](const void* data, std::uint64_t size) -> Result<void> {
                touch({static_cast<const std::byte*>(data), size});
                given += size;
                return {};
            });
        promise(bool(read), "an accepted tensor can be read");
        promise(given == byteCount(tensor.dtype, tensor.shape), "a tensor is given whole");
        promise(given <= input.size(), "no tensor is larger than the file");
    }
}

} // namespace fettle::fuzz
