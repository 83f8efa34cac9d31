#include "node/fetch_jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "content/manifest.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

// What the keys open: the chunks of it, none if that is all, and its bytes.
struct Needed {
    std::vector<ChunkIndex> chunks;
    uint64_t bytes{0};
};

Result<Needed> NeededOf(const Claims::Openable& openable) {
    const PublishRecord& record = openable.info.record;
    ASSIGN_OR_RETURN(const SealedLayout layout, SealedLayout::FromRecord(record));
    const ChunkCipher cipher(openable.keys.Clone(), record.sealing_salt, layout);
    Needed needed;
    std::vector<ChunkIndex> starts{ChunkIndex(0)};  // the manifest's, if there is one, and the segments'
    for (const ChunkIndex start : layout.segment_starts)
        if (start != starts.back()) starts.push_back(start);
    size_t missing = 0;
    for (size_t i = 0; i < starts.size(); ++i) {
        const uint32_t end = i + 1 < starts.size() ? starts[i + 1].value : layout.chunks();
        if (!cipher.HasKeyOf(starts[i])) {
            ++missing;
            continue;
        }
        for (ChunkIndex chunk = starts[i]; chunk.value < end; ++chunk) {
            needed.chunks.push_back(chunk);
            needed.bytes += ChunkBytes(layout.sealed_bytes, chunk);
        }
    }
    if (missing == 0) return Needed{{}, layout.sealed_bytes};
    if (record.manifest_chunks == 0)
        return Fail(ErrorKind::kNoKey,
                    fmt::format("this wallet lacks the keys of {} of the {} segments of this file: buy them, or the "
                                "whole title, first",
                                missing, layout.segment_starts.size()));
    return needed;
}

// Of a file that is got by itself; a get as a whole waits without end.
constexpr milliseconds kFileTimeout{600'000};

}  // namespace

Status FetchJobs::StopJob(JobId id) {
    const auto job = m_tasks.jobs().Find(id);
    if (!job) return Fail(ErrorKind::kNotFound, fmt::format("there is no job {}: see 'listjobs'", id));
    if (job->state != JobState::kRunning) return Fail(fmt::format("job {} has ended already", id));
    if (job->kind == "publish")
        return Fail(fmt::format("job {} publishes, and cannot be stopped: it ends by itself", id));
    m_tasks.PostToNetwork([this, id] {
        if (const auto file = m_files.find(id); file != m_files.end()) return m_streams.Close(file->second);
        m_fetcher.Stop(id);
    });
    return {};
}

// The job that writes to `path` already; 0: none does.
Result<JobId> FetchJobs::FindOpening(const std::string& path, const ClaimId& claim, const std::string& file) {
    std::erase_if(m_openings, [this](const auto& entry) {
        const auto job = m_tasks.jobs().Find(entry.second.job);
        return !job || job->state != JobState::kRunning;
    });
    const auto running = m_openings.find(path);
    if (running == m_openings.end()) return JobId(0);
    // Rationale: two that write to one path would give it its name before it is whole.
    if (running->second.claim == claim && running->second.file == file) return running->second.job;
    return Fail(ErrorKind::kUnavailable,
                fmt::format("job {} already writes to {}: choose another path", running->second.job, path));
}

Result<JobId> FetchJobs::StartGet(const ClaimId& claim, const std::string& path, const FetchLimits& limits,
                                  const std::string& file) {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    if (m_tasks.environment().files.Exists(path))
        return Fail(path + " exists already: choose another path, or move it away");
    const size_t slash = path.find_last_of('/');
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    const auto parent_entry = m_tasks.environment().files.Stat(parent);
    if (!parent_entry || parent_entry->kind != storage::DirectoryEntry::Kind::kDirectory)
        return Fail("the folder " + parent + " does not exist: make it first, or choose another path");
    ASSIGN_OR_RETURN(const JobId running, FindOpening(path, claim, file));
    if (running != 0) return running;
    ASSIGN_OR_RETURN(Claims::Openable found, m_claims.FindOpenable(claim));
    auto openable = std::make_shared<Claims::Openable>(std::move(found));
    const ContentId content = openable->info.record.content;
    auto needed = NeededOf(*openable);
    if (!needed) return Fail(needed.error());
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("get", path));
    m_openings[path] = {claim, file, job};
    if (!file.empty()) {
        GetFile(job, claim, path, limits, file);
        return job;
    }
    FetchWish wish{content, LimitsFor({content.root, needed->bytes}, limits, m_prices),
                   openable->info.record.seed_price_per_mib, true, std::move(needed->chunks)};
    m_fetcher.Fetch(job, std::move(wish), [this, job, openable, path](Result<Amount> paid) {
        if (!paid) return m_tasks.jobs().Fail(job, paid.error());
        OpenThen(job, openable, path, *paid);
    });
    return job;
}

void FetchJobs::OpenThen(JobId job, std::shared_ptr<Claims::Openable> openable, const std::string& path, Amount paid) {
    m_tasks.PostLong([this, job, openable, path, paid] {
        const PublishRecord& record = openable->info.record;
        JobProgress progress = JobTasks::Phase("opening");
        progress.paid = paid;
        const auto tell = m_tasks.Tell(job, progress);
        const Status opened = [&]() -> Status {
            ASSIGN_OR_RETURN(const SealedLayout layout, SealedLayout::FromRecord(record));
            const auto stored = m_chunks.Find(record.content);
            if (!stored)
                return Fail(ErrorKind::kUnavailable, "the content was removed from the store meanwhile: get it again");
            ChunkCipher cipher(openable->keys.Clone(), record.sealing_salt, layout);
            if (record.manifest_chunks == 0)
                return OpenToFile(*stored, std::move(cipher), m_tasks.environment().files, path, tell,
                                  &m_tasks.environment().workers);
            ASSIGN_OR_RETURN(const size_t files, OpenToFolder(*stored, std::move(cipher), m_tasks.environment().files,
                                                              path, m_tasks.environment().file_modes, tell));
            (void)files;
            return {};
        }();
        if (!opened) {
            Error error = opened.error();
            if (error.kind == ErrorKind::kInvalid) {
                error.message = "the key that was bought matches the record, but does not open the content (" +
                                error.message + "): the seller published something else under it";
                if (m_on_fraud)
                    return m_on_fraud(openable, [this, job, error](const std::string& file) mutable {
                        error.message += file.empty() ? ". The sealed content is kept: once the sale is in a block, "
                                                        "'getfraudproof' has the proof of it"
                                                      : ". The proof of it, for 'sluice-util verify-fraud': " + file;
                        m_tasks.jobs().Fail(job, std::move(error));
                    });
            }
            return m_tasks.jobs().Fail(job, std::move(error));
        }
        m_tasks.jobs().Finish(job, {{"path", path},
                                    {"claim", openable->info.id.Hex()},
                                    {"title", record.title},
                                    {"size", std::to_string(record.content.size_bytes)},
                                    {"paid", FormatSlu(paid)}});
    });
}

void FetchJobs::GetFile(JobId job, const ClaimId& claim, const std::string& path, const FetchLimits& limits,
                        const std::string& file) {
    StreamRequest request{claim.Hex(), file, limits, kFileTimeout};
    m_tasks.jobs().SetProgress(job, JobTasks::Phase("downloading"));
    m_streams.Open(request, [this, job, path](Result<StreamInfo> info) {
        if (!info) return m_tasks.jobs().Fail(job, info.error());
        if (info->folder) return m_tasks.jobs().Fail(job, {ErrorKind::kInvalid, "file is a folder: name a file in it"});
        m_tasks.PostToNetwork([this, job, id = info->id] { m_files.emplace(job, id); });
        auto get = std::make_shared<FileGet>();
        get->job = job;
        get->info = std::move(*info);
        get->path = path;
        m_tasks.PostLong([this, get] {
            auto part = PartFile::Create(m_tasks.environment().files, get->path);
            if (!part) return EndFile(get, Fail(part.error()));
            get->part.emplace(std::move(*part));
            ReadOn(get);
        });
    });
}

// Reads the next part and appends it, where the answer comes.
void FetchJobs::ReadOn(std::shared_ptr<FileGet> get) {
    const uint64_t size = get->info.size_bytes;
    if (get->done_bytes == size) {
        m_tasks.PostLong([this, get] { EndFile(get, get->part->Commit()); });
        return;
    }
    m_streams.Read(get->info.id, get->done_bytes, kSliceBytes, size, [this, get](Result<Bytes> bytes) {
        if (!bytes) return EndFile(get, Fail(bytes.error()));
        const Status appended = get->part->Append(*bytes);
        if (!appended) return EndFile(get, appended);
        get->done_bytes += bytes->size();
        JobProgress progress = JobTasks::Phase("downloading");
        progress.done_bytes = get->done_bytes;
        progress.total_bytes = get->info.size_bytes;
        m_tasks.jobs().SetProgress(get->job, progress);
        ReadOn(get);
    });
}

void FetchJobs::EndFile(const std::shared_ptr<FileGet>& get, const Status& status) {
    m_streams.Close(get->info.id);
    m_tasks.PostToNetwork([this, job = get->job] { m_files.erase(job); });
    if (!status) {
        get->part.reset();
        return m_tasks.jobs().Fail(get->job, status.error().message == "the stream is closed"
                                                 ? Error{ErrorKind::kUnavailable, std::string(kStoppedByUser)}
                                                 : status.error());
    }
    m_tasks.jobs().Finish(get->job, {{"path", get->path},
                                     {"claim", get->info.claim.Hex()},
                                     {"title", get->info.title},
                                     {"file", get->info.path},
                                     {"size", std::to_string(get->info.size_bytes)}});
}

Result<JobId> FetchJobs::StartSeed(const ClaimId& claim, std::optional<Amount> price_per_mib, const FetchLimits& limits,
                                   std::optional<Amount> min_price_per_mib) {
    ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(claim));
    const ContentId content = info.record.content;
    const Amount hint = info.record.seed_price_per_mib;
    const Amount ask = price_per_mib.value_or(hint > Amount(0) ? hint : m_prices.seed_per_mib);
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("seed", info.record.title));
    FetchWish wish{content, LimitsFor(content, limits, m_prices), ask, !price_per_mib, {}};
    m_fetcher.Fetch(
        job, std::move(wish),
        [this, job, content, ask, min_price_per_mib, claim, title = info.record.title](Result<Amount> paid) {
            if (!paid) return m_tasks.jobs().Fail(job, paid.error());
            const Status served = m_swarm.Serve(content, ask, min_price_per_mib);
            if (!served) return m_tasks.jobs().Fail(job, served.error());
            m_tasks.jobs().Finish(job, {{"claim", claim.Hex()},
                                        {"title", title},
                                        {"size", std::to_string(content.size_bytes)},
                                        {"price_per_mib", FormatSlu(ask)},
                                        {"paid", FormatSlu(*paid)}});
        });
    return job;
}

void FetchJobs::FetchForWallet(const PublishRecord& record) {
    OwnFetch& own = m_own[record.content];
    const Instant now = m_tasks.environment().clock.Monotonic();
    const auto last = m_tasks.jobs().Find(own.job);
    if ((last && last->state == JobState::kRunning) || now < own.next_try) return;
    own.next_try = now + kRetry;
    const auto job = m_tasks.jobs().Start("fetch", record.title);
    if (!job) return LogWarning("jobs", "'{}' is not fetched: {}", record.title, job.error().message);
    own.job = *job;
    FetchWish wish{record.content, LimitsFor(record.content, {}, m_prices), record.seed_price_per_mib, true, {}};
    m_fetcher.Fetch(*job, std::move(wish), [this, job = *job, title = record.title](Result<Amount> paid) {
        if (!paid) return m_tasks.jobs().Fail(job, paid.error());
        m_tasks.jobs().Finish(job, {{"title", title}, {"paid", FormatSlu(*paid)}});
    });
}

}  // namespace sluice::node
