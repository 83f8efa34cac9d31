#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <fstream>

#include "chain/synthetic_headers.h"
#include "chain/write_buffer.h"
#include "storage/temp_folder.h"

namespace sluice::chain {
namespace {

constexpr uint32_t kMainK = 432;
constexpr size_t kLongChain = 1'000'000;
constexpr size_t kReportEvery = 100'000;
constexpr size_t kDatabaseCacheBytes = 16 << 20;
constexpr size_t kWriteBufferBytes = 4 << 20;

// Megabytes of memory that are in use: what the process allocated, and pages of mapped files, which the kernel takes
// back when it needs them.
struct Resident {
    double anonymous_mb{0};
    double file_mb{0};
};
Resident ReadResident() {
    Resident resident;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        const auto mb = [&] { return std::stod(line.substr(line.find(':') + 1)) / 1024; };
        if (line.starts_with("RssAnon:")) resident.anonymous_mb = mb();
        if (line.starts_with("RssFile:")) resident.file_mb = mb();
    }
    return resident;
}

double CpuMs() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// The headers of a node: tree over write buffer over LevelDB.
struct HeaderFolder {
    explicit HeaderFolder(const std::string& path) {
        auto base = storage::OpenLevelDb(path, kDatabaseCacheBytes);
        CHECK(base.has_value());
        store = std::make_unique<WriteBuffer>(std::move(*base), kWriteBufferBytes);
        OpenTree();
    }
    explicit HeaderFolder(std::unique_ptr<storage::KeyValueStore> base) {
        store = std::make_unique<WriteBuffer>(std::move(base), 0);
        OpenTree();
    }
    void OpenTree() {
        auto opened = HeaderTree::Open(params, genesis.header, genesis.state, *store);
        CHECK(opened.has_value());
        tree = std::move(*opened);
    }
    consensus::Params params = SyntheticParams(kMainK);
    SyntheticHeader genesis = SyntheticGenesis();
    std::unique_ptr<WriteBuffer> store;
    std::unique_ptr<HeaderTree> tree;
};

// A sync by its headers alone: they come two epochs ahead of the blocks, and every block that is connected lets old
// headers go.
class SyntheticSync {
  public:
    explicit SyntheticSync(const consensus::HeaderState& genesis) : m_end(genesis) {}

    void AddHeader(HeaderFolder& folder) {
        const SyntheticHeader made = MakeSyntheticHeader(folder.params, m_end, m_end.slot + 10, StakerId{}, m_random);
        CHECK(folder.tree->AddChecked(made.header, made.state).has_value());
        m_end = made.state;
    }
    void ConnectBlock(HeaderFolder& folder) {
        const HeaderNode* tip = AncestorAt(folder.tree->best(), ++m_tip);
        folder.tree->SetBody(tip->hash());
        CHECK(folder.tree->Prune(tip, {}).has_value());
    }
    void Run(HeaderFolder& folder, size_t headers) {
        const uint64_t horizon = 2 * folder.params.ExpectedEpochBlocks();
        for (size_t i = 0; i < headers; ++i) {
            AddHeader(folder);
            if (m_end.height - m_tip > static_cast<int64_t>(horizon)) ConnectBlock(folder);
        }
    }

  private:
    SeededRandom m_random{1};
    consensus::HeaderState m_end;
    Height m_tip;
};

// At each 100,000 headers: megabytes in use, nodes in memory, and what a start costs.
void LongHeaderChain(benchmark::State& state) {
    for (auto _ : state) {
        const TempFolder folder;
        auto headers = std::make_unique<HeaderFolder>(folder / "headers");
        SyntheticSync sync(headers->genesis.state);
        for (size_t made = kReportEvery; made <= kLongChain; made += kReportEvery) {
            sync.Run(*headers, kReportEvery);
            malloc_trim(0);
            const Resident resident = ReadResident();
            CHECK(headers->store->Flush(true).has_value());
            headers.reset();
            const auto start = std::chrono::steady_clock::now();
            const double cpu_start = CpuMs();
            headers = std::make_unique<HeaderFolder>(folder / "headers");
            const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
            fmt::print(
                "{:>9} headers: {:5.1f} MB of memory, {:5.1f} MB of mapped files, {} in memory; start {:.0f} ms, "
                "{:.0f} ms CPU\n",
                made, resident.anonymous_mb, resident.file_mb, headers->tree->node_count(), took.count(),
                CpuMs() - cpu_start);
            std::fflush(stdout);
        }
    }
    state.SetItemsProcessed(static_cast<int64_t>(kLongChain));
}
BENCHMARK(LongHeaderChain)->Name("HeaderTree/1000000_headers")->Iterations(1)->Unit(benchmark::kSecond);

// Keeps the first batch, which makes the tree, and forgets all others: so the heap is the tree's alone.
class ForgetfulStore final : public storage::KeyValueStore {
  public:
    Result<std::optional<Bytes>> Get(ByteSpan key) const override {
        const auto found = m_pairs.find(ToBytes(key));
        return found == m_pairs.end() ? std::optional<Bytes>() : std::optional<Bytes>(found->second);
    }
    Status Write(const storage::WriteBatch& batch, bool) override {
        if (!m_pairs.empty()) return {};
        for (const auto& change : batch.changes()) m_pairs[change.key] = *change.value;
        return {};
    }
    Status Scan(ByteSpan prefix, ByteSpan, const std::function<bool(ByteSpan, ByteSpan)>& visit) const override {
        for (const auto& [key, value] : m_pairs)
            if (key[0] == prefix[0] && !visit(key, value)) break;
        return {};
    }
    Status ScanBackwards(ByteSpan, const std::function<bool(ByteSpan, ByteSpan)>&) const override { return {}; }

  private:
    std::map<Bytes, Bytes> m_pairs;
};

// How much a header takes while it is in memory: the heap before and after two epochs of them.
void BytesPerHeader(benchmark::State& state) {
    for (auto _ : state) {
        HeaderFolder folder(std::make_unique<ForgetfulStore>());
        SyntheticSync sync(folder.genesis.state);
        const size_t count = 2 * folder.params.ExpectedEpochBlocks();
        const size_t before = mallinfo2().uordblks;
        for (size_t i = 0; i < count; ++i) sync.AddHeader(folder);
        state.counters["bytes_per_header"] =
            static_cast<double>(mallinfo2().uordblks - before) / static_cast<double>(count);
        state.counters["node_bytes"] = sizeof(HeaderNode);
    }
}
BENCHMARK(BytesPerHeader)->Name("HeaderTree/bytes_per_header")->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::chain
