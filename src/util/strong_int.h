#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>

namespace sluice {

// An integer that cannot be mixed up with another kind: a height is not a slot. Adding or subtracting a plain number
// moves it; the difference of two is a plain signed number. The arithmetic is that of Rep: bound untrusted values
// first.
template <class Tag, std::unsigned_integral Rep>
struct StrongInt {
    Rep value{0};

    constexpr StrongInt() = default;
    constexpr explicit StrongInt(Rep v) : value(v) {}

    friend constexpr auto operator<=>(StrongInt, StrongInt) = default;
    friend constexpr StrongInt operator+(StrongInt a, Rep n) { return StrongInt(static_cast<Rep>(a.value + n)); }
    friend constexpr StrongInt operator-(StrongInt a, Rep n) { return StrongInt(static_cast<Rep>(a.value - n)); }
    friend constexpr int64_t operator-(StrongInt a, StrongInt b) {
        return static_cast<int64_t>(a.value) - static_cast<int64_t>(b.value);
    }
    constexpr StrongInt& operator++() {
        ++value;
        return *this;
    }

    static void Serialize(auto& self, auto& archive) { archive(self.value); }
};

template <class Tag, class Rep>
std::string ToString(StrongInt<Tag, Rep> v) {
    return std::to_string(v.value);
}

}  // namespace sluice

template <class Tag, class Rep>
struct std::hash<sluice::StrongInt<Tag, Rep>> {
    size_t operator()(sluice::StrongInt<Tag, Rep> v) const noexcept { return std::hash<Rep>{}(v.value); }
};
