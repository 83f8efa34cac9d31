#include "node/download_desk.h"

#include <algorithm>

namespace sluice::node {

using namespace content;

DownloadDesk::Wish DownloadDesk::Together(const ContentId& content) const {
    const Wishes& wishes = m_wishes.at(content);
    Wish sum = wishes.begin()->second.wish;
    sum.mode = DownloadMode::kOnDemand;
    for (const auto& [id, entry] : wishes) {
        const DownloadLimits& limits = entry.wish.limits;
        sum.limits.max_price_per_mib = std::max(sum.limits.max_price_per_mib, limits.max_price_per_mib);
        sum.limits.budget = std::max(sum.limits.budget, limits.budget);
        sum.limits.target_bytes_per_s = std::max(sum.limits.target_bytes_per_s, limits.target_bytes_per_s);
        if (entry.wish.mode == DownloadMode::kWhole) sum.mode = DownloadMode::kWhole;
    }
    return sum;
}

Result<DownloadDesk::WishId> DownloadDesk::Join(const Wish& wish, DownloadClient& client) {
    const WishId id = ++m_last;
    Wishes& wishes = m_wishes[wish.content];
    const bool first = wishes.empty();
    wishes.emplace(id, Entry{wish, &client});
    m_contents.emplace(id, wish.content);
    const Wish sum = Together(wish.content);
    if (!first) {
        m_swarm.SetLimits(wish.content, sum.limits);
        m_swarm.SetMode(wish.content, sum.mode);
        return id;
    }
    const Status started = m_swarm.StartDownload(sum.content, sum.limits, sum.ask_per_mib, sum.mode, sum.keeps_price);
    if (started) return id;
    m_wishes.erase(wish.content);
    m_contents.erase(id);
    return Fail(started.error());
}

void DownloadDesk::Leave(WishId id) {
    const auto found = m_contents.extract(id);
    if (found.empty()) return;
    const ContentId content = found.mapped();
    const auto wishes = m_wishes.find(content);
    wishes->second.erase(id);
    if (wishes->second.empty()) {
        m_wishes.erase(wishes);
        return m_swarm.StopDownload(content);
    }
    const Wish sum = Together(content);
    m_swarm.SetLimits(content, sum.limits);
    m_swarm.SetMode(content, sum.mode);
}

std::vector<DownloadClient*> DownloadDesk::ClientsOf(const ContentId& content) const {
    std::vector<DownloadClient*> clients;
    const auto found = m_wishes.find(content);
    if (found == m_wishes.end()) return clients;
    for (const auto& [id, entry] : found->second)
        if (std::find(clients.begin(), clients.end(), entry.client) == clients.end()) clients.push_back(entry.client);
    return clients;
}

void DownloadDesk::OnDownloadProgress(const DownloadProgress& progress) {
    for (DownloadClient* client : ClientsOf(progress.content)) client->OnProgress(progress);
}

void DownloadDesk::OnDownloadFinished(const DownloadFinished& finished) { End(finished.content, finished.paid); }

void DownloadDesk::OnDownloadFailed(const DownloadFailed& failed) { End(failed.content, Fail(failed.error)); }

void DownloadDesk::End(const ContentId& content, const Result<Amount>& paid) {
    const auto clients = ClientsOf(content);
    if (const auto wishes = m_wishes.extract(content))
        for (const auto& [id, entry] : wishes.mapped()) m_contents.erase(id);
    for (DownloadClient* client : clients) client->OnEnded(content, paid);
}

}  // namespace sluice::node
