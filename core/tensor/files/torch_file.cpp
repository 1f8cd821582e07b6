#include "tensor/files/torch_file.h"

#include "base/checked.h"
#include "base/text.h"
#include "tensor/files/pickle.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <set>

namespace fettle::tensor {

namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kMaxEntries = 100'000;
constexpr std::uint64_t kMaxPickle = 256u << 20;

Error damaged(const std::string& where, std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), where,
            "Fetch the file again from its source"};
}

template<class T> T at(Bytes bytes, std::uint64_t place)
{
    T value{};
    if ((Checked(place) + sizeof(T)).within(bytes.size()))
        std::memcpy(&value, bytes.data() + place, sizeof(T));
    return value;
}

/// Where the end record of a zip file begins.
std::optional<std::uint64_t> zipEnd(Bytes bytes)
{
    constexpr std::uint64_t kRecord = 22, kLongestComment = 65535;
    if (bytes.size() < kRecord)
        return std::nullopt;
    const std::uint64_t last = bytes.size() - kRecord;
    for (std::uint64_t back = 0; back <= std::min(last, kLongestComment); ++back) {
        if (at<std::uint32_t>(bytes, last - back) == 0x06054b50)
            return last - back;
    }
    return std::nullopt;
}

/// Entry name -> its bytes, for zip files that store without compression.
using Entries = std::map<std::string, Bytes>;

class ZipReader
{
public:
    ZipReader(Bytes bytes, const std::string& where)
        : m_bytes(bytes)
        , m_where(where)
    {
    }

    Result<Entries> read()
    {
        const auto end = zipEnd(m_bytes);
        if (!end)
            return damaged(m_where,
                           "the file ends in the middle: its table of contents is missing");
        std::uint64_t count = at<std::uint16_t>(m_bytes, *end + 10);
        std::uint64_t place = at<std::uint32_t>(m_bytes, *end + 16);
        if (*end >= 20 && at<std::uint32_t>(m_bytes, *end - 20) == 0x07064b50) { // zip64
            const auto record = at<std::uint64_t>(m_bytes, *end - 12);
            if (record > m_bytes.size() || m_bytes.size() - record < 56 ||
                at<std::uint32_t>(m_bytes, record) != 0x06064b50)
                return damaged(m_where, "the table of contents is damaged");
            count = at<std::uint64_t>(m_bytes, record + 32);
            place = at<std::uint64_t>(m_bytes, record + 48);
        }
        if (count > kMaxEntries)
            return damaged(m_where, fmt::format("the file has {} entries", count));
        for (std::uint64_t i = 0; i < count; ++i) {
            if (auto read = readEntry(place); !read)
                return read.error();
        }
        std::ranges::sort(m_places);
        for (std::size_t i = 1; i < m_places.size(); ++i) {
            if (m_places[i].first < m_places[i - 1].second)
                return damaged(m_where, "two entries of the file share their bytes");
        }
        return std::move(m_entries);
    }

private:
    Result<void> readEntry(std::uint64_t& place)
    {
        constexpr std::uint64_t kHeader = 46;
        if (place > m_bytes.size() || m_bytes.size() - place < kHeader ||
            at<std::uint32_t>(m_bytes, place) != 0x02014b50)
            return damaged(m_where, "the table of contents is damaged");
        const auto flags = at<std::uint16_t>(m_bytes, place + 8);
        const auto method = at<std::uint16_t>(m_bytes, place + 10);
        std::uint64_t stored = at<std::uint32_t>(m_bytes, place + 20);
        std::uint64_t size = at<std::uint32_t>(m_bytes, place + 24);
        const std::uint64_t nameSize = at<std::uint16_t>(m_bytes, place + 28);
        const std::uint64_t extraSize = at<std::uint16_t>(m_bytes, place + 30);
        const std::uint64_t commentSize = at<std::uint16_t>(m_bytes, place + 32);
        std::uint64_t local = at<std::uint32_t>(m_bytes, place + 42);
        const auto whole = Checked(kHeader) + nameSize + extraSize + commentSize;
        if (!whole.within(m_bytes.size() - place))
            return damaged(m_where, "the table of contents is damaged");
        const std::string name(text(place + kHeader), nameSize);
        wideSizes(m_bytes.subspan(place + kHeader + nameSize, extraSize), size, stored, local);
        place += whole.value();
        if ((flags & 1) != 0 || method != 0 || stored != size)
            return Error{ErrorCode::Unsupported,
                         "the file is compressed or encrypted, which weights never are", m_where,
                         "Choose a version of the model in safetensors form"};
        constexpr std::uint64_t kLocal = 30;
        if (local > m_bytes.size() || m_bytes.size() - local < kLocal ||
            at<std::uint32_t>(m_bytes, local) != 0x04034b50)
            return damaged(m_where, "an entry of the file is not where it should be");
        const std::uint64_t localName = at<std::uint16_t>(m_bytes, local + 26);
        const auto begin =
            Checked(local) + kLocal + localName + at<std::uint16_t>(m_bytes, local + 28);
        const auto end = begin + Checked(size);
        if (!end.within(m_bytes.size()))
            return damaged(m_where, "an entry reaches beyond the end of the file");
        // Another program might believe the entry's own header: both must say the same.
        if (std::string_view(text(local + kLocal), localName) != name)
            return damaged(m_where, "an entry has two names");
        if (!m_entries.emplace(name, m_bytes.subspan(begin.value(), size)).second)
            return damaged(m_where, "an entry occurs twice");
        m_places.emplace_back(local, end.value());
        return {};
    }

    /// Sizes of large files are in an extra field, those that are all ones in the header.
    static void wideSizes(Bytes extra, std::uint64_t& size, std::uint64_t& stored,
                          std::uint64_t& local)
    {
        for (std::uint64_t i = 0; i + 4 <= extra.size();) {
            const std::uint64_t length = at<std::uint16_t>(extra, i + 2);
            if (at<std::uint16_t>(extra, i) == 1 && i + 4 + length <= extra.size()) {
                std::uint64_t next = i + 4;
                for (auto* value : {&size, &stored, &local}) {
                    if (*value != 0xFFFFFFFF || next + 8 > i + 4 + length)
                        continue;
                    *value = at<std::uint64_t>(extra, next);
                    next += 8;
                }
            }
            i += 4 + length;
        }
    }

    const char* text(std::uint64_t place) const
    {
        return reinterpret_cast<const char*>(m_bytes.data() + place);
    }

    Bytes m_bytes;
    const std::string& m_where;
    Entries m_entries;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> m_places; // with their headers
};

template<class T> const T* as(const PickleNode* value)
{
    return value ? std::get_if<T>(&value->data) : nullptr;
}

/// Bytes of a storage by its key; nothing when there is none.
using StorageOf = std::function<std::optional<Bytes>(const PickleStorage&)>;

/// A view into its storage, checked to its last element.
Result<TorchTensor> placed(const std::string& name, const PickleTensor& tensor,
                           const StorageOf& storageOf, const std::string& where)
{
    const auto wrong = [&](const char* what) {
        return damaged(where, fmt::format("the weight '{}' {}", quotable(name, 80), what));
    };
    const auto bytes = storageOf(tensor.storage);
    if (!bytes)
        return wrong("has no stored numbers");
    const std::uint64_t width = bitsOf(tensor.storage.dtype) / 8;
    const auto values = byteCount(tensor.storage.dtype, tensor.shape);
    if (!values)
        return wrong("has an impossible shape");
    Checked last = Checked(tensor.storage.viewOffset) + Checked(tensor.offset);
    const Checked first = last;
    bool empty = false;
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
        empty = empty || tensor.shape[i] == 0;
        if (tensor.shape[i] > 0)
            last += Checked(static_cast<std::uint64_t>(tensor.shape[i] - 1)) *
                    Checked(static_cast<std::uint64_t>(tensor.strides[i]));
    }
    if (!empty && !((last + Checked(1)) * Checked(width)).within(bytes->size()))
        return wrong("reaches beyond its stored numbers");
    // A view may repeat elements (stride 0); weights never do, and it would let a small file fill
    // the disk.
    if (!empty && *values > bytes->size())
        return wrong("is larger than its stored numbers");
    TorchTensor out{name, tensor.storage.dtype, tensor.shape, tensor.strides, {}};
    if (!empty)
        out.storage = bytes->subspan(first.value() * width);
    return out;
}

/// The table of weights: the whole file or what it calls "state_dict" or "model".
const PickleDict* tableOf(const PickleNode* root)
{
    const auto* table = as<PickleDict>(root);
    for (const char* key : {"state_dict", "model"}) {
        for (std::size_t i = 0; table && i < table->entries.size(); ++i) {
            const auto* name = as<std::string>(table->entries[i].first);
            const auto* inner = as<PickleDict>(table->entries[i].second);
            if (name && *name == key && inner)
                return inner;
        }
    }
    return table;
}

Result<std::vector<TorchTensor>> tensorsOf(const Pickle& pickle, const StorageOf& storageOf,
                                           const std::string& where)
{
    const auto* table = tableOf(pickle.root);
    if (!table)
        return Error{ErrorCode::Unsupported, "the file holds no table of weights", where,
                     "Choose the file with the model's weights"};
    std::vector<TorchTensor> tensors;
    std::set<std::string> seen;
    for (const auto& [key, value] : table->entries) {
        const auto* name = as<std::string>(key);
        const auto* tensor = as<PickleTensor>(value);
        if (!name || !tensor)
            return Error{ErrorCode::Unsupported,
                         "the table of weights holds something that is no weight", where,
                         "Choose the file with the model's weights, not one of a training run"};
        if (!seen.insert(*name).second)
            return damaged(where, fmt::format("the weight '{}' occurs twice", quotable(*name, 80)));
        auto made = placed(*name, *tensor, storageOf, where);
        if (!made)
            return made.error();
        tensors.push_back(*std::move(made));
    }
    return tensors;
}

Result<std::vector<TorchTensor>> readZip(Bytes bytes, const std::string& where)
{
    auto entries = ZipReader(bytes, where).read();
    if (!entries)
        return entries.error();
    const auto list = std::ranges::find_if(
        *entries, [](const auto& entry) { return entry.first.ends_with("/data.pkl"); });
    if (list == entries->end())
        return Error{ErrorCode::Unsupported, "the file is a zip archive without weights", where,
                     "Choose the file with the model's weights"};
    const std::string folder = list->first.substr(0, list->first.size() - 8);
    if (entries->contains(folder + "constants.pkl"))
        return Error{ErrorCode::Unsupported, "the file is a program (TorchScript), not weights",
                     where, "Choose a version of the model in safetensors form"};
    if (const auto order = entries->find(folder + "byteorder");
        order != entries->end() &&
        std::string_view(reinterpret_cast<const char*>(order->second.data()),
                         order->second.size()) != "little")
        return Error{ErrorCode::Unsupported, "the numbers are stored in big-endian order", where,
                     "Choose a version of the model in safetensors form"};
    if (list->second.size() > kMaxPickle)
        return damaged(where, "the list of weights is impossibly long");
    const auto pickle = runPickle(list->second);
    if (!pickle)
        return at(pickle.error(), where);
    return tensorsOf(
        *pickle,
        [&](const PickleStorage& storage) -> std::optional<Bytes> {
            const auto found = entries->find(folder + "data/" + storage.key);
            const auto size = Checked(storage.elements) * Checked(bitsOf(storage.dtype) / 8);
            if (found == entries->end() || !size.within(found->second.size()))
                return std::nullopt;
            return found->second.first(size.value());
        },
        where);
}

/// The older form: three small pickles, the list of weights, the keys of the storages, and then
/// for each key its number of elements and their bytes.
Result<std::vector<TorchTensor>> readPlain(Bytes bytes, const std::string& where)
{
    std::vector<Pickle> parts;
    std::uint64_t place = 0;
    for (int i = 0; i < 5; ++i) {
        auto pickle = runPickle(bytes.subspan(place, std::min(kMaxPickle, bytes.size() - place)));
        if (!pickle)
            return at(pickle.error(), where);
        place += pickle->used;
        parts.push_back(*std::move(pickle));
    }
    const auto* keys = as<PickleList>(parts[4].root);
    if (!keys)
        return damaged(where, "the list of stored numbers is missing");
    std::map<std::string, std::uint64_t> widths; // bytes of an element, by key
    for (const auto& part : parts[3].nodes) {
        if (const auto* storage = as<PickleStorage>(&part))
            widths[storage->key] = bitsOf(storage->dtype) / 8;
    }
    std::map<std::string, Bytes> storages;
    for (const auto* item : keys->items) {
        const auto* key = as<std::string>(item);
        if (!key || !widths.contains(*key) || bytes.size() - place < 8)
            return damaged(where, "the stored numbers are incomplete");
        const auto size = Checked(at<std::uint64_t>(bytes, place)) * Checked(widths[*key]);
        place += 8;
        if (!size.within(bytes.size() - place))
            return damaged(where, "the stored numbers end in the middle");
        storages[*key] = bytes.subspan(place, size.value());
        place += size.value();
    }
    return tensorsOf(
        parts[3],
        [&](const PickleStorage& storage) -> std::optional<Bytes> {
            const auto found = storages.find(storage.key);
            return found == storages.end() ? std::nullopt : std::optional(found->second);
        },
        where);
}

} // namespace

Result<TorchFile> TorchFile::open(const std::filesystem::path& path)
{
    auto mapping = MappedFile::open(path);
    if (!mapping)
        return mapping.error();
    auto file = parse((*mapping)->bytes(), path.string());
    if (!file)
        return file;
    file->m_path = path;
    file->m_mapping = *std::move(mapping);
    return file;
}

Result<TorchFile> TorchFile::parse(Bytes bytes, const std::string& where)
{
    if (bytes.size() < 4)
        return damaged(where, "the file is empty");
    auto tensors =
        at<std::uint16_t>(bytes, 0) == 0x4b50 ? readZip(bytes, where) : readPlain(bytes, where);
    if (!tensors)
        return tensors.error();
    TorchFile file;
    file.m_tensors = *std::move(tensors);
    return file;
}

Result<void> TorchFile::read(const TorchTensor& tensor,
                             const std::function<Result<void>(const void*, std::uint64_t)>& sink)
{
    const std::uint64_t width = bitsOf(tensor.dtype) / 8;
    const auto total = byteCount(tensor.dtype, tensor.shape).value_or(0);
    if (total == 0)
        return {};
    std::int64_t expected = 1;
    bool inOrder = true;
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
        inOrder = inOrder && (tensor.shape[i] == 1 || tensor.strides[i] == expected);
        expected *= tensor.shape[i];
    }
    if (inOrder)
        return sink(tensor.storage.data(), total);
    constexpr std::uint64_t kPart = 1 << 20;
    std::vector<std::byte> part;
    std::vector<std::int64_t> index(tensor.shape.size(), 0);
    for (std::uint64_t done = 0; done < total; done += width) {
        std::uint64_t element = 0;
        for (std::size_t i = 0; i < index.size(); ++i)
            element += static_cast<std::uint64_t>(index[i] * tensor.strides[i]);
        const auto* from = tensor.storage.data() + element * width;
        part.insert(part.end(), from, from + width);
        for (std::size_t i = index.size(); i-- > 0;) {
            if (++index[i] < tensor.shape[i])
                break;
            index[i] = 0;
        }
        if (part.size() < kPart && done + width < total)
            continue;
        if (auto taken = sink(part.data(), part.size()); !taken)
            return taken;
        part.clear();
    }
    return {};
}

} // namespace fettle::tensor
