#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "content/manifest.h"
#include "node/claims.h"
#include "node/download_desk.h"
#include "node/fetch_limits.h"
#include "node/job_tasks.h"
#include "node/read_ahead.h"

namespace sluice::node {

using StreamId = uint64_t;

struct StreamRequest {
    std::string claim;  // its id or at least its first 6 digits
    std::string path;   // of a file in a folder; empty or with '/' at its end: a listing (of a single file: the file)
    FetchLimits limits;
    milliseconds timeout{60'000};  // that one read may wait for its chunk
};

// What is open.
struct StreamInfo {
    StreamId id{0};  // 0: a listing, which has nothing to be read or closed
    ClaimId claim;
    ContentId content;
    std::string title;
    std::string path;  // in the folder
    std::string name;  // of the file, for people
    std::string mime;  // as published for a single file; may be empty or anything
    uint64_t size_bytes{0};
    std::shared_ptr<const content::Manifest> folder;  // of a listing
};

// Reads titles at any offset while they come: what is not here is fetched, paid and opened when it is asked for.
//
// Open gives a stream or an error that says what to do; Read completes with 1 to `length` bytes from `offset`, in
// whatever order streams are read; Close cancels a read that waits. One read of a stream at a time. Answers come once,
// on some thread of the node, or never if the node ends. Thread-safe.
class ContentStreams {
  public:
    using OnOpened = std::function<void(Result<StreamInfo>)>;
    using OnRead = std::function<void(Result<Bytes>)>;

    virtual ~ContentStreams() = default;
    virtual void Open(const StreamRequest& request, OnOpened then) = 0;
    // `until`: where the reader means to end; nothing behind it is fetched ahead. offset < until <= size.
    virtual void Read(StreamId stream, uint64_t offset, size_t length, uint64_t until, OnRead then) = 0;
    virtual void Close(StreamId stream) = 0;
};

// The streams of a node, on the swarm. Bounded: kMaxStreams at once, each of which holds one chunk.
//
// Belongs to the network strand; keys come from the chain strand, chunks are read and opened on the workers. After the
// last stream of a title has closed, its download idles for kLinger, with its peers and channels at hand: a player
// closes and opens again with every seek.
class Streams final : public ContentStreams, DownloadClient, ChunkObserver {
  public:
    static constexpr size_t kMaxStreams = 128;
    static constexpr milliseconds kLinger{30'000};
    // Keys and record of a title are looked up anew after this time.
    static constexpr seconds kFresh{10};
    static constexpr size_t kMaxTitles = 32;

    Streams(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, DownloadDesk& desk,
            content::ChunkStore& chunks, DefaultPrices prices);
    ~Streams() override;

    void Open(const StreamRequest& request, OnOpened then) override;
    void Read(StreamId stream, uint64_t offset, size_t length, uint64_t until, OnRead then) override;
    void Close(StreamId stream) override;

    // For tests and `getstreams`; network strand.
    size_t open_count() const { return m_streams.size(); }

  private:
    // A title that this wallet can open. Its keys are only cloned.
    struct Title {
        Claims::Openable openable;
        content::SealedLayout layout;
        Instant found;
        // Once the manifest was read:
        std::shared_ptr<const content::Manifest> folder;
        std::vector<uint64_t> offsets;
    };
    // Reads and opens chunks; used by one worker at a time.
    struct Opener {
        Opener(std::shared_ptr<content::StoredContent> content, content::ChunkCipher cipher)
            : stored(std::move(content)), reader(*stored, std::move(cipher)) {}
        std::shared_ptr<content::StoredContent> stored;
        content::PlainReader reader;
    };
    struct Pending {
        content::ChunkIndex first, last;  // needed
        uint64_t number{0};
        std::function<void(Opener&)> run;  // on a worker, once they are here
        std::function<void(Error)> fail;
    };
    struct Stream {
        std::shared_ptr<Title> title;
        StreamRequest request;
        uint64_t offset{0};  // in the plaintext
        uint64_t size_bytes{0};
        std::shared_ptr<Opener> opener;
        std::optional<ReadAhead> ahead;  // none: it reads the manifest
        std::optional<DownloadDesk::WishId> wish;
        ReaderId reader{0};
        std::vector<content::ChunkIndex> plan;
        std::optional<Pending> pending;
        bool working{false};  // a worker has the opener
    };
    struct Lingering {
        DownloadDesk::WishId wish;
        FetchLimits limits;
        uint64_t number;
    };

    void OnProgress(const content::DownloadProgress&) override {}
    void OnEnded(const ContentId& content, const Result<Amount>& paid) override;
    void OnChunkStored(const ContentId& content, content::ChunkIndex chunk) override;

    void FindTitle(const StreamRequest& request, OnOpened then);
    void OpenTitle(std::shared_ptr<Title> title, const StreamRequest& request, const OnOpened& then);
    void OpenFolder(std::shared_ptr<Title> title, const StreamRequest& request, const OnOpened& then);
    void OpenInFolder(const std::shared_ptr<Title>& title, const StreamRequest& request, const OnOpened& then);
    void ReadManifest(std::shared_ptr<Title> title, const StreamRequest& request, OnOpened then);
    // A stream of `size_bytes` at `offset` of the plaintext.
    Result<StreamId> Add(std::shared_ptr<Title> title, const StreamRequest& request, uint64_t offset,
                         uint64_t size_bytes);
    StreamInfo InfoOf(const Title& title) const;
    // Makes the download run unless everything is here.
    Status Fetch(Stream& stream);
    void StartRead(StreamId id, uint64_t offset, size_t length, uint64_t until, OnRead then);
    void Wait(StreamId id, Pending pending);
    // Hands the pending read to a worker if its chunks are here.
    bool TryRun(StreamId id, Stream& stream);
    void Replan(Stream& stream, bool force = false);
    void FailPending(Stream& stream, Error error);
    void OnTimeout(StreamId id, uint64_t number);
    void Drop(StreamId id);
    void Linger(const ContentId& content, DownloadDesk::WishId wish, const FetchLimits& limits);
    static const ContentId& ContentOf(const Stream& stream) { return stream.title->openable.info.record.content; }
    Instant Now() const { return m_tasks.environment().clock.Monotonic(); }

    const JobTasks& m_tasks;
    const Claims& m_claims;
    SwarmService& m_swarm;
    DownloadDesk& m_desk;
    content::ChunkStore& m_chunks;
    const DefaultPrices m_prices;
    std::map<StreamId, Stream> m_streams;
    std::map<std::string, std::shared_ptr<Title>> m_titles;  // by how the claim was named
    std::map<ContentId, Lingering> m_lingering;
    StreamId m_last_stream{0};
    uint64_t m_last_number{0};
};

}  // namespace sluice::node
