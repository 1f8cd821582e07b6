#include "tensor/files/safetensors_header.h"

#include "base/json.h"
#include "base/text.h"

#include <fmt/format.h>
#include <unordered_set>

namespace fettle::tensor {

namespace {

constexpr std::size_t kMaxName = 1024, kMaxTensors = 200'000, kMaxRank = 8;

/// Takes the parser's events and keeps only what a header may hold. Returning false stops the
/// parser at once, so a hostile header costs no more than the part that was read.
class HeaderReader final : public nlohmann::json_sax<Json>
{
public:
    Header header;
    std::string problem; ///< sentence; empty when all went well

    bool key(std::string& name) override
    {
        if (m_level == Level::Root)
            return startEntry(name);
        if (m_level == Level::Metadata) {
            m_key = name;
            return !header.metadata.contains(name) ||
                   refuse(fmt::format("the metadata key '{}' appears twice", shortened(name)));
        }
        m_key = name;
        const bool again = (name == "dtype" && m_hasDtype) || (name == "shape" && m_hasShape) ||
                           (name == "data_offsets" && m_hasOffsets);
        if (again)
            return refuse(fmt::format("tensor '{}' has the key '{}' twice", shown(), name));
        if (name == "dtype" || name == "shape" || name == "data_offsets")
            return true;
        return refuse(
            fmt::format("tensor '{}' has the unknown key '{}'", shown(), shortened(name)));
    }
    bool start_object(std::size_t) override
    {
        if (m_level == Level::Outside) {
            m_level = Level::Root;
            return true;
        }
        if (m_level != Level::Root)
            return unexpected("an object");
        m_level = m_name == "__metadata__" ? Level::Metadata : Level::Entry;
        return true;
    }
    bool end_object() override
    {
        if (m_level == Level::Entry) {
            if (!m_hasDtype || !m_hasShape || !m_hasOffsets)
                return refuse(
                    fmt::format("tensor '{}' lacks its dtype, shape or data_offsets", shown()));
            if (m_offsets.size() != 2)
                return refuse(fmt::format("tensor '{}' has {} data_offsets instead of 2", shown(),
                                          m_offsets.size()));
            m_entry.begin = m_offsets[0];
            m_entry.end = m_offsets[1];
            header.entries.push_back(std::move(m_entry));
        }
        m_level = m_level == Level::Root ? Level::Outside : Level::Root;
        return true;
    }
    bool start_array(std::size_t) override
    {
        if (m_level != Level::Entry || m_key == "dtype")
            return unexpected("a list");
        m_level = m_key == "shape" ? Level::Shape : Level::Offsets;
        return true;
    }
    bool end_array() override
    {
        (m_level == Level::Shape ? m_hasShape : m_hasOffsets) = true;
        m_level = Level::Entry;
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override
    {
        if (m_level == Level::Shape)
            return dimension(value);
        if (m_level != Level::Offsets)
            return unexpected("a number");
        if (m_offsets.size() == 2)
            return refuse(fmt::format("tensor '{}' has more than 2 data_offsets", shown()));
        m_offsets.push_back(value);
        return true;
    }
    bool string(string_t& value) override
    {
        if (m_level == Level::Metadata) {
            header.metadata.emplace(m_key, value);
            return true;
        }
        if (m_level != Level::Entry || m_key != "dtype")
            return unexpected("a text");
        const auto type = dtypeOf(value);
        if (!type)
            return refuse(fmt::format("tensor '{}' has the unknown element type '{}'", shown(),
                                      shortened(value)));
        m_entry.dtype = *type;
        m_hasDtype = true;
        return true;
    }
    bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
    bool number_float(number_float_t, const string_t&) override
    {
        return unexpected("a number with a fraction or beyond 64 bits");
    }
    bool null() override { return unexpected("null"); }
    bool boolean(bool) override { return unexpected("true or false"); }
    bool binary(binary_t&) override { return unexpected("binary data"); }
    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception&) override
    {
        return refuse(fmt::format(
            "the header is not valid JSON in UTF-8 (problem at byte {} of it)", position));
    }

private:
    enum class Level
    {
        Outside,
        Root,
        Metadata,
        Entry,
        Shape,
        Offsets
    };

    bool refuse(std::string sentence)
    {
        if (problem.empty())
            problem = std::move(sentence);
        return false;
    }
    bool unexpected(const char* thing)
    {
        if (m_level == Level::Outside)
            return refuse(fmt::format("the header is {} instead of an object", thing));
        if (m_level == Level::Metadata)
            return refuse(fmt::format("the metadata key '{}' holds {} instead of a text",
                                      shortened(m_key), thing));
        if (m_level == Level::Root)
            return refuse(
                fmt::format("tensor '{}' is described by {} instead of an object", shown(), thing));
        return refuse(fmt::format("tensor '{}' has {} under '{}'", shown(), thing, m_key));
    }
    bool startEntry(const std::string& name)
    {
        if (name.size() > kMaxName)
            return refuse(fmt::format("a tensor's name has {} bytes, at most {} are accepted",
                                      name.size(), kMaxName));
        if (!m_names.insert(name).second)
            return refuse(fmt::format("the name '{}' appears twice", shortened(name)));
        if (m_names.size() > kMaxTensors)
            return refuse(fmt::format("there are more than {} tensors", kMaxTensors));
        m_name = name;
        m_entry = HeaderEntry{};
        m_entry.name = name;
        m_offsets.clear();
        m_hasDtype = m_hasShape = m_hasOffsets = false;
        return true;
    }
    bool dimension(std::uint64_t value)
    {
        if (m_entry.shape.size() == kMaxRank)
            return refuse(
                fmt::format("tensor '{}' has more than {} dimensions", shown(), kMaxRank));
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return refuse(fmt::format("tensor '{}' has a dimension of {}", shown(), value));
        m_entry.shape.push_back(static_cast<std::int64_t>(value));
        return true;
    }
    std::string shown() const { return quotable(m_name); }
    static std::string shortened(const std::string& text) { return quotable(text); }

    Level m_level = Level::Outside;
    std::string m_name, m_key;
    HeaderEntry m_entry;
    std::vector<std::uint64_t> m_offsets;
    bool m_hasDtype = false, m_hasShape = false, m_hasOffsets = false;
    std::unordered_set<std::string> m_names;
};

} // namespace

Result<Header> parseHeader(std::string_view text, const std::string& where)
{
    const Error damaged{
        ErrorCode::InvalidInput, "", where,
        "Fetch the file again from its source; it is damaged or not a safetensors file"};
    auto refuse = [&](std::string what) {
        Error error = damaged;
        error.what = std::move(what);
        return error;
    };
    // The JSON library takes a NUL byte for the end of the text and skips a byte order mark.
    if (text.find('\0') != std::string_view::npos)
        return refuse("the header contains a zero byte");
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || text[first] != '{')
        return refuse("the header does not begin with '{'");
    HeaderReader reader;
    if (!Json::sax_parse(text, &reader))
        return refuse(reader.problem.empty() ? "the header is not valid JSON" : reader.problem);
    return std::move(reader.header);
}

} // namespace fettle::tensor
