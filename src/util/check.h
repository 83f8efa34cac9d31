#pragma once

#include <source_location>

namespace sluice {

// Reports a broken invariant of our own code on stderr and aborts, in release builds too.
[[noreturn]] void CheckFailed(const char* condition, std::source_location where) noexcept;

}  // namespace sluice

// Aborts unless `condition` holds. For our own bugs only: input of any kind must never reach a CHECK.
#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) [[unlikely]]                                          \
            ::sluice::CheckFailed(#condition, std::source_location::current()); \
    } while (false)
