#pragma once

#include "primitives/ids.h"
#include "util/serialize.h"

// Keys of the chain's key-value store: one letter for each table, then the key. Numbers in keys are big-endian, so that
// the order of keys is the order of numbers.

namespace sluice::chain {

inline constexpr char kHeaderTable = 'H';
inline constexpr char kOpenHeaderTable = 'h';
inline constexpr char kBlockTable = 'b';
inline constexpr char kUndoTable = 'u';
inline constexpr char kStateTable = 's';
inline constexpr char kActiveTable = 'a';
inline constexpr char kSnapshotTable = 'n';
inline constexpr char kIndexTable = 'i';
inline constexpr char kMetaTable = 'm';

inline Bytes TableKey(char table, ByteSpan key = {}) {
    Bytes result;
    result.reserve(1 + key.size());
    result.push_back(static_cast<uint8_t>(table));
    result.insert(result.end(), key.begin(), key.end());
    return result;
}

inline void AppendBigEndian(Bytes& key, std::unsigned_integral auto value) {
    for (size_t i = sizeof(value); i-- > 0;) key.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

inline Error Corrupt(const std::string& what) {
    return {ErrorKind::kEnvironment,
            "the chain database is damaged (" + what + "): start again with an empty chain folder to fetch it anew"};
}

}  // namespace sluice::chain
