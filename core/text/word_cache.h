#pragma once

#include "text/tokenizer.h"

namespace fettle::text {

/// Words met before and their ids. One per tokenizer and thread, so it needs no lock.
class WordCache
{
public:
    static constexpr std::size_t kMaxWord = 64; // bytes; longer pieces hardly come back

    WordCache();

    /// The cache of this thread for the tokenizer with this number (a thread keeps a few).
    static WordCache& ofThread(std::uint64_t tokenizer);

    /// Appends the ids of `word` if it is known.
    bool find(std::string_view word, std::uint64_t hash, std::vector<TokenId>& ids) const;
    void insert(std::string_view word, std::uint64_t hash, std::span<const TokenId> ids);
    static std::uint64_t hashOf(std::string_view word);

private:
    struct Slot
    {
        std::uint64_t hash = 0;
        std::uint32_t word = 0;   // where its bytes begin in m_words
        std::uint32_t ids = 0;    // where its ids begin in m_ids
        std::uint16_t length = 0; // bytes of the word; 0: empty slot
        std::uint16_t idCount = 0;
        TokenId only = -1; // the id when there is exactly one
    };
    void clear();

    std::vector<Slot> m_slots;
    std::string m_words;
    std::vector<TokenId> m_ids;
    std::size_t m_count = 0;
};

} // namespace fettle::text
