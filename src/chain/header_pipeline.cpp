#include "chain/header_pipeline.h"

namespace sluice::chain {
namespace {

using consensus::HeaderState;
using consensus::Invalid;
using consensus::Verdict;
using What = HeaderOutcome::What;

}  // namespace

void RunTasksInOrder(size_t count, const std::function<void(size_t)>& task) {
    for (size_t i = 0; i < count; ++i) task(i);
}

Result<std::optional<HeaderOutcome>> HeaderPipeline::Prepare(const HeaderState& parent, const BlockHeader& header,
                                                             const BlockHash& hash, std::vector<Item>& items) {
    using Stopped = std::optional<HeaderOutcome>;
    if (const auto form = consensus::CheckHeaderForm(m_params, parent, header); !form)
        return Stopped(HeaderOutcome{What::kInvalid, nullptr, form.error()});
    HeaderState state = consensus::ChildPlace(m_params, parent, header, hash);
    ASSIGN_OR_RETURN(const SnapshotRef snapshot, m_snapshots(state.elects));
    if (snapshot == nullptr)
        return Stopped(HeaderOutcome{
            What::kBeyondHorizon,
            nullptr,
            {Invalid::What::kPremature, "beyond-horizon",
             "the stake that elects slot " + ToString(header.slot) + " is not known until more blocks are connected"}});
    auto proofs = consensus::MeetStaker(m_genesis, parent, header, m_electorates.Of(snapshot, state.epoch));
    if (!proofs) return Stopped(HeaderOutcome{What::kInvalid, nullptr, proofs.error()});
    items.push_back({std::move(state), std::move(*proofs), {}});
    return Stopped();
}

void HeaderPipeline::Narrow(std::vector<Item>& items, std::optional<HeaderOutcome>& stopped, const Step& step) {
    std::atomic<size_t> first_failed{items.size()};
    std::vector<std::optional<Invalid>> failures(items.size());
    m_runner(items.size(), [&](size_t i) {
        // What comes after a known failure is thrown away anyhow.
        if (i > first_failed.load()) return;
        const Verdict<void> verdict = step(items[i]);
        if (verdict) return;
        failures[i] = verdict.error();
        for (size_t first = first_failed.load(); i < first && !first_failed.compare_exchange_weak(first, i);) {
        }
    });
    const size_t passed = first_failed.load();
    if (passed == items.size()) return;
    stopped = HeaderOutcome{What::kInvalid, nullptr, std::move(*failures[passed])};
    items.resize(passed);
}

Result<HeaderPipeline::Checked> HeaderPipeline::Check(const HeaderState& parent, std::span<const BlockHeader> headers,
                                                      std::span<const BlockHash> hashes) {
    CHECK(headers.size() == hashes.size());
    Checked result;
    std::vector<Item> items;
    items.reserve(headers.size());
    for (size_t i = 0; i < headers.size() && !result.stopped; ++i) {
        // A copy: the vector may move.
        const HeaderState before = i == 0 ? parent : items.back().state;
        ASSIGN_OR_RETURN(result.stopped, Prepare(before, headers[i], hashes[i], items));
    }
    Narrow(items, result.stopped, [this](Item& item) {
        ++m_work.signatures;
        return item.proofs.CheckSignature();
    });
    Narrow(items, result.stopped, [this](Item& item) -> Verdict<void> {
        ++m_work.gammas;
        ASSIGN_OR_RETURN(item.beta, item.proofs.CheckThreshold());
        return {};
    });
    for (size_t i = 0; i < items.size(); ++i)
        consensus::CompleteState(m_params, i == 0 ? parent : items[i - 1].state, items[i].beta, items[i].state);
    Narrow(items, result.stopped, [this](Item& item) {
        ++m_work.vrf_proofs;
        return item.proofs.CheckVrf(item.state.nonce);
    });
    for (Item& item : items) result.states.push_back(std::move(item.state));
    return result;
}

}  // namespace sluice::chain
