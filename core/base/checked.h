#pragma once

#include "base/result.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

namespace fettle {

/// Unsigned 64-bit arithmetic that remembers an overflow. Used for every size that comes from a file.
class Checked
{
public:
    constexpr Checked(std::uint64_t value) : m_value(value) {}

    Checked& operator+=(Checked other)
    {
        m_ok = m_ok && other.m_ok && !__builtin_add_overflow(m_value, other.m_value, &m_value);
        return *this;
    }
    Checked& operator*=(Checked other)
    {
        m_ok = m_ok && other.m_ok && !__builtin_mul_overflow(m_value, other.m_value, &m_value);
        return *this;
    }
    friend Checked operator+(Checked a, Checked b) { return a += b; }
    friend Checked operator*(Checked a, Checked b) { return a *= b; }

    /// True when no operation so far has overflowed.
    bool ok() const { return m_ok; }
    /// The value; only meaningful when ok().
    std::uint64_t value() const { return m_value; }
    /// ok() and not above `limit`: the one gate before anything is allocated or read.
    bool within(std::uint64_t limit) const { return m_ok && m_value <= limit; }

private:
    std::uint64_t m_value;
    bool m_ok = true;
};

/// Reads little-endian values from bytes and never past their end. After a failed read every
/// further read gives zero and `ok()` stays false.
class ByteReader
{
public:
    explicit ByteReader(std::span<const std::byte> bytes) : m_bytes(bytes) {}

    bool ok() const { return m_ok; }
    std::uint64_t position() const { return m_at; }
    std::uint64_t remaining() const { return m_bytes.size() - m_at; }

    template<class T>
        requires std::is_trivially_copyable_v<T>
    T read()
    {
        T value{};
        if (!take(sizeof(T)))
            return value;
        std::memcpy(&value, m_bytes.data() + m_at - sizeof(T), sizeof(T));
        return value;
    }
    /// `size` bytes as text without a copy; empty when they are not there.
    std::string_view text(std::uint64_t size)
    {
        if (!take(size))
            return {};
        return {reinterpret_cast<const char*>(m_bytes.data() + m_at - size), size};
    }
    void skip(std::uint64_t size) { take(size); }

private:
    bool take(std::uint64_t size)
    {
        m_ok = m_ok && size <= remaining();
        if (m_ok)
            m_at += size;
        return m_ok;
    }

    std::span<const std::byte> m_bytes;
    std::uint64_t m_at = 0;
    bool m_ok = true;
};

} // namespace fettle
