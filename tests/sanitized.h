#pragma once

namespace fettle::tests {

/// The address sanitizer is in this program: it is slow, and maps more than any limit allows.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// A limit of milliseconds, or what it comes to with the sanitizer.
constexpr long long patient(long long milliseconds) { return kSanitized ? 60 * milliseconds : milliseconds; }

} // namespace fettle::tests
