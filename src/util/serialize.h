#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "util/bytes.h"
#include "util/check.h"
#include "util/result.h"

// Serialization: one `Serialize` per type for both directions.
//
//     struct OutPoint {
//         Txid txid; uint32_t index{0};
//         static void Serialize(auto& self, auto& archive) { archive(self.txid, self.index); }
//     };
//     Bytes bytes = Encode(outpoint);
//     Result<OutPoint> decoded = Decode<OutPoint>(bytes);   // exact length, canonical encodings only
//
// Integers are little-endian at their full width; lengths are Bitcoin's CompactSize in its shortest form. A reader's
// every length is bounded by the bytes left *and* by a named limit, before anything is allocated. A reader keeps its
// first error, after which everything it reads is zero: check Ok() (Decode does) before using what was read.

namespace sluice {

class Writer {
  public:
    static constexpr bool kReading = false;

    template <class... T>
    void operator()(const T&... fields) {
        (Field(fields), ...);
    }
    template <std::integral T>
    void Integer(T value) {
        using U = std::make_unsigned_t<T>;
        U bits = static_cast<U>(value);
        for (size_t i = 0; i < sizeof(T); ++i) {
            m_bytes.push_back(static_cast<uint8_t>(bits & 0xff));
            if constexpr (sizeof(T) > 1) bits = static_cast<U>(bits >> 8);
        }
    }
    void Raw(ByteSpan bytes) { m_bytes.insert(m_bytes.end(), bytes.begin(), bytes.end()); }
    void CompactSize(uint64_t size) {
        if (size < 253) {
            Integer(static_cast<uint8_t>(size));
        } else if (size <= 0xffff) {
            Integer(uint8_t{253});
            Integer(static_cast<uint16_t>(size));
        } else if (size <= 0xffffffff) {
            Integer(uint8_t{254});
            Integer(static_cast<uint32_t>(size));
        } else {
            Integer(uint8_t{255});
            Integer(size);
        }
    }
    // Length-prefixed bytes or text of at most `limit` bytes.
    template <class Container>
    void VarBytes(const Container& bytes, size_t limit) {
        CHECK(bytes.size() <= limit);
        CompactSize(bytes.size());
        Raw({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
    // Count-prefixed elements, at most `limit` of them, each at least `min_element_bytes` on the wire.
    template <class T>
    void Vector(const std::vector<T>& elements, size_t limit, size_t /*min_element_bytes*/ = 1) {
        CHECK(elements.size() <= limit);
        CompactSize(elements.size());
        for (const T& element : elements) Field(element);
    }
    template <class T>
    void Optional(const std::optional<T>& value) {
        Integer(static_cast<uint8_t>(value.has_value()));
        if (value) Field(*value);
    }

    const Bytes& bytes() const { return m_bytes; }
    Bytes Take() { return std::move(m_bytes); }
    void Reserve(size_t bytes) { m_bytes.reserve(bytes); }

  private:
    template <class T>
    void Field(const T& field) {
        if constexpr (std::is_same_v<T, bool>) {
            Integer(static_cast<uint8_t>(field));
        } else if constexpr (std::is_enum_v<T>) {
            Integer(static_cast<std::underlying_type_t<T>>(field));
        } else if constexpr (std::integral<T>) {
            Integer(field);
        } else {
            T::Serialize(field, *this);
        }
    }

    Bytes m_bytes;
};

class Reader {
  public:
    static constexpr bool kReading = true;

    // Reads from `bytes`, which must outlive the reader.
    explicit Reader(ByteSpan bytes) : m_left(bytes) {}

    template <class... T>
    void operator()(T&... fields) {
        (Field(fields), ...);
    }
    template <std::integral T>
    T Integer() {
        using U = std::make_unsigned_t<T>;
        U value = 0;
        const ByteSpan raw = Take(sizeof(T));
        for (size_t i = 0; i < raw.size(); ++i) value = static_cast<U>(value | static_cast<U>(raw[i]) << (8 * i));
        return static_cast<T>(value);
    }
    void Raw(MutableByteSpan into) {
        const ByteSpan raw = Take(into.size());
        std::copy(raw.begin(), raw.end(), into.begin());
    }
    uint64_t CompactSize() {
        const uint8_t first = Integer<uint8_t>();
        if (first < 253) return first;
        const uint64_t value = first == 253   ? Integer<uint16_t>()
                               : first == 254 ? Integer<uint32_t>()
                                              : Integer<uint64_t>();
        const uint64_t least = first == 253 ? 253 : first == 254 ? 0x10000 : 0x100000000;
        if (value < least) SetError("a length is not in its shortest form");
        return m_error.empty() ? value : 0;
    }
    template <class Container>
    void VarBytes(Container& into, size_t limit) {
        const ByteSpan raw = VarSpan(limit);
        into.assign(reinterpret_cast<const typename Container::value_type*>(raw.data()),
                    reinterpret_cast<const typename Container::value_type*>(raw.data()) + raw.size());
    }
    // A view of length-prefixed bytes inside the input.
    ByteSpan VarSpan(size_t limit) {
        const uint64_t size = CompactSize();
        if (size > limit) {
            SetError("a length of " + std::to_string(size) + " is over the limit of " + std::to_string(limit));
            return {};
        }
        return Take(size);
    }
    template <class T>
    void Vector(std::vector<T>& into, size_t limit, size_t min_element_bytes = 1) {
        into.clear();
        const uint64_t count = CompactSize();
        if (count > limit) {
            SetError("a count of " + std::to_string(count) + " is over the limit of " + std::to_string(limit));
            return;
        }
        if (min_element_bytes != 0 && count > m_left.size() / min_element_bytes) {
            SetError("a count of " + std::to_string(count) + " does not fit in the bytes left");
            return;
        }
        into.reserve(count);
        for (uint64_t i = 0; i < count && Ok(); ++i) {
            into.emplace_back();
            Field(into.back());
        }
    }
    template <class T>
    void Optional(std::optional<T>& into) {
        bool present = false;
        Field(present);
        if (!present) {
            into.reset();
            return;
        }
        into.emplace();
        Field(*into);
    }
    // A view of the next `size` bytes; an error and an empty view if fewer are left.
    ByteSpan Take(size_t size) {
        if (!m_error.empty() || size > m_left.size()) {
            SetError("the data ends early");
            return {};
        }
        const ByteSpan taken = m_left.first(size);
        m_left = m_left.subspan(size);
        return taken;
    }

    bool Ok() const { return m_error.empty(); }
    const std::string& error() const { return m_error; }
    // For rules found while reading (a flag that must be 0 or 1); the first error stays.
    void SetError(std::string message) {
        if (m_error.empty()) m_error = std::move(message);
        m_left = {};
    }
    size_t Left() const { return m_left.size(); }
    ByteSpan Rest() const { return m_left; }

  private:
    template <class T>
    void Field(T& field) {
        if constexpr (std::is_same_v<T, bool>) {
            const uint8_t raw = Integer<uint8_t>();
            if (raw > 1) SetError("a flag is neither 0 nor 1");
            field = raw == 1;
        } else if constexpr (std::is_enum_v<T>) {
            field = static_cast<T>(Integer<std::underlying_type_t<T>>());
        } else if constexpr (std::integral<T>) {
            field = Integer<T>();
        } else {
            T::Serialize(field, *this);
        }
    }

    ByteSpan m_left;
    std::string m_error;
};

template <class T>
Bytes Encode(const T& value) {
    Writer writer;
    writer(value);
    return writer.Take();
}

// Decodes exactly all of `bytes`; the error says what is wrong with them.
template <class T>
Result<T> Decode(ByteSpan bytes) {
    Reader reader(bytes);
    T value{};
    reader(value);
    if (!reader.Ok()) return Fail(reader.error());
    if (reader.Left() != 0) return Fail(std::to_string(reader.Left()) + " bytes follow the end of the data");
    return value;
}

}  // namespace sluice
