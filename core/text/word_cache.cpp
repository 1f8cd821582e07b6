#include "text/word_cache.h"

#include <cstring>

namespace fettle::text {

namespace {

constexpr std::size_t kSlots = 1 << 16;
constexpr std::size_t kMaxCount = kSlots * 5 / 8;
constexpr std::size_t kTokenizersPerThread = 3;

} // namespace

WordCache::WordCache()
    : m_slots(kSlots)
{
}

WordCache& WordCache::ofThread(std::uint64_t tokenizer)
{
    struct Entry
    {
        std::uint64_t owner;
        std::unique_ptr<WordCache> cache;
    };
    static thread_local std::vector<Entry> entries;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i].owner == tokenizer) {
            std::swap(entries[i], entries[0]);
            return *entries[0].cache;
        }
    }
    if (entries.size() >= kTokenizersPerThread)
        entries.pop_back();
    entries.insert(entries.begin(), Entry{tokenizer, std::make_unique<WordCache>()});
    return *entries[0].cache;
}

std::uint64_t WordCache::hashOf(std::string_view word)
{
    constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15u;
    std::uint64_t hash = word.size() * kMix;
    const char* at = word.data();
    std::size_t left = word.size();
    const auto mix = [&](std::uint64_t value) {
        hash = (hash ^ value) * kMix;
        hash ^= hash >> 32;
    };
    for (; left >= 8; left -= 8, at += 8) {
        std::uint64_t value = 0;
        std::memcpy(&value, at, 8);
        mix(value);
    }
    if (left > 0) {
        std::uint64_t value = 0;
        std::memcpy(&value, at, left);
        mix(value);
    }
    return hash;
}

bool WordCache::find(std::string_view word, std::uint64_t hash, std::vector<TokenId>& ids) const
{
    for (std::size_t at = hash % kSlots;; at = (at + 1) % kSlots) {
        const Slot& slot = m_slots[at];
        if (slot.length == 0)
            return false;
        if (slot.hash != hash || slot.length != word.size() ||
            std::memcmp(m_words.data() + slot.word, word.data(), word.size()) != 0)
            continue;
        if (slot.idCount == 1)
            ids.push_back(slot.only);
        else
            ids.insert(ids.end(), m_ids.begin() + slot.ids,
                       m_ids.begin() + slot.ids + slot.idCount);
        return true;
    }
}

void WordCache::insert(std::string_view word, std::uint64_t hash, std::span<const TokenId> ids)
{
    if (word.empty() || word.size() > kMaxWord)
        return;
    if (m_count >= kMaxCount)
        clear();
    std::size_t at = hash % kSlots;
    while (m_slots[at].length != 0)
        at = (at + 1) % kSlots;
    Slot& slot = m_slots[at];
    slot.hash = hash;
    slot.word = static_cast<std::uint32_t>(m_words.size());
    slot.length = static_cast<std::uint16_t>(word.size());
    slot.ids = static_cast<std::uint32_t>(m_ids.size());
    slot.idCount = static_cast<std::uint16_t>(ids.size());
    m_words += word;
    if (ids.size() == 1)
        slot.only = ids[0];
    else
        m_ids.insert(m_ids.end(), ids.begin(), ids.end());
    ++m_count;
}

void WordCache::clear()
{
    m_slots.assign(kSlots, Slot{});
    m_words.clear();
    m_ids.clear();
    m_count = 0;
}

} // namespace fettle::text
