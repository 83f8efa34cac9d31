#include "node/streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::node {

using namespace content;

namespace {

// What a title that does not open tells of its seller, if that is what it means.
Error ExplainOpening(Error error) {
    if (error.kind == ErrorKind::kInvalid)
        error.message = "the key that was bought matches the record, but does not open the content (" + error.message +
                        "): the seller published something else under it, or 'content verify' finds it damaged here";
    return error;
}

bool IsTimedMedia(const std::string& mime, const std::string& name) {
    if (mime.starts_with("video/") || mime.starts_with("audio/")) return true;
    static constexpr std::string_view kEndings[] = {".mp4",  ".m4v", ".m4a", ".mov", ".mkv",
                                                    ".webm", ".avi", ".ogg", ".mp3", ".flac"};
    std::string lower = name;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return std::any_of(std::begin(kEndings), std::end(kEndings), [&](auto ending) { return lower.ends_with(ending); });
}

std::string LastPart(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

Streams::Streams(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, DownloadDesk& desk,
                 ChunkStore& chunks, DefaultPrices prices)
    : m_tasks(tasks), m_claims(claims), m_swarm(swarm), m_desk(desk), m_chunks(chunks), m_prices(prices) {
    m_swarm.AddChunkObserver(*this);
}

Streams::~Streams() { m_swarm.RemoveChunkObserver(*this); }

void Streams::Open(const StreamRequest& request, OnOpened then) {
    m_tasks.PostToNetwork([this, request, then = std::move(then)] {
        if (m_streams.size() >= kMaxStreams)
            return then(Fail(ErrorKind::kUnavailable,
                             fmt::format("{} streams are open already: close a player", m_streams.size())));
        const auto known = m_titles.find(request.claim);
        if (known != m_titles.end() && Now() - known->second->found < kFresh)
            return OpenTitle(known->second, request, then);
        FindTitle(request, then);
    });
}

void Streams::FindTitle(const StreamRequest& request, OnOpened then) {
    m_tasks.PostToChain([this, request, then = std::move(then)] {
        auto title = [&]() -> Result<std::shared_ptr<Title>> {
            ASSIGN_OR_RETURN(const ClaimId claim, m_claims.Resolve(request.claim));
            ASSIGN_OR_RETURN(Claims::Openable openable, m_claims.FindOpenable(claim));
            ASSIGN_OR_RETURN(SealedLayout layout, SealedLayout::FromRecord(openable.info.record));
            return std::make_shared<Title>(Title{std::move(openable), std::move(layout), Now(), {}, {}});
        }();
        m_tasks.PostToNetwork([this, request, then, title = std::move(title)] {
            if (!title) return then(Fail(title.error()));
            const auto old = m_titles.find(request.claim);
            // What was read of the same sealing stays good.
            if (old != m_titles.end() &&
                old->second->openable.info.record.sealing_salt == (*title)->openable.info.record.sealing_salt &&
                old->second->openable.info.record.content == (*title)->openable.info.record.content) {
                (*title)->folder = old->second->folder;
                (*title)->offsets = old->second->offsets;
            }
            if (m_titles.size() >= kMaxTitles && old == m_titles.end()) {
                m_titles.erase(std::min_element(m_titles.begin(), m_titles.end(), [](const auto& a, const auto& b) {
                    return a.second->found < b.second->found;
                }));
            }
            m_titles.insert_or_assign(request.claim, *title);
            OpenTitle(*title, request, then);
        });
    });
}

StreamInfo Streams::InfoOf(const Title& title) const {
    const ClaimInfo& info = title.openable.info;
    StreamInfo result;
    result.claim = info.id;
    result.content = info.record.content;
    result.title = info.record.title;
    return result;
}

void Streams::OpenTitle(std::shared_ptr<Title> title, const StreamRequest& request, const OnOpened& then) {
    if (title->layout.manifest_chunks > 0) return OpenFolder(std::move(title), request, then);
    const PublishRecord& record = title->openable.info.record;
    if (!request.path.empty())
        return then(
            Fail(ErrorKind::kNotFound, "the claim is a single file: ask for it without '" + request.path + "'"));
    const auto id = Add(title, request, 0, title->layout.PlainBytes());
    if (!id) return then(Fail(id.error()));
    StreamInfo info = InfoOf(*title);
    info.id = *id;
    info.name = record.file_name.empty() ? record.title : record.file_name;
    info.mime = record.mime;
    info.size_bytes = title->layout.PlainBytes();
    then(std::move(info));
}

void Streams::OpenFolder(std::shared_ptr<Title> title, const StreamRequest& request, const OnOpened& then) {
    if (title->folder) return OpenInFolder(title, request, then);
    ReadManifest(std::move(title), request, then);
}

void Streams::OpenInFolder(const std::shared_ptr<Title>& title, const StreamRequest& request, const OnOpened& then) {
    StreamInfo info = InfoOf(*title);
    info.path = request.path;
    if (request.path.empty() || request.path.ends_with('/')) {
        info.folder = title->folder;
        return then(std::move(info));
    }
    const ManifestEntry* entry = title->folder->Find(request.path);
    if (entry == nullptr)
        return then(Fail(ErrorKind::kNotFound,
                         "there is no file '" + request.path + "' in this folder: its listing is at its claim's URL"));
    const auto index = static_cast<size_t>(entry - title->folder->entries.data());
    const auto id = Add(title, request, title->offsets[index], entry->size_bytes);
    if (!id) return then(Fail(id.error()));
    info.id = *id;
    info.name = LastPart(request.path);
    info.size_bytes = entry->size_bytes;
    then(std::move(info));
}

void Streams::ReadManifest(std::shared_ptr<Title> title, const StreamRequest& request, OnOpened then) {
    const auto added = Add(title, request, 0, 0);
    if (!added) return then(Fail(added.error()));
    const StreamId id = *added;
    m_streams.at(id).ahead.reset();
    Pending pending;
    pending.first = ChunkIndex(0);
    pending.last = ChunkIndex(title->layout.manifest_chunks - 1);
    pending.fail = [this, id, then](Error error) {
        Drop(id);
        then(Fail(std::move(error)));
    };
    pending.run = [this, id, title, request, then](Opener& opener) {
        auto manifest = content::ReadManifest(opener.reader);
        auto shared = manifest ? std::make_shared<const Manifest>(std::move(*manifest)) : nullptr;
        auto offsets = shared ? shared->Offsets() : std::vector<uint64_t>();
        m_tasks.PostToNetwork([this, id, title, request, then, shared, offsets = std::move(offsets),
                               error = manifest ? Error{} : manifest.error()]() mutable {
            if (shared) {
                title->folder = std::move(shared);
                title->offsets = std::move(offsets);
                OpenInFolder(title, request, then);
            } else {
                then(Fail(ExplainOpening(std::move(error))));
            }
            Drop(id);
        });
    };
    Wait(id, std::move(pending));
}

Result<StreamId> Streams::Add(std::shared_ptr<Title> title, const StreamRequest& request, uint64_t offset,
                              uint64_t size_bytes) {
    const PublishRecord& record = title->openable.info.record;
    Stream stream;
    stream.title = std::move(title);
    stream.request = request;
    stream.offset = offset;
    stream.size_bytes = size_bytes;
    if (size_bytes > 0) {
        const uint32_t before = stream.title->layout.manifest_chunks;
        const ChunkIndex first(static_cast<uint32_t>(before + offset / kSliceBytes));
        const ChunkIndex last(static_cast<uint32_t>(before + (offset + size_bytes - 1) / kSliceBytes));
        stream.ahead.emplace(first, last,
                             IsTimedMedia(record.mime, request.path.empty() ? record.file_name : request.path));
    }
    ChunkCipher cipher(stream.title->openable.keys.Clone(), record.sealing_salt, stream.title->layout);
    if (size_bytes > 0 && !(cipher.HasKeyOf(stream.ahead->first()) && cipher.HasKeyOf(stream.ahead->last())))
        return Fail(
            ErrorKind::kNoKey,
            fmt::format("this wallet does not have the key of the segment with '{}': buy it first, or the whole "
                        "title",
                        request.path));
    RETURN_IF_ERROR(Fetch(stream));
    const auto stored = m_chunks.Find(record.content);
    if (!stored) return Fail(ErrorKind::kUnavailable, "the content was removed from the store meanwhile: try again");
    stream.opener = std::make_shared<Opener>(stored, std::move(cipher));
    stream.reader = m_swarm.NewReader();
    const StreamId id = ++m_last_stream;
    m_streams.emplace(id, std::move(stream));
    return id;
}

Status Streams::Fetch(Stream& stream) {
    if (stream.wish) return {};
    const ContentId& content = ContentOf(stream);
    const auto stored = m_chunks.Find(content);
    if (stored && stored->IsComplete()) return {};
    if (const auto idle = m_lingering.find(content);
        idle != m_lingering.end() && idle->second.limits == stream.request.limits) {
        stream.wish = idle->second.wish;
        m_lingering.erase(idle);
        return {};
    }
    DownloadDesk::Wish wish;
    wish.content = content;
    wish.limits = LimitsFor(content, stream.request.limits, m_prices);
    wish.ask_per_mib = stream.title->openable.info.record.seed_price_per_mib;
    wish.mode = DownloadMode::kOnDemand;
    ASSIGN_OR_RETURN(stream.wish, m_desk.Join(wish, *this));
    return {};
}

void Streams::Read(StreamId stream, uint64_t offset, size_t length, uint64_t until, OnRead then) {
    m_tasks.PostToNetwork([this, stream, offset, length, until, then = std::move(then)] {
        StartRead(stream, offset, length, until, then);
    });
}

void Streams::StartRead(StreamId id, uint64_t offset, size_t length, uint64_t until, OnRead then) {
    const auto found = m_streams.find(id);
    if (found == m_streams.end()) return then(Fail(ErrorKind::kUnavailable, "the stream is closed"));
    Stream& stream = found->second;
    if (stream.pending || stream.working) return then(Fail("the stream has a read in work already"));
    if (length == 0 || offset >= until || until > stream.size_bytes)
        return then(Fail(
            fmt::format("there are no bytes from {} to {} in a file of {} bytes", offset, until, stream.size_bytes)));
    const uint64_t begin = stream.offset + offset;
    const uint64_t slice_left = kSliceBytes - begin % kSliceBytes;
    const size_t take = static_cast<size_t>(std::min({uint64_t{length}, slice_left, until - offset}));
    const uint32_t before = stream.title->layout.manifest_chunks;
    const ChunkIndex at(static_cast<uint32_t>(before + begin / kSliceBytes));
    stream.ahead->OnRead(at, ChunkIndex(static_cast<uint32_t>(before + (stream.offset + until - 1) / kSliceBytes)));
    Pending pending;
    pending.first = pending.last = at;
    pending.fail = [then](Error error) { then(Fail(std::move(error))); };
    pending.run = [this, id, begin, take, then](Opener& opener) {
        Bytes bytes(take);
        const Status read = opener.reader.Read(begin, bytes);
        // Before the answer: the next read may come with it.
        m_tasks.PostToNetwork([this, id] {
            if (const auto stream = m_streams.find(id); stream != m_streams.end()) stream->second.working = false;
        });
        if (read) return then(std::move(bytes));
        then(Fail(ExplainOpening(read.error())));
    };
    Wait(id, std::move(pending));
}

void Streams::Wait(StreamId id, Pending pending) {
    Stream& stream = m_streams.at(id);
    pending.number = ++m_last_number;
    const uint64_t number = pending.number;
    stream.pending = std::move(pending);
    const bool runs = TryRun(id, stream);
    if (!runs) {
        const Status fetching = Fetch(stream);
        if (!fetching) return FailPending(stream, fetching.error());
    }
    Replan(stream);
    if (runs) return;
    m_tasks.environment().network_strand.PostAfter(stream.request.timeout, [this, alive = m_tasks.alive(), id, number] {
        if (*alive) OnTimeout(id, number);
    });
}

bool Streams::TryRun(StreamId id, Stream& stream) {
    (void)id;
    if (!stream.pending) return false;
    for (ChunkIndex chunk = stream.pending->first; chunk <= stream.pending->last; ++chunk)
        if (!stream.opener->stored->HasChunk(chunk)) return false;
    stream.working = true;
    m_tasks.environment().workers.Post(
        [alive = m_tasks.alive(), opener = stream.opener, run = std::move(stream.pending->run)] {
            if (*alive) run(*opener);
        });
    stream.pending.reset();
    return true;
}

void Streams::Replan(Stream& stream, bool force) {
    std::vector<ChunkIndex> plan;
    const auto has = [&](ChunkIndex chunk) { return stream.opener->stored->HasChunk(chunk); };
    if (stream.ahead) {
        plan = stream.ahead->Plan(has);
    } else if (stream.pending) {
        for (ChunkIndex chunk = stream.pending->first; chunk <= stream.pending->last; ++chunk)
            if (!has(chunk)) plan.push_back(chunk);
    }
    if (plan == stream.plan && !force) return;
    stream.plan = plan;
    if (!plan.empty() && !Fetch(stream)) plan.clear();
    m_swarm.SetDeadlines(ContentOf(stream), stream.reader, std::move(plan));
}

void Streams::OnChunkStored(const ContentId& content, ChunkIndex) {
    std::vector<StreamId> ids;
    for (const auto& [id, stream] : m_streams)
        if (ContentOf(stream) == content && stream.pending) ids.push_back(id);
    for (const StreamId id : ids)
        if (const auto found = m_streams.find(id); found != m_streams.end()) TryRun(id, found->second);
}

void Streams::OnEnded(const ContentId& content, const Result<Amount>& paid) {
    m_lingering.erase(content);
    std::vector<StreamId> ids;
    for (auto& [id, stream] : m_streams) {
        if (ContentOf(stream) != content) continue;
        stream.wish.reset();
        // What it waited for is no wish of the next download.
        if (!std::exchange(stream.plan, {}).empty()) m_swarm.DropReader(content, stream.reader);
        ids.push_back(id);
    }
    for (const StreamId id : ids) {
        const auto found = m_streams.find(id);
        if (found == m_streams.end() || !found->second.pending || TryRun(id, found->second)) continue;
        FailPending(
            found->second,
            paid ? Error{ErrorKind::kUnavailable, "the download ended without this part: try again"} : paid.error());
    }
}

void Streams::FailPending(Stream& stream, Error error) {
    auto fail = std::move(stream.pending->fail);
    stream.pending.reset();
    fail(std::move(error));  // may drop the stream
}

void Streams::OnTimeout(StreamId id, uint64_t number) {
    const auto found = m_streams.find(id);
    if (found == m_streams.end() || !found->second.pending || found->second.pending->number != number) return;
    const auto progress = m_swarm.ProgressOf(ContentOf(found->second));
    const std::string why = progress && !progress->waiting_for.empty() ? progress->waiting_for : "peers that deliver";
    FailPending(found->second,
                Error{ErrorKind::kTimeout,
                      fmt::format("nothing came for {} s: the download waits for {}",
                                  std::chrono::duration_cast<seconds>(found->second.request.timeout).count(), why)});
}

void Streams::Close(StreamId stream) {
    m_tasks.PostToNetwork([this, stream] {
        const auto found = m_streams.find(stream);
        if (found == m_streams.end()) return;
        if (found->second.pending) FailPending(found->second, Error{ErrorKind::kUnavailable, "the stream is closed"});
        Drop(stream);
    });
}

void Streams::Drop(StreamId id) {
    auto dropped = m_streams.extract(id);
    if (dropped.empty()) return;
    const Stream& stream = dropped.mapped();
    if (!stream.plan.empty()) m_swarm.DropReader(ContentOf(stream), stream.reader);
    if (stream.wish) Linger(ContentOf(stream), *stream.wish, stream.request.limits);
}

void Streams::Linger(const ContentId& content, DownloadDesk::WishId wish, const FetchLimits& limits) {
    const uint64_t number = ++m_last_number;
    if (!m_lingering.try_emplace(content, Lingering{wish, limits, number}).second) return m_desk.Leave(wish);
    m_tasks.environment().network_strand.PostAfter(kLinger, [this, alive = m_tasks.alive(), content, number] {
        if (!*alive) return;
        const auto found = m_lingering.find(content);
        if (found == m_lingering.end() || found->second.number != number) return;
        const DownloadDesk::WishId idle = found->second.wish;
        m_lingering.erase(found);
        m_desk.Leave(idle);
    });
}

}  // namespace sluice::node
