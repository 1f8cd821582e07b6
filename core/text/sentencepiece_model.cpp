// The wire format of protocol buffers, read by hand: sentencepiece's library does not show these
// fields, and a second library for the format must not enter the process.
#include "text/sentencepiece_model.h"

#include "base/json.h"
#include "base/text.h"

#include <bit>
#include <cstring>
#include <functional>
#include <optional>

namespace fettle::text {

namespace {

constexpr std::size_t kMaxPieces = 2'000'000;

/// One field of a message: a number, or bytes.
struct Field
{
    std::uint64_t number = 0; ///< of the field
    std::uint64_t value = 0;
    std::string_view bytes;
};

/// Calls `visit` for each field; false when the bytes are no message.
bool readMessage(std::string_view message, const std::function<bool(const Field&)>& visit)
{
    std::size_t at = 0;
    const auto varint = [&]() -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64 && at < message.size(); shift += 7) {
            const auto byte = static_cast<unsigned char>(message[at++]);
            value |= static_cast<std::uint64_t>(byte & 127u) << shift;
            if (byte < 128)
                return value;
        }
        return std::nullopt;
    };
    while (at < message.size()) {
        const auto key = varint();
        if (!key)
            return false;
        Field field{*key >> 3};
        const auto kind = *key & 7;
        std::size_t size = kind == 1 ? 8 : kind == 5 ? 4 : 0;
        if (kind == 0 || kind == 2) {
            const auto value = varint();
            if (!value)
                return false;
            field.value = *value;
            if (kind == 2 && *value > message.size() - at)
                return false;
            size = kind == 2 ? static_cast<std::size_t>(*value) : 0;
        } else if (kind != 1 && kind != 5) {
            return false;
        }
        if (size > message.size() - at)
            return false;
        field.bytes = message.substr(at, size);
        for (std::size_t i = 0; kind == 5 && i < size; ++i)
            field.value |= static_cast<std::uint64_t>(static_cast<unsigned char>(field.bytes[i]))
                           << (8 * i);
        at += size;
        if (!visit(field))
            return false;
    }
    return true;
}

bool readPiece(std::string_view bytes, SentencePieceModel& model)
{
    SentencePieceModel::Piece piece;
    const bool fine = readMessage(bytes, [&](const Field& field) {
        if (field.number == 1)
            piece.text = field.bytes;
        else if (field.number == 2)
            piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
        else if (field.number == 3)
            piece.type = static_cast<std::int32_t>(field.value & 0xff);
        return true;
    });
    const bool good = fine && !piece.text.empty() && isValidUtf8(piece.text) && piece.type >= 1 &&
                      piece.type <= 6 && model.pieces.size() < kMaxPieces;
    model.pieces.push_back(std::move(piece));
    return good;
}

bool readPart(const Field& part, SentencePieceModel& model)
{
    if (part.number == 1)
        return readPiece(part.bytes, model);
    if (part.number == 2)
        return readMessage(part.bytes, [&](const Field& field) {
            if (field.number == 3)
                model.kind = static_cast<std::int64_t>(field.value);
            return true;
        });
    if (part.number == 3)
        return readMessage(part.bytes, [&](const Field& field) {
            if (field.number == 2)
                model.charsmap = field.bytes;
            else if (field.number == 3)
                model.addDummyPrefix = field.value != 0;
            else if (field.number == 4)
                model.removeExtraSpaces = field.value != 0;
            return true;
        });
    return true;
}

/// A double-array trie in Darts' layout and behind it the texts that it names by their places.
bool isSoundMap(std::string_view map)
{
    constexpr std::uint32_t kIsValue = 1u << 31;
    std::uint32_t trieBytes = 0;
    if (map.empty())
        return true;
    if (map.size() > sizeof trieBytes)
        std::memcpy(&trieBytes, map.data(), sizeof trieBytes);
    if (trieBytes == 0 || trieBytes % 4 != 0 || trieBytes >= map.size() - sizeof trieBytes)
        return false;
    const std::size_t units = trieBytes / 4;
    const auto texts = map.substr(sizeof trieBytes + trieBytes);
    if (!isValidUtf8(texts))
        return false;
    const auto isStart = [&](std::size_t place) {
        return place < texts.size() && (static_cast<unsigned char>(texts[place]) & 0xC0) != 0x80;
    };
    for (std::size_t i = 0; i < units; ++i) {
        std::uint32_t unit = 0;
        std::memcpy(&unit, map.data() + sizeof trieBytes + 4 * i, sizeof unit);
        const auto offset = static_cast<std::size_t>(unit >> 10) << ((unit & 1u << 9) >> 6);
        const bool inside =
            (unit & kIsValue) != 0 ? isStart(unit & ~kIsValue) : ((i ^ offset) | 0xff) < units;
        if (!inside)
            return false;
    }
    return true;
}

} // namespace

bool characterMapsAreSound(std::string_view model)
{
    return readMessage(model, [](const Field& part) {
        return (part.number != 3 && part.number != 5) || // rules for reading and for writing
               readMessage(part.bytes, [](const Field& field) {
                   return field.number != 2 || isSoundMap(field.bytes);
               });
    });
}

Result<SentencePieceModel> readSentencePieceModel(const std::filesystem::path& file)
{
    const auto bytes = readFile(file, 256u << 20);
    if (!bytes)
        return bytes.error();
    SentencePieceModel model;
    const bool fine = readMessage(*bytes, [&](const Field& part) { return readPart(part, model); });
    if (!fine || model.pieces.empty())
        return Error{ErrorCode::InvalidInput, "this is not a sentencepiece model",
                     file.filename().string(), "Fetch the tokenizer's files again"};
    return model;
}

} // namespace fettle::text
