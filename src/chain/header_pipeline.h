#pragma once

#include <atomic>
#include <span>

#include "chain/electorates.h"

namespace sluice::chain {

// Runs task(0) to task(count - 1), which are independent of each other and may run on any thread at once. Returns when
// all are done.
using HeaderRunner = std::function<void(size_t count, const std::function<void(size_t)>& task)>;
void RunTasksInOrder(size_t count, const std::function<void(size_t)>& task);

// What headers have cost since the start. Thread-safe.
struct HeaderWork {
    std::atomic<uint64_t> signatures{0};  // verified
    std::atomic<uint64_t> gammas{0};      // looked at: β without proof
    std::atomic<uint64_t> vrf_proofs{0};  // verified
};

// The checks of headers that build on each other (consensus/header_rules.h), from cheap to dear, each for all of them
// before the next: form, snapshot, staker; then signatures; then thresholds; then VRF proofs, the latter three on the
// runner's threads. A header that fails a step ends the batch for all later steps, so a flood of headers without valid
// signatures costs one signature check for each batch in order (with t threads up to t), and nothing of the VRF.
// Stores nothing. Chain worker.
class HeaderPipeline {
  public:
    HeaderPipeline(const consensus::Params& params, const BlockHash& genesis, SnapshotLookup snapshots,
                   HeaderRunner runner)
        : m_params(params),
          m_genesis(genesis),
          m_snapshots(std::move(snapshots)),
          m_runner(std::move(runner)),
          m_electorates(params) {}
    HeaderPipeline(const HeaderPipeline&) = delete;

    struct Checked {
        std::vector<consensus::HeaderState> states;  // of the leading headers that passed everything
        std::optional<HeaderOutcome> stopped;        // why the next one did not; none if all passed
    };
    // `headers` build on each other, the first on `parent`; `hashes` are theirs. An error is kEnvironment.
    Result<Checked> Check(const consensus::HeaderState& parent, std::span<const BlockHeader> headers,
                          std::span<const BlockHash> hashes);

    Electorates& electorates() { return m_electorates; }
    const HeaderWork& work() const { return m_work; }

  private:
    struct Item {
        consensus::HeaderState state;
        consensus::HeaderProofs proofs;
        crypto::VrfOutput beta;
    };
    using Step = std::function<consensus::Verdict<void>(Item&)>;
    // The first step for one header.
    Result<std::optional<HeaderOutcome>> Prepare(const consensus::HeaderState& parent, const BlockHeader& header,
                                                 const BlockHash& hash, std::vector<Item>& items);
    // Runs `step` on all items and keeps those before the first that fails; then `stopped` says why.
    void Narrow(std::vector<Item>& items, std::optional<HeaderOutcome>& stopped, const Step& step);

    const consensus::Params& m_params;
    BlockHash m_genesis;
    SnapshotLookup m_snapshots;
    HeaderRunner m_runner;
    Electorates m_electorates;
    HeaderWork m_work;
};

}  // namespace sluice::chain
