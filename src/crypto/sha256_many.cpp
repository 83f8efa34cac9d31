#include "crypto/sha256_many.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "util/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own avx512fintrin.h passes registers on purpose undefined, and warns of it (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace sluice::crypto {
namespace {

constexpr size_t kLanes = 16;

#if defined(__x86_64__)

constexpr size_t kBlockBytes = 64;

constexpr std::array<uint32_t, 8> kInitial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

alignas(64) constexpr std::array<uint32_t, 64> kRound{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// What follows the last whole block of a message: the rest, a one bit, zeros and the length in bits.
struct Tail {
    explicit Tail(ByteSpan message) {
        const size_t rest = message.size() % kBlockBytes;
        blocks = rest + 1 + 8 <= kBlockBytes ? 1 : 2;
        if (rest != 0) std::memcpy(bytes.data(), message.data() + message.size() - rest, rest);
        bytes[rest] = 0x80;
        const uint64_t bits = uint64_t{message.size()} * 8;
        for (size_t i = 0; i < 8; ++i) bytes[blocks * kBlockBytes - 1 - i] = static_cast<uint8_t>(bits >> (8 * i));
    }
    std::array<uint8_t, 2 * kBlockBytes> bytes{};
    size_t blocks;
};

void StoreWords(const uint32_t* words, size_t stride, Hash256& out) {
    for (size_t i = 0; i < 8; ++i) {
        const uint32_t word = __builtin_bswap32(words[i * stride]);
        std::memcpy(out.data() + 4 * i, &word, 4);
    }
}

#define SLUICE_TARGET_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define SLUICE_INLINE_SHA SLUICE_TARGET_SHA __attribute__((always_inline)) inline

// One hash in the layout of the SHA instructions, and its last sixteen message words. Two are advanced in turn, each
// in registers of its own: one's instructions run while the other's wait for their operands.
struct Stream {
    __m128i abef, cdgh;
    __m128i w[4];
    __m128i abef_before, cdgh_before;
};

SLUICE_INLINE_SHA void LoadBlock(Stream& s, const uint8_t* block) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const auto* const words = reinterpret_cast<const __m128i*>(block);
    s.w[0] = _mm_shuffle_epi8(_mm_loadu_si128(words), big_endian);
    s.w[1] = _mm_shuffle_epi8(_mm_loadu_si128(words + 1), big_endian);
    s.w[2] = _mm_shuffle_epi8(_mm_loadu_si128(words + 2), big_endian);
    s.w[3] = _mm_shuffle_epi8(_mm_loadu_si128(words + 3), big_endian);
    s.abef_before = s.abef;
    s.cdgh_before = s.cdgh;
}

// Four rounds, and the message words of 16 rounds later.
template <int kGroup>
SLUICE_INLINE_SHA void FourRounds(Stream& s, __m128i k) {
    constexpr int kNow = kGroup & 3, kNext = (kGroup + 1) & 3, kPrevious = (kGroup + 3) & 3;
    __m128i sum = _mm_add_epi32(s.w[kNow], k);
    s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
    if constexpr (kGroup >= 3 && kGroup < 15) {
        const __m128i seven = _mm_alignr_epi8(s.w[kNow], s.w[kPrevious], 4);
        s.w[kNext] = _mm_sha256msg2_epu32(_mm_add_epi32(s.w[kNext], seven), s.w[kNow]);
    }
    sum = _mm_shuffle_epi32(sum, 0x0e);
    s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, sum);
    if constexpr (kGroup >= 1 && kGroup < 13) s.w[kPrevious] = _mm_sha256msg1_epu32(s.w[kPrevious], s.w[kNow]);
}

template <int... kGroups>
SLUICE_INLINE_SHA void AllRounds(Stream& a, Stream& b, std::integer_sequence<int, kGroups...>) {
    const auto* const k = reinterpret_cast<const __m128i*>(kRound.data());
    ((FourRounds<kGroups>(a, _mm_load_si128(k + kGroups)), FourRounds<kGroups>(b, _mm_load_si128(k + kGroups))), ...);
}

SLUICE_INLINE_SHA void AddBefore(Stream& s) {
    s.abef = _mm_add_epi32(s.abef, s.abef_before);
    s.cdgh = _mm_add_epi32(s.cdgh, s.cdgh_before);
}

SLUICE_INLINE_SHA void CompressPair(Stream& a, Stream& b, const uint8_t* from_a, const uint8_t* from_b, size_t blocks) {
    for (; blocks > 0; --blocks, from_a += kBlockBytes, from_b += kBlockBytes) {
        LoadBlock(a, from_a);
        LoadBlock(b, from_b);
        AllRounds(a, b, std::make_integer_sequence<int, 16>());
        AddBefore(a);
        AddBefore(b);
    }
}

SLUICE_INLINE_SHA void Begin(Stream& s) {
    s.abef = _mm_set_epi32(static_cast<int>(kInitial[0]), static_cast<int>(kInitial[1]), static_cast<int>(kInitial[4]),
                           static_cast<int>(kInitial[5]));
    s.cdgh = _mm_set_epi32(static_cast<int>(kInitial[2]), static_cast<int>(kInitial[3]), static_cast<int>(kInitial[6]),
                           static_cast<int>(kInitial[7]));
}

SLUICE_INLINE_SHA void Store(const Stream& s, Hash256& out) {
    alignas(16) std::array<uint32_t, 8> words;  // f e b a h g d c
    _mm_store_si128(reinterpret_cast<__m128i*>(words.data()), s.abef);
    _mm_store_si128(reinterpret_cast<__m128i*>(words.data() + 4), s.cdgh);
    const std::array<uint32_t, 8> in_order{words[3], words[2], words[7], words[6],
                                           words[1], words[0], words[5], words[4]};
    StoreWords(in_order.data(), 1, out);
}

// Two messages of one length.
SLUICE_TARGET_SHA void HashPair(ByteSpan first, ByteSpan second, Hash256* out) {
    Stream a, b;
    Begin(a);
    Begin(b);
    CompressPair(a, b, first.data(), second.data(), first.size() / kBlockBytes);
    const Tail tail_a(first), tail_b(second);
    CompressPair(a, b, tail_a.bytes.data(), tail_b.bytes.data(), tail_a.blocks);
    Store(a, out[0]);
    Store(b, out[1]);
}

#define SLUICE_TARGET_AVX512 __attribute__((target("avx512f,avx512bw")))
#define SLUICE_INLINE_AVX512 SLUICE_TARGET_AVX512 __attribute__((always_inline)) inline

// rows[i] = word i of lane 0..15, from rows[i] = the sixteen words of lane i.
SLUICE_INLINE_AVX512 void Transpose(__m512i (&rows)[16]) {
    __m512i t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {
        rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

// Truth tables of vpternlog: a ^ b ^ c, (a & b) | (~a & c), and the majority.
constexpr int kXor3 = 0x96, kChoose = 0xca, kMajority = 0xe8;

struct LaneState {
    __m512i h[8];
};

// What the next round waits for is added last: e and a go through four instructions here, not six.
SLUICE_INLINE_AVX512 void Round(__m512i a, __m512i b, __m512i c, __m512i& d, __m512i e, __m512i f, __m512i g,
                                __m512i& h, __m512i w_plus_k) {
    const __m512i known = _mm512_add_epi32(h, w_plus_k);
    const __m512i ch = _mm512_ternarylogic_epi32(e, f, g, kChoose);
    const __m512i maj = _mm512_ternarylogic_epi32(a, b, c, kMajority);
    const __m512i to_d = _mm512_add_epi32(_mm512_add_epi32(d, known), ch);
    const __m512i to_h = _mm512_add_epi32(_mm512_add_epi32(known, ch), maj);
    const __m512i s1 =
        _mm512_ternarylogic_epi32(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25), kXor3);
    const __m512i s0 =
        _mm512_ternarylogic_epi32(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22), kXor3);
    d = _mm512_add_epi32(to_d, s1);
    h = _mm512_add_epi32(_mm512_add_epi32(to_h, s1), s0);
}

SLUICE_INLINE_AVX512 __m512i Scheduled(const __m512i (&w)[16], int i) {
    const __m512i w15 = w[(i + 1) & 15], w2 = w[(i + 14) & 15];
    const __m512i s0 = _mm512_ternarylogic_epi32(_mm512_ror_epi32(w15, 7), _mm512_ror_epi32(w15, 18),
                                                 _mm512_srli_epi32(w15, 3), kXor3);
    const __m512i s1 =
        _mm512_ternarylogic_epi32(_mm512_ror_epi32(w2, 17), _mm512_ror_epi32(w2, 19), _mm512_srli_epi32(w2, 10), kXor3);
    return _mm512_add_epi32(_mm512_add_epi32(w[i & 15], s0), _mm512_add_epi32(w[(i + 9) & 15], s1));
}

// Sixteen rounds, whose constants begin at `k`. After the first ones each makes its message word.
template <bool kFirst>
SLUICE_INLINE_AVX512 void SixteenRounds(LaneState& s, __m512i (&w)[16], const uint32_t* k) {
    auto& [a, b, c, d, e, f, g, h] = s.h;
    const auto with_k = [&](int i) __attribute__((target("avx512f,avx512bw"), always_inline)) {
        if constexpr (!kFirst) w[i] = Scheduled(w, i);
        return _mm512_add_epi32(w[i], _mm512_set1_epi32(static_cast<int>(k[i])));
    };
#pragma GCC unroll 2
    for (int i = 0; i < 16; i += 8) {
        Round(a, b, c, d, e, f, g, h, with_k(i));
        Round(h, a, b, c, d, e, f, g, with_k(i + 1));
        Round(g, h, a, b, c, d, e, f, with_k(i + 2));
        Round(f, g, h, a, b, c, d, e, with_k(i + 3));
        Round(e, f, g, h, a, b, c, d, with_k(i + 4));
        Round(d, e, f, g, h, a, b, c, with_k(i + 5));
        Round(c, d, e, f, g, h, a, b, with_k(i + 6));
        Round(b, c, d, e, f, g, h, a, with_k(i + 7));
    }
}

SLUICE_TARGET_AVX512 void CompressLanes(LaneState& state, std::array<const uint8_t*, kLanes> at, size_t blocks) {
    // Sixteen streams are more than the CPU fetches ahead by itself.
    constexpr size_t kAheadBytes = 2 * kBlockBytes;
    const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    for (size_t block = 0; block < blocks; ++block) {
        __m512i w[16];
#pragma GCC unroll 16
        for (size_t lane = 0; lane < kLanes; ++lane) {
            const uint8_t* const words = at[lane] + block * kBlockBytes;
            _mm_prefetch(words + kAheadBytes, _MM_HINT_T0);
            w[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512(words), big_endian);
        }
        Transpose(w);
        LaneState next = state;
        SixteenRounds<true>(next, w, kRound.data());
#pragma GCC unroll 1
        for (size_t round = 16; round < kRound.size(); round += 16)
            SixteenRounds<false>(next, w, kRound.data() + round);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) state.h[i] = _mm512_add_epi32(state.h[i], next.h[i]);
    }
}

// Sixteen messages of one length.
SLUICE_TARGET_AVX512 void HashLanes(std::span<const ByteSpan, kLanes> messages, std::span<Hash256, kLanes> out) {
    LaneState state;
    for (size_t i = 0; i < 8; ++i) state.h[i] = _mm512_set1_epi32(static_cast<int>(kInitial[i]));
    std::array<const uint8_t*, kLanes> at;
    for (size_t lane = 0; lane < kLanes; ++lane) at[lane] = messages[lane].data();
    CompressLanes(state, at, messages[0].size() / kBlockBytes);
    std::array<uint8_t, kLanes * 2 * kBlockBytes> tails;
    size_t blocks = 0;
    for (size_t lane = 0; lane < kLanes; ++lane) {
        const Tail tail(messages[lane]);
        blocks = tail.blocks;
        at[lane] = tails.data() + lane * 2 * kBlockBytes;
        std::memcpy(tails.data() + lane * 2 * kBlockBytes, tail.bytes.data(), 2 * kBlockBytes);
    }
    CompressLanes(state, at, blocks);
    alignas(64) std::array<uint32_t, 8 * kLanes> words;
    for (size_t i = 0; i < 8; ++i) _mm512_store_si512(words.data() + i * kLanes, state.h[i]);
    for (size_t lane = 0; lane < kLanes; ++lane) StoreWords(words.data() + lane, kLanes, out[lane]);
}

// GCC 12 does not name this one: leaf 7, bit 29 of EBX.
bool CpuHasSha() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0 && __builtin_cpu_supports("sse4.1") &&
           __builtin_cpu_supports("ssse3");
}

bool CpuHasAvx512() { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"); }

#else

void HashPair(ByteSpan, ByteSpan, Hash256*) { CHECK(false); }
void HashLanes(std::span<const ByteSpan, kLanes>, std::span<Hash256, kLanes>) { CHECK(false); }
bool CpuHasSha() { return false; }
bool CpuHasAvx512() { return false; }

#endif  // __x86_64__

Sha256Way BestWay() {
    if (HasSha256Way(Sha256Way::kAvx512)) return Sha256Way::kAvx512;
    if (HasSha256Way(Sha256Way::kShaPairs)) return Sha256Way::kShaPairs;
    return Sha256Way::kOneByOne;
}

}  // namespace

bool HasSha256Way(Sha256Way way) {
    static const bool sha = CpuHasSha(), avx512 = CpuHasAvx512();
    switch (way) {
        case Sha256Way::kOneByOne:
            return true;
        case Sha256Way::kShaPairs:
            return sha;
        case Sha256Way::kAvx512:
            return avx512;
    }
    return false;
}

void Sha256Many(Sha256Way way, std::span<const ByteSpan> messages, std::span<Hash256> out) {
    CHECK(messages.size() == out.size() && HasSha256Way(way));
    const bool lanes = way == Sha256Way::kAvx512;
    const bool pairs = way != Sha256Way::kOneByOne && HasSha256Way(Sha256Way::kShaPairs);
    for (size_t i = 0; i < messages.size();) {
        size_t equal = 1;
        while (equal < kLanes && i + equal < messages.size() && messages[i + equal].size() == messages[i].size())
            ++equal;
        if (lanes && equal == kLanes) {
            HashLanes(messages.subspan(i).first<kLanes>(), out.subspan(i).first<kLanes>());
            i += kLanes;
        } else if (pairs && equal >= 2) {
            HashPair(messages[i], messages[i + 1], &out[i]);
            i += 2;
        } else {
            out[i] = Sha256Of(messages[i]);
            ++i;
        }
    }
}

void Sha256Many(std::span<const ByteSpan> messages, std::span<Hash256> out) {
    static const Sha256Way way = BestWay();
    Sha256Many(way, messages, out);
}

}  // namespace sluice::crypto
