#include "base/checked.h"
#include "fuzz/fuzz_target.h"
#include "tensor/files/gguf.h"

#include <array>

namespace fettle::fuzz {

using namespace fettle::tensor;

namespace {

struct Key
{
    std::string name;
    std::uint32_t type = 0, element = 0;
    std::string value;              // fixed kinds, texts, and lists of fixed kinds
    std::vector<std::string> texts; // lists of texts
    bool isTexts() const { return type == 9 && element == 8; }
};

struct Tensor
{
    std::string name;
    std::vector<std::uint64_t> dims;
    std::uint32_t type = 0;
};

struct Parts
{
    std::uint32_t version = 3;
    std::vector<Key> keys;
    std::vector<Tensor> tensors;
    std::string data;
};

template<class T> std::string raw(T value)
{
    return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string sized(const std::string& text) { return raw<std::uint64_t>(text.size()) + text; }

std::string takeText(ByteReader& reader)
{
    return std::string(reader.text(reader.read<std::uint64_t>()));
}

bool readKey(ByteReader& reader, Key& key)
{
    key.name = takeText(reader);
    key.type = reader.read<std::uint32_t>();
    if (key.type == 8) {
        key.value = takeText(reader);
    } else if (key.type == 9) {
        key.element = reader.read<std::uint32_t>();
        const auto count = reader.read<std::uint64_t>();
        if (count > reader.remaining())
            return false;
        for (std::uint64_t i = 0; key.isTexts() && i < count && reader.ok(); ++i)
            key.texts.push_back(takeText(reader));
        if (!key.isTexts())
            key.value = reader.text(count * fixedSize(static_cast<GgufType>(key.element)));
    } else {
        key.value = reader.text(fixedSize(static_cast<GgufType>(key.type)));
    }
    return reader.ok();
}

/// What can be read of the tables; damaged rests are left out.
Parts taken(const std::string& input)
{
    ByteReader reader(std::as_bytes(std::span(input.data(), input.size())));
    Parts parts;
    reader.skip(4);
    parts.version = reader.read<std::uint32_t>();
    const auto tensors = reader.read<std::uint64_t>(), keys = reader.read<std::uint64_t>();
    Key key;
    for (std::uint64_t i = 0; i < keys && i < 10'000 && readKey(reader, key); ++i) {
        parts.keys.push_back(std::move(key));
        key = {};
    }
    for (std::uint64_t i = 0; i < tensors && i < 10'000 && reader.ok(); ++i) {
        Tensor tensor;
        tensor.name = takeText(reader);
        const auto dims = reader.read<std::uint32_t>();
        for (std::uint32_t d = 0; d < dims && d < 8; ++d)
            tensor.dims.push_back(reader.read<std::uint64_t>());
        tensor.type = reader.read<std::uint32_t>();
        reader.skip(8);
        if (reader.ok())
            parts.tensors.push_back(std::move(tensor));
    }
    reader.skip((32 - reader.position() % 32) % 32);
    parts.data = reader.text(reader.remaining());
    return parts;
}

std::string written(const Parts& parts, std::size_t maxSize)
{
    std::string out = "GGUF" + raw(parts.version) + raw<std::uint64_t>(parts.tensors.size()) +
                      raw<std::uint64_t>(parts.keys.size());
    for (const auto& key : parts.keys) {
        out += sized(key.name) + raw(key.type);
        if (key.type == 9) {
            const auto width = fixedSize(static_cast<GgufType>(key.element));
            out += raw(key.element) + raw<std::uint64_t>(key.isTexts() ? key.texts.size()
                                                         : width > 0   ? key.value.size() / width
                                                                       : 0);
        }
        for (const auto& text : key.texts)
            out += sized(text);
        out += key.type == 8 ? sized(key.value) : key.value;
    }
    Checked offset = 0;
    for (const auto& tensor : parts.tensors) {
        out += sized(tensor.name) + raw(static_cast<std::uint32_t>(tensor.dims.size()));
        const auto* type = ggmlTypeInfo(tensor.type);
        Checked size = type ? type->bytes : 4;
        for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
            out += raw(tensor.dims[i]);
            size *= i == 0 && type ? tensor.dims[i] / type->values : tensor.dims[i];
        }
        out += raw(tensor.type) + raw(offset.value());
        offset += Checked((size.value() + 31) / 32 * 32);
    }
    out.append((32 - out.size() % 32) % 32, '\0');
    out += parts.data;
    const auto whole = Checked(out.size() - parts.data.size()) + offset;
    if (whole.within(maxSize))
        out.resize(whole.value(), '\x3c');
    return out;
}

void changeNumber(std::string& value, std::uint32_t random)
{
    constexpr std::array<std::uint64_t, 10> kValues{
        0, 1, 2, 32, 255, 65'536, 0x7fffffff, 0x80000000, 0x3f800000, ~0ull};
    const std::string bytes = raw(kValues[random % kValues.size()]);
    value.replace(0, std::min<std::size_t>(8, value.size()), bytes, 0,
                  std::min<std::size_t>(8, value.size()));
}

void changeKey(Parts& parts, std::uint32_t random, Change change)
{
    if (parts.keys.empty())
        return;
    auto& key = parts.keys[random % parts.keys.size()];
    random /= 64;
    if (key.isTexts() && !key.texts.empty()) {
        const auto which = static_cast<std::ptrdiff_t>((random / 8) % key.texts.size());
        auto& text = key.texts[static_cast<std::size_t>(which)];
        if (random % 8 == 0)
            key.texts.erase(key.texts.begin() + which);
        else if (random % 8 == 1)
            key.texts.push_back(text);
        else
            text = change(text, text.size() + 16);
    } else if (key.type == 8 || key.type == 9) {
        key.value = change(key.value, key.value.size() + 64);
    } else if (random % 2 == 0) {
        changeNumber(key.value, random / 2);
    } else {
        key.value = change(key.value, key.value.size());
        key.value.resize(fixedSize(static_cast<GgufType>(key.type)));
    }
}

void changeTensor(Parts& parts, std::uint32_t random, Change change)
{
    constexpr std::array<std::uint32_t, 16> kTypes{0,  1,  2,  3,  6,  7,  8,  10,
                                                   11, 12, 13, 14, 20, 23, 28, 30};
    if (parts.tensors.empty())
        return;
    auto& tensor = parts.tensors[random % parts.tensors.size()];
    random /= 64;
    switch (random % 5) {
    case 0:
        tensor.type = kTypes[(random / 5) % kTypes.size()];
        break;
    case 1:
        tensor.name = change(tensor.name, 63);
        break;
    case 2:
        tensor.dims.resize((random / 5) % 5, 1);
        break;
    default:
        if (!tensor.dims.empty())
            tensor.dims[(random / 5) % tensor.dims.size()] =
                (random / 20 % 17) * (random % 2 ? 32 : 1);
    }
}

} // namespace

std::string mutateGguf(const std::string& input, std::size_t maxSize, std::uint32_t random,
                       Change change)
{
    Parts parts = taken(input);
    const auto rest = random / 8;
    switch (random % 8) {
    case 0:
    case 1:
    case 2:
        changeKey(parts, rest, change);
        break;
    case 3:
    case 4:
        changeTensor(parts, rest, change);
        break;
    case 5:
        parts.data = change(parts.data, std::min<std::size_t>(maxSize, parts.data.size() + 64));
        break;
    case 6:
        if (!parts.keys.empty() && rest % 3 == 0)
            parts.keys.erase(parts.keys.begin() +
                             static_cast<std::ptrdiff_t>(rest / 3 % parts.keys.size()));
        else if (!parts.keys.empty() && rest % 3 == 1)
            parts.keys.push_back(parts.keys[rest / 3 % parts.keys.size()]);
        else if (!parts.keys.empty())
            parts.keys[rest / 3 % parts.keys.size()].name =
                change(parts.keys[rest / 3 % parts.keys.size()].name, 60);
        break;
    default:
        if (!parts.tensors.empty() && rest % 2 == 0)
            parts.tensors.erase(parts.tensors.begin() +
                                static_cast<std::ptrdiff_t>(rest / 2 % parts.tensors.size()));
        else if (!parts.tensors.empty())
            parts.tensors.push_back(parts.tensors[rest / 2 % parts.tensors.size()]);
    }
    return written(parts, maxSize);
}

} // namespace fettle::fuzz
