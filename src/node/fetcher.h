#pragma once

#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "node/download_desk.h"
#include "node/event_hub.h"
#include "node/job_tasks.h"

namespace sluice::node {

// Of a job that a user ended.
inline constexpr std::string_view kStoppedByUser =
    "stopped by 'stopjob': what was fetched stays, and the same command goes on with it";

// What a job wants of a content.
struct FetchWish {
    ContentId content;
    content::DownloadLimits limits;
    Amount ask_per_mib;                       // for what of it is served to others
    bool keeps_price{true};                   // if it is served already, at its price
    std::vector<content::ChunkIndex> chunks;  // rising; empty: all. Nothing else is fetched then
};

// Fetches for jobs: tells a job's progress, and calls back once what it wants is here. Belongs to the network strand.
class Fetcher final : DownloadClient, ChunkObserver {
  public:
    // Called with what was paid, or with why it is not here.
    using WhenFetched = std::function<void(Result<Amount>)>;
    // Of a part, so many chunks are asked for at a time.
    static constexpr size_t kAtOnce = 512;

    Fetcher(const JobTasks& tasks, SwarmService& swarm, DownloadDesk& desk, content::ChunkStore& chunks,
            EventHub& events)
        : m_tasks(tasks), m_swarm(swarm), m_desk(desk), m_chunks(chunks), m_events(events) {
        m_swarm.AddChunkObserver(*this);
    }
    ~Fetcher() override { m_swarm.RemoveChunkObserver(*this); }

    // From any thread.
    void Fetch(JobId job, FetchWish wish, WhenFetched then);
    // What was fetched stays. False if the job fetches nothing.
    bool Stop(JobId job);

  private:
    struct Entry {
        JobId job{0};
        DownloadDesk::WishId wish{0};
        ReaderId reader{0};                       // of a part
        std::vector<content::ChunkIndex> chunks;  // of a part
        size_t planned{0};                        // how many of them were asked for, or are here
        std::set<content::ChunkIndex> waiting;    // of those
        WhenFetched then;
    };
    using Entries = std::vector<Entry>;

    void OnProgress(const content::DownloadProgress& progress) override;
    void OnEnded(const ContentId& content, const Result<Amount>& paid) override;
    void OnChunkStored(const ContentId& content, content::ChunkIndex chunk) override;

    bool IsHere(const FetchWish& wish) const;
    // Asks for what comes next of a part.
    void Plan(const ContentId& content, Entry& entry);
    // Takes the entry out and ends its part in the download.
    Entry Leave(const ContentId& content, JobId job);

    const JobTasks& m_tasks;
    SwarmService& m_swarm;
    DownloadDesk& m_desk;
    content::ChunkStore& m_chunks;
    EventHub& m_events;
    std::map<ContentId, Entries> m_fetches;
};

}  // namespace sluice::node
