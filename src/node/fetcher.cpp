#include "node/fetcher.h"

#include <algorithm>

namespace sluice::node {

using namespace content;

bool Fetcher::IsHere(const FetchWish& wish) const {
    const auto stored = m_chunks.Find(wish.content);
    if (!stored) return false;
    const ChunkSet have = stored->Have();
    if (wish.chunks.empty()) return have.IsFull();
    return std::all_of(wish.chunks.begin(), wish.chunks.end(), [&](ChunkIndex chunk) { return have.Has(chunk); });
}

void Fetcher::Fetch(JobId job, FetchWish wish, WhenFetched then) {
    m_tasks.PostToNetwork([this, job, wish = std::move(wish), then = std::move(then)] {
        if (IsHere(wish)) return then(Amount(0));
        m_tasks.jobs().SetProgress(job, JobTasks::Phase("downloading"));
        const bool part = !wish.chunks.empty();
        const auto id = m_desk.Join({wish.content, wish.limits, wish.ask_per_mib,
                                     part ? DownloadMode::kOnDemand : DownloadMode::kWhole, wish.keeps_price},
                                    *this);
        if (!id) return then(Fail(id.error()));
        Entries& entries = m_fetches[wish.content];
        entries.push_back({job, *id, part ? m_swarm.NewReader() : 0, wish.chunks, 0, {}, then});
        if (part) Plan(wish.content, entries.back());
    });
}

void Fetcher::Plan(const ContentId& content, Entry& entry) {
    const auto stored = m_chunks.Find(content);
    const ChunkSet have = stored ? stored->Have() : ChunkSet();
    std::erase_if(entry.waiting, [&](ChunkIndex chunk) { return have.Has(chunk); });
    while (entry.planned < entry.chunks.size() && entry.waiting.size() < kAtOnce) {
        const ChunkIndex chunk = entry.chunks[entry.planned++];
        if (!have.Has(chunk)) entry.waiting.insert(chunk);
    }
    m_swarm.SetDeadlines(content, entry.reader, {entry.waiting.begin(), entry.waiting.end()});
}

void Fetcher::OnChunkStored(const ContentId& content, ChunkIndex chunk) {
    const auto found = m_fetches.find(content);
    if (found == m_fetches.end()) return;
    std::vector<JobId> whole;
    for (Entry& entry : found->second) {
        if (entry.waiting.erase(chunk) == 0) continue;
        const bool more = entry.planned < entry.chunks.size();
        if (more && entry.waiting.size() <= kAtOnce / 2) Plan(content, entry);
        if (entry.waiting.empty()) whole.push_back(entry.job);
    }
    for (const JobId job : whole) {
        const auto progress = m_swarm.ProgressOf(content);
        const Entry ended = Leave(content, job);
        ended.then(progress ? progress->paid : Amount(0));
    }
}

void Fetcher::OnProgress(const DownloadProgress& progress) {
    const auto found = m_fetches.find(progress.content);
    if (found == m_fetches.end()) return;
    JobProgress shown = JobTasks::Phase("downloading");
    shown.bytes_per_s = progress.bytes_per_s;
    shown.peers = progress.peers;
    shown.paid = progress.paid;
    shown.fees = progress.fees;
    shown.estimated_cost = progress.cost_at_most;
    for (const Entry& entry : found->second) {
        if (entry.chunks.empty()) {
            shown.done_bytes = progress.stored_bytes;
            shown.total_bytes = progress.total_bytes;
        } else {
            shown.done_bytes = (entry.planned - entry.waiting.size()) * uint64_t{kChunkBytes};
            shown.total_bytes = entry.chunks.size() * uint64_t{kChunkBytes};
        }
        shown.waiting_for = shown.done_bytes < shown.total_bytes ? progress.waiting_for : "";
        m_tasks.jobs().SetProgress(entry.job, shown);
    }
}

void Fetcher::OnEnded(const ContentId& content, const Result<Amount>& paid) {
    m_events.Publish("download", content.root.Hex(), paid ? "finished" : "failed");
    const auto found = m_fetches.extract(content);
    if (found.empty()) return;
    for (const Entry& entry : found.mapped())
        if (entry.reader != 0) m_swarm.DropReader(content, entry.reader);
    for (const Entry& entry : found.mapped()) entry.then(paid);
}

Fetcher::Entry Fetcher::Leave(const ContentId& content, JobId job) {
    const auto found = m_fetches.find(content);
    const auto at =
        std::find_if(found->second.begin(), found->second.end(), [&](const Entry& entry) { return entry.job == job; });
    Entry entry = std::move(*at);
    found->second.erase(at);
    if (found->second.empty()) m_fetches.erase(found);
    if (entry.reader != 0) m_swarm.DropReader(content, entry.reader);
    m_desk.Leave(entry.wish);
    return entry;
}

bool Fetcher::Stop(JobId job) {
    for (const auto& [content, entries] : m_fetches) {
        if (std::none_of(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.job == job; }))
            continue;
        const Entry stopped = Leave(ContentId(content), job);
        stopped.then(Fail(ErrorKind::kUnavailable, std::string(kStoppedByUser)));
        return true;
    }
    return false;
}

}  // namespace sluice::node
