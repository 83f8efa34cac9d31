#include <benchmark/benchmark.h>

#include <unistd.h>

#include <thread>

#include "consensus/ledger_fixture.h"
#include "content/chunk_store.h"
#include "content/messages.h"
#include "content/sealing.h"
#include "content/voucher.h"
#include "p2p/asio_executor.h"
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

// What publish and get do: a file on a disk in memory, sealed into a store on all cores, and opened to a file again.
class OnDisk {
  public:
    static constexpr uint64_t kBytes = uint64_t{1} << 30;
    OnDisk() : m_files(storage::MakePosixFileSystem()), m_pool(std::max(1u, std::thread::hardware_concurrency()), "b") {
        CHECK(m_files->CreateDirectories(m_folder).has_value());
        Bytes piece(1 << 20);
        SeededRandom(1).Fill(piece);
        const auto file = *m_files->Open(Path("plain"), storage::OpenMode::kCreateOrOpen);
        for (uint64_t at = 0; at < kBytes; at += piece.size()) CHECK(file->WriteAt(at, piece).has_value());
        m_store = std::move(*ChunkStore::Open(*m_files, Path("store"), 4 * kBytes));
    }
    ~OnDisk() {
        for (const ContentId& content : m_store->List()) (void)m_store->Remove(content);
        m_store.reset();
        for (const char* name : {"plain", "opened", "store", ""})
            if (m_files->Exists(Path(name))) (void)m_files->Remove(Path(name));
    }
    Sealed Seal() {
        const auto source = *OpenPlainFile(*m_files, Path("plain"));
        const auto staged = *m_store->Stage();
        const auto sealed = content::Seal({source.get(), 0, {}}, Keys(), kSalt, *staged, {}, &m_pool);
        CHECK(sealed && staged->Commit(sealed->content));
        return *sealed;
    }
    void Open(const Sealed& sealed) {
        const auto stored = m_store->Find(sealed.content);
        CHECK(OpenToFile(*stored, ChunkCipher(Keys(), kSalt, sealed.layout), *m_files, Path("opened"), {}, &m_pool)
                  .has_value());
        CHECK(m_files->Remove(Path("opened")).has_value());
    }
    void Remove(const Sealed& sealed) { CHECK(m_store->Remove(sealed.content).has_value()); }

  private:
    static ContentKeys Keys() { return ContentKeys::FromTitleKey(TestKey(5)); }
    std::string Path(const std::string& name) const { return m_folder + (name.empty() ? "" : "/" + name); }
    const std::string m_folder = "/dev/shm/sluice-bench-" + std::to_string(getpid());
    std::unique_ptr<storage::FileSystem> m_files;
    p2p::ThreadPool m_pool;
    std::unique_ptr<ChunkStore> m_store;
};

void SealToStore(benchmark::State& state) {
    OnDisk disk;
    for (auto _ : state) {
        const Sealed sealed = disk.Seal();
        state.PauseTiming();
        disk.Remove(sealed);
        state.ResumeTiming();
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * OnDisk::kBytes));
}
BENCHMARK(SealToStore)->Name("SealToStore/1GiB")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();

void OpenFromStore(benchmark::State& state) {
    OnDisk disk;
    const Sealed sealed = disk.Seal();
    for (auto _ : state) disk.Open(sealed);
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * OnDisk::kBytes));
}
BENCHMARK(OpenFromStore)
    ->Name("OpenFromStore/1GiB")
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

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
    const auto lock_template = lock.Template();
    uint64_t returned = lock.capacity.drops;
    for (auto _ : state) {
        const auto voucher = SignVoucher(lock, *lock_template, payer, Amount(returned -= 10));
        if (!voucher || !VerifyVoucher(lock, *lock_template, *voucher)) state.SkipWithError("false");
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
