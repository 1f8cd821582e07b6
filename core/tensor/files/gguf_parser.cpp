#include "base/checked.h"
#include "base/text.h"
#include "tensor/files/dtype.h"
#include "tensor/files/gguf.h"

#include <bit>
#include <fmt/format.h>

namespace fettle::tensor {

namespace {

constexpr std::uint64_t kMaxCount = 1'000'000, kMaxLength = 1u << 30, kMaxKey = 65'535,
                        kMaxName = 63;
// The least bytes that a key with its value, and a tensor's description, can have.
constexpr std::uint64_t kLeastKey = 8 + 1 + 4 + 1, kLeastTensor = 8 + 4 + 4 + 8;
constexpr std::uint32_t kMaxDims = 4;

std::string shortened(std::string_view text) { return quotable(text); }

} // namespace

/// Reads the tables in front of the data. Each step returns false after it has set m_problem.
class GgufParser
{
public:
    GgufParser(std::span<const std::byte> bytes, std::string where)
        : m_bytes(bytes)
        , m_reader(bytes)
        , m_where(std::move(where))
    {
    }

    Result<GgufFile> run()
    {
        if (readStart() && readKeys() && readAlignment() && readTensors() && placeTensors())
            return std::move(m_file);
        return m_problem;
    }

private:
    struct Offset
    {
        std::uint64_t offset, size;
    };

    bool
    refuse(std::string what, ErrorCode code = ErrorCode::InvalidInput,
           std::string remedy = "Fetch the file again from its source; it is damaged or incomplete")
    {
        m_problem = {code, std::move(what), m_where, std::move(remedy)};
        return false;
    }
    bool cutOff(const char* part)
    {
        return refuse(fmt::format("the file ends within {} (near byte {} of {})", part,
                                  m_reader.position(), m_bytes.size()));
    }

    bool readStart()
    {
        const auto magic = m_reader.text(4);
        if (magic != "GGUF") {
            const bool older =
                magic == "ggml" || magic == "lmgg" || magic == "tjgg" || magic == "fmgg";
            return refuse(older ? "this is a file of an older format, from before GGUF"
                                : "the file does not begin with the letters GGUF",
                          ErrorCode::InvalidInput, "Choose a GGUF file");
        }
        const auto version = m_reader.read<std::uint32_t>();
        if (m_reader.ok() && version != 0 && (version & 0xffffu) == 0)
            return refuse("the file is made for big-endian machines", ErrorCode::Unsupported,
                          "Choose the ordinary (little-endian) file of the model");
        if (m_reader.ok() && version != 2 && version != 3)
            return refuse(fmt::format("GGUF version {} is not supported, only 2 and 3", version),
                          ErrorCode::Unsupported, "Choose a newer file of the model");
        m_tensorCount = m_reader.read<std::uint64_t>();
        m_keyCount = m_reader.read<std::uint64_t>();
        if (!m_reader.ok())
            return cutOff("its first 24 bytes");
        Checked least = Checked(m_keyCount) * kLeastKey + Checked(m_tensorCount) * kLeastTensor;
        if (m_tensorCount > kMaxCount || m_keyCount > kMaxCount ||
            !least.within(m_reader.remaining()))
            return refuse(
                fmt::format("bytes 8 to 23 promise {} tensors and {} keys, which do not fit into "
                            "the file's {} bytes",
                            m_tensorCount, m_keyCount, m_bytes.size()));
        return true;
    }

    /// A length and that many bytes; nothing when the file ends before them or `limit` is passed.
    std::optional<std::string_view> readText(std::uint64_t limit)
    {
        const auto size = m_reader.read<std::uint64_t>();
        if (!m_reader.ok() || size > limit || size > m_reader.remaining())
            return std::nullopt;
        return m_reader.text(size);
    }

    bool readKeys()
    {
        for (std::uint64_t i = 0; i < m_keyCount; ++i) {
            const std::uint64_t start = m_reader.position();
            const auto key = readText(kMaxKey);
            if (!key)
                return refuse(
                    fmt::format("the name of key {} at byte {} is longer than {} bytes or than the "
                                "rest of the file",
                                i + 1, start, kMaxKey));
            if (key->empty() || !isValidUtf8(*key) || key->find('\0') != std::string_view::npos)
                return refuse(fmt::format("the name of key {} at byte {} is empty or not a text",
                                          i + 1, start));
            GgufValue value;
            if (!readValue(std::string(*key), value))
                return false;
            if (!m_file.m_values.emplace(std::string(*key), value).second)
                return refuse(fmt::format("the key '{}' appears twice", shortened(*key)));
        }
        return true;
    }

    bool readValue(const std::string& key, GgufValue& value)
    {
        const auto type = m_reader.read<std::uint32_t>();
        if (!m_reader.ok())
            return cutOff("its list of keys");
        if (type > static_cast<std::uint32_t>(GgufType::F64))
            return refuse(
                fmt::format("the key '{}' has the unknown type {}", shortened(key), type));
        value.type = static_cast<GgufType>(type);
        if (value.type == GgufType::Array)
            return readArray(key, value);
        if (value.type == GgufType::Text) {
            const auto text = readText(kMaxLength);
            if (!text)
                return refuse(
                    fmt::format("the text of key '{}' is longer than the rest of the file "
                                "(near byte {})",
                                shortened(key), m_reader.position()));
            value.bytes = std::as_bytes(std::span(text->data(), text->size()));
            return true;
        }
        value.bytes = m_bytes.subspan(m_reader.position())
                          .first(std::min(fixedSize(value.type), m_reader.remaining()));
        m_reader.skip(fixedSize(value.type));
        return m_reader.ok() || cutOff("its list of keys");
    }

    bool readArray(const std::string& key, GgufValue& value)
    {
        const auto element = m_reader.read<std::uint32_t>();
        value.count = m_reader.read<std::uint64_t>();
        if (!m_reader.ok())
            return cutOff("its list of keys");
        value.element = static_cast<GgufType>(element);
        if (element > static_cast<std::uint32_t>(GgufType::F64) || value.element == GgufType::Array)
            return refuse(
                fmt::format("the list '{}' has elements of the type {}, which is not allowed",
                            shortened(key), element));
        const bool texts = value.element == GgufType::Text;
        const Checked size = Checked(value.count) * (texts ? 8 : fixedSize(value.element));
        if (value.count > kMaxLength || !size.within(m_reader.remaining()))
            return refuse(
                fmt::format("the list '{}' promises {} elements, which do not fit into the rest of "
                            "the file ({} bytes)",
                            shortened(key), value.count, m_reader.remaining()));
        const std::uint64_t start = m_reader.position();
        if (!texts)
            m_reader.skip(size.value());
        for (std::uint64_t i = 0; texts && i < value.count; ++i) {
            if (!readText(kMaxLength))
                return refuse(
                    fmt::format("element {} of the list '{}' is longer than the rest of the file "
                                "(near byte {})",
                                i, shortened(key), m_reader.position()));
        }
        value.bytes = m_bytes.subspan(start, m_reader.position() - start);
        return true;
    }

    bool readAlignment()
    {
        const auto* value = m_file.find("general.alignment");
        if (!value)
            return true;
        const auto alignment = m_file.integer("general.alignment").value_or(0);
        if (value->type != GgufType::U32 || alignment < 8 || alignment > 65'536 ||
            !std::has_single_bit(static_cast<std::uint64_t>(alignment)))
            return refuse("the key 'general.alignment' is not a power of two from 8 to 65536");
        m_alignment = static_cast<std::uint64_t>(alignment);
        return true;
    }

    /// The next multiple of the alignment; checked, because rounding up can pass the largest
    /// number.
    Checked aligned(Checked size) const
    {
        const Checked raised = size + Checked(m_alignment - 1);
        return raised.ok() ? Checked(raised.value() / m_alignment * m_alignment) : raised;
    }

    bool readTensors()
    {
        for (std::uint64_t i = 0; i < m_tensorCount; ++i) {
            const std::uint64_t start = m_reader.position();
            const auto name = readText(kMaxName);
            if (!name || !isValidUtf8(*name) || name->find('\0') != std::string_view::npos)
                return refuse(
                    fmt::format("the name of tensor {} at byte {} is longer than {} bytes or not a "
                                "text",
                                i + 1, start, kMaxName));
            GgufTensor tensor;
            tensor.name = *name;
            if (!readTensor(tensor))
                return false;
            if (!m_file.m_index.emplace(tensor.name, m_file.m_tensors.size()).second)
                return refuse(fmt::format("the tensor '{}' appears twice", shortened(tensor.name)));
            m_file.m_tensors.push_back(std::move(tensor));
        }
        return true;
    }

    bool readTensor(GgufTensor& tensor)
    {
        const auto dims = m_reader.read<std::uint32_t>();
        if (m_reader.ok() && dims > kMaxDims)
            return refuse(fmt::format("tensor '{}' has {} dimensions, at most {} are possible",
                                      shortened(tensor.name), dims, kMaxDims));
        Checked product = 1;
        for (std::uint32_t i = 0; i < dims && m_reader.ok(); ++i) {
            const auto size = m_reader.read<std::uint64_t>();
            product *= Checked(size);
            constexpr auto kLargest =
                static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
            if (size > kLargest || !product.within(kLargest))
                return refuse(
                    fmt::format("tensor '{}' has impossible dimensions", shortened(tensor.name)));
            tensor.dims.push_back(static_cast<std::int64_t>(size));
        }
        tensor.type = m_reader.read<std::uint32_t>();
        const auto offset = m_reader.read<std::uint64_t>();
        if (!m_reader.ok())
            return cutOff("its list of tensors");
        const auto* type = ggmlTypeInfo(tensor.type);
        if (!type)
            return refuse(fmt::format("tensor '{}' has the unknown or withdrawn type {}",
                                      shortened(tensor.name), tensor.type),
                          ErrorCode::Unsupported,
                          "Choose a file in Q8_0, Q4_1, Q4_K_M, F16 or F32");
        const auto row = tensor.dims.empty() ? 1 : static_cast<std::uint64_t>(tensor.dims[0]);
        if (row % type->values != 0)
            return refuse(
                fmt::format("tensor '{}' has rows of {} values, the type {} needs a multiple of {}",
                            shortened(tensor.name), row, type->name, type->values));
        const Checked size = Checked(product.value() / type->values) * type->bytes;
        if (!size.ok())
            return refuse(
                fmt::format("tensor '{}' has impossible dimensions", shortened(tensor.name)));
        m_offsets.push_back({offset, size.value()});
        return true;
    }

    bool placeTensors()
    {
        const Checked start = aligned(m_reader.position());
        Checked expected = 0;
        for (std::size_t i = 0; i < m_offsets.size(); ++i) {
            auto& tensor = m_file.m_tensors[i];
            const auto [offset, size] = m_offsets[i];
            if (!expected.ok() || offset != expected.value())
                return refuse(
                    fmt::format("tensor '{}' begins at byte {} of the data, expected is {}",
                                shortened(tensor.name), offset, expected.value()));
            const Checked end = start + Checked(offset) + Checked(size);
            if (!end.within(m_bytes.size()))
                return refuse(fmt::format(
                    "tensor '{}' of shape {} needs {} bytes, which do not fit into the "
                    "file's {} bytes",
                    shortened(tensor.name), shapeText(tensor.shape()), size, m_bytes.size()));
            tensor.bytes = m_bytes.subspan(start.value() + offset, size);
            expected = aligned(expected + Checked(size));
        }
        return true;
    }

    std::span<const std::byte> m_bytes;
    ByteReader m_reader;
    std::string m_where;
    Error m_problem;
    GgufFile m_file;
    std::uint64_t m_tensorCount = 0, m_keyCount = 0, m_alignment = 32;
    std::vector<Offset> m_offsets;
};

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, const std::string& where)
{
    return GgufParser(bytes, where).run();
}

} // namespace fettle::tensor
