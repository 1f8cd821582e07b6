#pragma once

#include "text/tokenizer.h"

namespace fettle::text {

/// Open-addressed table from a pair of ids to the merge of the two. Read-only after building.
class PairTable
{
public:
    struct Merge
    {
        std::int32_t rank = -1; ///< position in the list; -1: the pair does not merge
        TokenId id = -1;
    };

    explicit PairTable(std::size_t expected = 0)
    {
        std::size_t capacity = 16;
        while (capacity < expected * 2)
            capacity *= 2;
        m_slots.resize(capacity);
        m_mask = capacity - 1;
    }

    /// A pair that is there already gets the later merge. The table must not be filled beyond
    /// `expected`.
    void set(TokenId left, TokenId right, Merge merge)
    {
        Slot& slot = m_slots[slotOf(key(left, right))];
        slot.key = key(left, right);
        slot.merge = merge;
    }

    Merge find(TokenId left, TokenId right) const
    {
        return m_slots[slotOf(key(left, right))].merge;
    }

private:
    static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
    struct Slot
    {
        std::uint64_t key = kEmpty;
        Merge merge;
    };

    static std::uint64_t key(TokenId left, TokenId right)
    {
        return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
               static_cast<std::uint32_t>(right);
    }
    std::size_t slotOf(std::uint64_t wanted) const
    {
        std::uint64_t hash = wanted * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
        std::size_t at = hash & m_mask;
        while (m_slots[at].key != wanted && m_slots[at].key != kEmpty)
            at = (at + 1) & m_mask;
        return at;
    }

    std::vector<Slot> m_slots;
    std::size_t m_mask = 0;
};

} // namespace fettle::text
