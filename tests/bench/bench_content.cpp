#include <benchmark/benchmark.h>

#include "consensus/ledger_fixture.h"
#include "content/messages.h"
#include "content/sealing.h"
#include "content/voucher.h"
#include "util/random.h"

namespace sluice::content {
namespace {

using consensus::testing::TestKey;

constexpr uint64_t kFileBytes = uint64_t{64} << 20;
const Salt kSalt(std::array<uint8_t, 32>{9});

// Plaintext that costs nothing to make: the same slice again and again.
class RepeatingSource final : public PlainSource {
  public:
    RepeatingSource() : m_pattern(1 << 20) { SeededRandom(1).Fill(m_pattern); }
    uint64_t size_bytes() const override { return kFileBytes; }
    Status Read(MutableByteSpan into) override {
        std::copy_n(m_pattern.begin(), into.size(), into.begin());
        return {};
    }
    Status CheckEnd() override { return {}; }

  private:
    Bytes m_pattern;
};

struct MemorySealed final : ChunkSink, ChunkSource {
    MemorySealed() { bytes.reserve(kFileBytes + kFileBytes / 64); }
    Status Put(ChunkIndex, ByteSpan sealed, std::span<const Hash256>) override {
        bytes.insert(bytes.end(), sealed.begin(), sealed.end());
        return {};
    }
    uint64_t size_bytes() const override { return bytes.size(); }
    Status Read(ChunkIndex chunk, MutableByteSpan into) const override {
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(ChunkOffset(chunk)), into.size(), into.begin());
        return {};
    }
    Bytes bytes;
};

Sealed SealFile(MemorySealed& out) {
    RepeatingSource source;
    out.bytes.clear();
    auto sealed = Seal({&source, 0, {}}, ContentKeys::FromTitleKey(TestKey(5)), kSalt, out);
    CHECK(sealed.has_value());
    return *sealed;
}

// Read, encrypt, hash, hand on; one thread.
void SealContent(benchmark::State& state) {
    MemorySealed out;
    for (auto _ : state) SealFile(out);
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kFileBytes));
}
BENCHMARK(SealContent)->Name("Seal/64MiB")->Unit(benchmark::kMillisecond);

void OpenContent(benchmark::State& state) {
    MemorySealed stored;
    const Sealed sealed = SealFile(stored);
    Bytes into(1 << 20);
    for (auto _ : state) {
        PlainReader reader(stored, ChunkCipher(ContentKeys::FromTitleKey(TestKey(5)), kSalt, sealed.layout));
        for (uint64_t at = 0; at + into.size() <= kFileBytes; at += into.size()) {
            if (!reader.Read(at, into)) state.SkipWithError("cannot be opened");
        }
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kFileBytes));
}
BENCHMARK(OpenContent)->Name("PlainReader/64MiB")->Unit(benchmark::kMillisecond);

void VerifyWholeChunk(benchmark::State& state) {
    Bytes chunk(kChunkBytes);
    SeededRandom(1).Fill(chunk);
    const uint64_t size = uint64_t{2} * kChunkBytes;
    const Hash256 hash = ChunkHash(LeafHashes(chunk), false);
    for (auto _ : state) {
        if (!CheckChunk(size, ChunkIndex(0), chunk, hash)) state.SkipWithError("false");
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * kChunkBytes);
}
BENCHMARK(VerifyWholeChunk)->Name("CheckChunk")->Unit(benchmark::kMicrosecond);

// Of a file of 16 GiB.
void VerifyProof(benchmark::State& state) {
    const uint64_t size = uint64_t{16} << 30;
    std::vector<std::vector<Hash256>> levels(1, std::vector<Hash256>(ChunkCount(size), crypto::Sha256Of(Bytes{1})));
    while (levels.back().size() > 1) {
        std::vector<Hash256> above;
        for (size_t i = 0; i < levels.back().size(); i += 2)
            above.push_back(crypto::Sha256Pair(levels.back()[i], levels.back()[i + 1]));
        levels.push_back(std::move(above));
    }
    const ContentId id{CastHash<ContentRoot>(levels.back()[0]), size};
    const HashSpan span{ChunkIndex(1024), static_cast<uint32_t>(state.range(0))};
    const auto proof =
        MakeHashProof(size, span, [&](const TreeNode& node) { return std::optional(levels[node.level][node.index]); });
    for (auto _ : state) {
        if (!VerifyHashProof(id, span, *proof)) state.SkipWithError("false");
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(VerifyProof)->Name("VerifyHashProof/chunks")->Arg(1)->Arg(256);

void VoucherRound(benchmark::State& state) {
    using namespace consensus::testing;
    const ChannelLock lock{{{}, 1},     TestKey(kPayerKey).XOnly(), TestKey(kPayeeKey).XOnly(), Height(50'000), Slu(2),
                           KeyScript(2)};
    const crypto::SecretKey payer = TestKey(kPayerKey);
    uint64_t returned = lock.capacity.drops;
    for (auto _ : state) {
        const auto voucher = SignVoucher(lock, payer, Amount(returned -= 10));
        if (!voucher || !VerifyVoucher(lock, *voucher)) state.SkipWithError("false");
    }
}
BENCHMARK(VoucherRound)->Name("Voucher/sign_and_verify");

void DecodeLeaf(benchmark::State& state) {
    const Bytes payload = EncodeLeaf({{}, kFileBytes}, ChunkIndex(3), 4, Bytes(kLeafBytes, 1));
    for (auto _ : state) benchmark::DoNotOptimize(DecodeContentMessage(payload));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * payload.size()));
}
BENCHMARK(DecodeLeaf)->Name("DecodeContentMessage/leaf");

}  // namespace
}  // namespace sluice::content
