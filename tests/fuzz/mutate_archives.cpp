// Zip archives of PyTorch and safetensors files: a part changes, the lengths around it follow.
#include "base/checked.h"
#include "base/json.h"
#include "fuzz/fuzz_target.h"

namespace fettle::fuzz {

namespace {

template<class T> std::string raw(T value)
{
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

struct Entry
{
    std::string name, bytes;
};

/// The entries by their local headers, one behind the other.
std::vector<Entry> entriesOf(const std::string& input)
{
    std::vector<Entry> entries;
    for (std::size_t at = 0; at + 30 <= input.size() && entries.size() < 64;) {
        if (input.compare(at, 4, "PK\x03\x04") != 0) {
            ++at;
            continue;
        }
        ByteReader reader(std::as_bytes(std::span(input.data() + at, input.size() - at)));
        reader.skip(18);
        const auto size = reader.read<std::uint32_t>();
        reader.skip(4);
        const auto name = reader.read<std::uint16_t>(), extra = reader.read<std::uint16_t>();
        Entry entry;
        entry.name = reader.text(name);
        reader.skip(extra);
        entry.bytes = reader.text(size);
        if (!reader.ok())
            break;
        at += reader.position();
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::string written(const std::vector<Entry>& entries)
{
    std::string out, table;
    for (const auto& entry : entries) {
        const auto place = static_cast<std::uint32_t>(out.size());
        const auto size = raw(static_cast<std::uint32_t>(entry.bytes.size()));
        const auto names = raw(static_cast<std::uint16_t>(entry.name.size()));
        const std::string none(16, '\0');
        out += "PK\x03\x04" + none.substr(0, 14) + size + size + names + none.substr(0, 2) +
               entry.name + entry.bytes;
        table += "PK\x01\x02" + none + size + size + names + none.substr(0, 12) + raw(place) +
                 entry.name;
    }
    const auto count = raw(static_cast<std::uint16_t>(entries.size()));
    const auto begin = raw(static_cast<std::uint32_t>(out.size()));
    return out + table + "PK\x05\x06" + std::string(4, '\0') + count + count +
           raw(static_cast<std::uint32_t>(table.size())) + begin + std::string(2, '\0');
}

/// The header's tensors one behind the other, as large as their shapes say where that is possible.
std::string fitted(const std::string& header, std::string data, std::size_t maxSize)
{
    Json json = Json::parse(header, nullptr, false);
    if (!json.is_object())
        return header;
    std::uint64_t at = 0;
    for (auto& [name, tensor] : json.items()) {
        if (!tensor.is_object() || !tensor.contains("shape") || !tensor["shape"].is_array())
            continue;
        const std::string type = tensor.contains("dtype") && tensor["dtype"].is_string()
                                     ? tensor["dtype"].get<std::string>()
                                     : "";
        Checked size = type.ends_with("64")   ? 8u
                       : type.ends_with("32") ? 4u
                       : type.ends_with("16") ? 2u
                                              : 1u;
        for (const auto& each : tensor["shape"])
            size *= each.is_number_unsigned() ? each.get<std::uint64_t>() : 1;
        if (!size.within(maxSize))
            continue;
        tensor["data_offsets"] = {at, at + size.value()};
        at += size.value();
    }
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (at <= maxSize)
        data.resize(at, '\x3c');
    return raw<std::uint64_t>(text.size()) + text + data;
}

} // namespace

std::string mutateZip(const std::string& input, std::size_t maxSize, std::uint32_t random,
                      Change change)
{
    auto entries = entriesOf(input);
    if (entries.empty())
        return {};
    const auto rest = random / 8;
    auto& entry = entries[rest % entries.size()];
    switch (random % 8) {
    case 0:
        entry.name = change(entry.name, entry.name.size() + 16);
        break;
    case 1:
        entries.push_back(Entry(entry));
        break;
    case 2:
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(rest % entries.size()));
        break;
    default: // the list of weights is what the attacks are about
        for (auto& each : entries) {
            if (each.name.ends_with("data.pkl") || random % 8 == 3)
                each.bytes = change(each.bytes, std::min(maxSize, each.bytes.size() + 64));
        }
    }
    return written(entries);
}

std::string mutateSafetensors(const std::string& input, std::size_t maxSize, std::uint32_t random,
                              Change change)
{
    if (input.size() < 8)
        return {};
    ByteReader reader(std::as_bytes(std::span(input.data(), input.size())));
    const auto size = std::min<std::uint64_t>(reader.read<std::uint64_t>(), input.size() - 8);
    std::string header(reader.text(size)), data(reader.text(reader.remaining()));
    if (random % 4 == 0)
        data = change(data, std::min<std::size_t>(maxSize, data.size() + 64));
    else
        header = change(header, std::min<std::size_t>(maxSize, header.size() + 128));
    if (random % 4 == 1)
        return fitted(header, data, maxSize);
    return raw<std::uint64_t>(header.size()) + header + data;
}

} // namespace fettle::fuzz
