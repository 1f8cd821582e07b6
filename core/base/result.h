#pragma once

#include "base/error.h"

#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

namespace fettle {

/// A value, or the reason why there is none. Tests as true when there is a value.
template<class T>
class [[nodiscard]] Result
{
public:
    Result(T value) : m_state(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : m_state(std::in_place_index<1>, std::move(error)) {}
    template<class U>
        requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::decay_t<U>, T>
                 && !std::is_same_v<std::decay_t<U>, Error>
                 && !std::is_same_v<std::decay_t<U>, Result<T>>)
    Result(U&& value) : m_state(std::in_place_index<0>, std::forward<U>(value))
    {
    }

    explicit operator bool() const { return m_state.index() == 0; }
    T& operator*() & { return std::get<0>(m_state); }
    const T& operator*() const& { return std::get<0>(m_state); }
    T&& operator*() && { return std::get<0>(std::move(m_state)); }
    T* operator->() { return &std::get<0>(m_state); }
    const T* operator->() const { return &std::get<0>(m_state); }
    const Error& error() const { return std::get<1>(m_state); }
    /// The value; throws std::runtime_error with the sentence when there is none (tests, tools).
    T value() &&
    {
        if (!*this)
            throw std::runtime_error(error().sentence());
        return std::get<0>(std::move(m_state));
    }

private:
    std::variant<T, Error> m_state;
};

/// Success, or the reason why not.
template<>
class [[nodiscard]] Result<void>
{
public:
    Result() = default;
    Result(Error error) : m_error(std::move(error)) {}

    explicit operator bool() const { return !m_error.has_value(); }
    const Error& error() const { return *m_error; }
    void value() const
    {
        if (m_error)
            throw std::runtime_error(m_error->sentence());
    }

private:
    std::optional<Error> m_error;
};

} // namespace fettle
