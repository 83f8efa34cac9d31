#pragma once

#include <string>
#include <vector>

#include "util/check.h"
#include "util/serialize.h"

// The harness of the fuzz targets: each is a function of bytes that aborts (CHECK) when a property of the code under
// test does not hold.
//
// Properties that the driver itself holds every run to: no crash, no run over kHangSeconds, no more than
// `max_live_bytes` allocated at once. Targets hold the rest, above all: what decodes encodes to the same bytes.

namespace sluice::fuzz {

inline constexpr int kHangSeconds = 5;
inline constexpr size_t kDefaultLiveBytes = 32 << 20;

struct Seed {
    std::string name;  // of its file in the corpus
    Bytes bytes;
};

struct Target {
    std::string name;
    void (*run)(ByteSpan input);
    std::vector<Seed> (*seeds)();  // valid inputs, the same in every run of the program
    size_t max_input_bytes{4096};  // mutations stay below; a seed may be larger
    size_t max_live_bytes{kDefaultLiveBytes};
};

// All targets, in the order of their names.
const std::vector<Target>& Targets();

// Adds a target before main starts: `const Register kTransaction{{"transaction", Run, Seeds}};`
struct Register {
    explicit Register(Target target);
};

// Called by a target when the code under test took the input as valid. A corpus of which nothing is accepted is an
// error: it has rotted.
void NoteAccepted();

// The property of every canonical encoding: decode(bytes) fails or encodes to the same bytes again.
template <class T>
std::optional<T> CheckCanonical(ByteSpan input) {
    auto decoded = Decode<T>(input);
    if (!decoded) {
        CHECK(!decoded.error().message.empty());
        return std::nullopt;
    }
    CHECK(Encode(*decoded) == ToBytes(input));
    NoteAccepted();
    return std::move(*decoded);
}

// Takes an input apart. Past its end everything is zero or empty, so that every input means something.
class Input {
  public:
    explicit Input(ByteSpan bytes) : m_left(bytes) {}
    bool Empty() const { return m_left.empty(); }
    template <class T = uint8_t>
    T Integer() {
        T value{};
        const ByteSpan raw = Take(sizeof(T));
        for (size_t i = 0; i < raw.size(); ++i) value = static_cast<T>(value | static_cast<T>(raw[i]) << (8 * i));
        return value;
    }
    // In [0, bound); bound > 0.
    size_t Below(size_t bound) { return Integer<uint16_t>() % bound; }
    bool Flag() { return (Integer() & 1) != 0; }
    // At most `size` bytes.
    ByteSpan Take(size_t size) {
        const ByteSpan taken = m_left.first(std::min(size, m_left.size()));
        m_left = m_left.subspan(taken.size());
        return taken;
    }
    // Two bytes of length, then as many bytes.
    ByteSpan Blob() { return Take(Integer<uint16_t>()); }
    ByteSpan Rest() { return Take(m_left.size()); }
    template <size_t N>
    std::array<uint8_t, N> Array() {
        std::array<uint8_t, N> result{};
        const ByteSpan raw = Take(N);
        std::copy(raw.begin(), raw.end(), result.begin());
        return result;
    }

  private:
    ByteSpan m_left;
};

// The other way round, for seeds.
class Output {
  public:
    template <class T = uint8_t>
    Output& Integer(T value) {
        m_writer.Integer(value);
        return *this;
    }
    Output& Raw(ByteSpan bytes) {
        m_writer.Raw(bytes);
        return *this;
    }
    Output& Blob(ByteSpan bytes) {
        Integer(static_cast<uint16_t>(bytes.size()));
        return Raw(bytes);
    }
    Bytes Take() { return m_writer.Take(); }

  private:
    Writer m_writer;
};

// ---- driver parts

// Changes `input` in place by a random number of random steps; `other` is another entry of the corpus to splice with.
void Mutate(Bytes& input, ByteSpan other, size_t max_bytes, class RandomBits& random);

// splitmix64: small, fast, repeatable.
class RandomBits {
  public:
    explicit RandomBits(uint64_t seed) : m_state(seed) {}
    uint64_t Next() {
        uint64_t z = m_state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    size_t Below(size_t bound) { return bound == 0 ? 0 : Next() % bound; }

  private:
    uint64_t m_state;
};

// Which edges of the program have run; all zero unless it was built with -fsanitize-coverage=trace-pc.
inline constexpr size_t kCoverageSlots = 1 << 16;
// Forgets the present run's edges; then the number of edges that no run before has seen.
void StartCoverage();
size_t NewCoverage();

// The guard of one run: `input` is what is written to `crash_path` when the process dies in it.
void InstallGuards(const std::string& crash_path, const std::string& replay_hint);
void RunGuarded(const Target& target, ByteSpan input);

}  // namespace sluice::fuzz
