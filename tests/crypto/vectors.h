#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "util/bytes.h"
#include "util/wipe.h"

namespace sluice::crypto {

// The parsed file `name` of tests/vectors.
inline nlohmann::json LoadVectors(const std::string& name) {
    std::ifstream file(std::string(SLUICE_TEST_VECTORS) + "/" + name);
    if (!file) throw std::runtime_error("no vector file " + name);
    return nlohmann::json::parse(file);
}

inline Bytes Hex(const std::string& hex) {
    auto bytes = HexDecode(hex);
    if (!bytes) throw std::runtime_error("not hexadecimal: " + hex);
    return *bytes;
}

// A type with FromBytes, from exactly its number of bytes in hexadecimal.
template <class T>
T FromHex(const std::string& hex) {
    return T::FromBytes(Hex(hex)).value();
}

template <size_t N = 32>
SecretBytes<N> SecretFromHex(const std::string& hex) {
    const Bytes bytes = Hex(hex);
    if (bytes.size() != N) throw std::runtime_error("not the size of the secret: " + hex);
    return SecretBytes<N>(std::span<const uint8_t, N>(bytes.data(), N));
}

}  // namespace sluice::crypto
