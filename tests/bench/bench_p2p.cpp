#include <benchmark/benchmark.h>

#include "p2p/connection.h"

namespace sluice::p2p {
namespace {

crypto::X25519SecretKey Secret(uint8_t fill) {
    crypto::X25519SecretKey key;
    std::fill(key.span().begin(), key.span().end(), fill);
    return key;
}

struct Counter : ConnectionEvents {
    void OnSecured(const NodeId&) override {}
    void OnReceived(MessageType, ByteSpan payload) override { bytes += payload.size(); }
    size_t bytes{0};
};

constexpr size_t kLeaf = 16 << 10;

// Two connected ends, without sockets.
struct Ends {
    Ends() : a(true, {}, Secret(1), Secret(2), {}), b(false, {}, Secret(3), Secret(4), {}) {
        while (a.HasWritable() || b.HasWritable()) {
            CHECK(b.OnBytes(a.TakeWritable(1 << 20), {}, b_saw).has_value());
            CHECK(a.OnBytes(b.TakeWritable(1 << 20), {}, a_saw).has_value());
        }
        CHECK(a.secure() && b.secure());
    }
    Connection a, b;
    Counter a_saw, b_saw;
};

// Content leaves: queued, framed, encrypted, then decrypted and handed up.
void SendLeaves(benchmark::State& state) {
    Ends ends;
    const auto chunk = std::make_shared<const Bytes>(16 * kLeaf, 1);
    const Bytes head(kMaxContentChunkBytes - kLeaf, 2);
    Bytes wire;
    for (auto _ : state) {
        for (size_t i = 0; i < 16; ++i)
            CHECK(ends.a.Send(MessageType::kContentChunk, Payload(head, chunk, i * kLeaf, kLeaf)));
        while (ends.a.HasWritable()) {
            wire = ends.a.TakeWritable(256 << 10, std::move(wire));
            CHECK(ends.b.OnBytes(wire, {}, ends.b_saw).has_value());
        }
    }
    state.SetBytesProcessed(static_cast<int64_t>(ends.b_saw.bytes));
}
BENCHMARK(SendLeaves)->Name("Connection/leaves_both_ends")->Unit(benchmark::kMicrosecond);

void SendBlock(benchmark::State& state) {
    Ends ends;
    const Bytes payload(kMaxBlockBytes, 1);
    for (auto _ : state) {
        CHECK(ends.a.Send(MessageType::kBlock, payload));
        while (ends.a.HasWritable()) CHECK(ends.b.OnBytes(ends.a.TakeWritable(256 << 10), {}, ends.b_saw).has_value());
    }
    state.SetBytesProcessed(static_cast<int64_t>(ends.b_saw.bytes));
}
BENCHMARK(SendBlock)->Name("Connection/block_both_ends")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::p2p
