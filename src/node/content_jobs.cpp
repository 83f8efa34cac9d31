#include "node/content_jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

constexpr size_t kMinRootDigits = 6;

std::string NameOf(const ClaimInfo& info) { return info.id.Hex() + ".sluice"; }

}  // namespace

ContentJobs::ContentJobs(const JobTasks& tasks, const Claims& claims, SwarmService& swarm, Fetcher& fetcher,
                         ChunkStore& chunks, DefaultPrices prices)
    : m_tasks(tasks), m_claims(claims), m_swarm(swarm), m_fetcher(fetcher), m_chunks(chunks), m_prices(prices) {
    m_chunks.SetOnEvicted([this](const ContentId& content) {
        m_tasks.PostToNetwork([this, content] {
            // It may have come back meanwhile.
            if (m_chunks.Find(content)) return;
            const Status stopped = m_swarm.StopServing(content);
            if (!stopped) LogWarning("content", "{}", stopped.error().message);
        });
    });
}

void ContentJobs::Start() {
    m_tasks.environment().long_tasks.PostAfter(kSaveUsesEvery, [this, alive = m_tasks.alive()] {
        if (*alive) SaveUses();
    });
}

void ContentJobs::SaveUses() {
    m_chunks.SaveUses();
    Start();
}

void ContentJobs::Run(JobId job, std::function<Result<Results>()> work) {
    m_tasks.PostLong([this, job, work = std::move(work)] {
        auto result = work();
        if (result) return m_tasks.jobs().Finish(job, std::move(*result));
        m_tasks.jobs().Fail(job, result.error());
    });
}

Status ContentJobs::CheckTarget(const std::string& path) const {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    if (m_tasks.environment().files.Exists(path))
        return Fail(path + " exists already: choose another path, or move it away");
    return {};
}

bool ContentJobs::Stop(JobId id) {
    const auto job = m_tasks.jobs().Find(id);
    const bool ours = job && (job->kind == "verify" || job->kind == "preview" || job->kind == "thumbnail");
    if (!ours) return false;
    m_tasks.PostToNetwork([this, id] { m_fetcher.Stop(id); });
    return true;
}

// ---- previews and thumbnails

Result<JobId> ContentJobs::StartShow(const ClaimId& claim, ClearPart part, const std::string& path) {
    const bool preview = part == ClearPart::kPreview;
    const std::string name = preview ? "preview" : "thumbnail";
    RETURN_IF_ERROR(CheckTarget(path));
    ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(claim));
    const auto& content = preview ? info.record.preview : info.record.thumbnail;
    if (!content) return Fail(ErrorKind::kNotFound, "the claim " + claim.Hex().substr(0, 12) + " has no " + name);
    const uint64_t most = preview ? kMaxPreviewBytes : kMaxThumbnailBytes;
    if (content->size_bytes > most)
        return Fail(fmt::format("the claim's {} is said to have {} bytes: more than {} are not fetched", name,
                                content->size_bytes, most));
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start(name, path));
    FetchWish wish{*content, DownloadLimits{}, Amount(0), true, {}};
    m_fetcher.Fetch(job, std::move(wish), [this, job, content = *content, path](Result<Amount> paid) {
        if (!paid) return m_tasks.jobs().Fail(job, paid.error());
        Run(job, [this, content, path]() -> Result<Results> {
            RETURN_IF_ERROR(WriteOut(content, path));
            return Results{{"path", path}, {"size", std::to_string(content.size_bytes)}};
        });
    });
    return job;
}

Status ContentJobs::WriteOut(const ContentId& content, const std::string& path) const {
    const auto stored = m_chunks.Find(content);
    if (!stored) return Fail(ErrorKind::kUnavailable, "the content was removed from the store meanwhile: get it again");
    ASSIGN_OR_RETURN(PartFile file, PartFile::Create(m_tasks.environment().files, path));
    Bytes chunk(kChunkBytes);
    for (ChunkIndex index(0); index.value < ChunkCount(content.size_bytes); ++index) {
        const auto into = MutableByteSpan(chunk).first(ChunkBytes(content.size_bytes, index));
        RETURN_IF_ERROR(stored->Read(index, into));
        RETURN_IF_ERROR(file.Append(into));
    }
    return file.Commit();
}

// ---- verifying

Result<JobId> ContentJobs::StartVerify(std::vector<ContentId> contents) {
    if (contents.empty()) return Fail(ErrorKind::kNotFound, "there is nothing in the store to verify");
    const std::string subject =
        contents.size() == 1 ? contents[0].root.Hex() : fmt::format("{} contents", contents.size());
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("verify", subject));
    m_tasks.PostLong([this, job, contents = std::move(contents)] {
        uint64_t checked = 0, damaged = 0, total = 0, before = 0;
        std::vector<Damage> broken;
        for (const ContentId& content : contents) total += content.size_bytes;
        const auto tell = m_tasks.Tell(job, JobTasks::Phase("verifying"));
        for (const ContentId& content : contents) {
            const auto stored = m_chunks.Find(content);
            const auto outcome =
                !stored ? Result<VerifyOutcome>(VerifyOutcome{}) : stored->Verify([&](uint64_t done, uint64_t) {
                    return tell(std::min(before + done, before + content.size_bytes), total);
                });
            if (!outcome && outcome.error().kind != ErrorKind::kNotFound)
                return m_tasks.jobs().Fail(job, outcome.error());
            before += content.size_bytes;
            if (!outcome) continue;  // removed meanwhile
            checked += outcome->checked;
            damaged += outcome->damaged.size();
            if (!outcome->damaged.empty()) broken.push_back({content, outcome->damaged});
        }
        Results result{{"checked", std::to_string(checked)}, {"damaged", std::to_string(damaged)}};
        m_tasks.PostToChain([this, job, broken = std::move(broken), result = std::move(result)]() mutable {
            std::vector<FetchWish> wishes;
            for (Damage& damage : broken) wishes.push_back(WishFor(std::move(damage)));
            m_tasks.PostToNetwork([this, job, wishes = std::move(wishes), result = std::move(result)]() mutable {
                Repair(job, std::move(wishes), std::move(result), Amount(0));
            });
        });
    });
    return job;
}

// What no claim sells, a preview or a thumbnail, is not paid for.
FetchWish ContentJobs::WishFor(Damage damage) const {
    const auto uses = m_claims.UsesOf(damage.content);
    const bool sealed = uses && std::any_of(uses->begin(), uses->end(),
                                            [](const ClaimUse& use) { return use.as == ClaimUse::As::kSealed; });
    FetchWish wish{damage.content, {}, Amount(0), true, std::move(damage.chunks)};
    if (!sealed) return wish;
    uint64_t bytes = 0;
    for (const ChunkIndex chunk : wish.chunks) bytes += ChunkBytes(wish.content.size_bytes, chunk);
    wish.limits = LimitsFor({wish.content.root, bytes}, {}, m_prices);
    wish.ask_per_mib = m_prices.seed_per_mib;
    return wish;
}

// One after the other; network strand.
void ContentJobs::Repair(JobId job, std::vector<FetchWish> wishes, Results result, Amount paid) {
    if (wishes.empty()) {
        result["paid"] = FormatSlu(paid);
        return m_tasks.jobs().Finish(job, std::move(result));
    }
    FetchWish wish = std::move(wishes.back());
    wishes.pop_back();
    m_fetcher.Fetch(job, std::move(wish), [this, job, wishes = std::move(wishes), result, paid](Result<Amount> spent) {
        if (!spent) {
            return m_tasks.jobs().Fail(
                job,
                {spent.error().kind, fmt::format("{} damaged chunks were dropped, and could not be fetched again: {}",
                                                 result.at("damaged"), spent.error().message)});
        }
        Repair(job, wishes, result, Amount(paid.drops + spent->drops));
    });
}

// ---- BitTorrent

Result<JobId> ContentJobs::StartExport(const ClaimId& claim, const std::string& path) {
    RETURN_IF_ERROR(CheckTarget(path));
    ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(claim));
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("export", path));
    Run(job, [this, info, path]() -> Result<Results> {
        const auto stored = m_chunks.Find(info.record.content);
        if (!stored)
            return Fail(ErrorKind::kNotFound, "the sealed content is not in the store: fetch it first with 'seed " +
                                                  info.id.Hex().substr(0, 12) + "'");
        ASSIGN_OR_RETURN(const Torrent torrent, MakeTorrent(*stored, NameOf(info)));
        ASSIGN_OR_RETURN(PartFile file, PartFile::Create(m_tasks.environment().files, path));
        RETURN_IF_ERROR(file.Append(torrent.bytes));
        RETURN_IF_ERROR(file.Commit());
        return Results{
            {"path", path}, {"name", NameOf(info)}, {"infohash", torrent.infohash.Hex()}, {"magnet", torrent.magnet}};
    });
    return job;
}

Result<JobId> ContentJobs::StartImport(const ClaimId& claim, const std::string& path) {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(claim));
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("import", path));
    Run(job, [this, job, info, path]() -> Result<Results> {
        const ContentId& content = info.record.content;
        ASSIGN_OR_RETURN(const auto file, m_tasks.environment().files.Open(path, storage::OpenMode::kRead));
        const bool known = m_chunks.Find(content) != nullptr;
        ASSIGN_OR_RETURN(auto stored, m_chunks.Create(content));
        const auto outcome = ImportChunks(*stored, *file, m_tasks.Tell(job, JobTasks::Phase("importing")));
        const uint32_t have = stored->Have().count();
        stored.reset();
        if (!known && have == 0) (void)m_chunks.Remove(content);  // nothing came of it
        if (!outcome) return Fail(outcome.error());
        if (have == 0)
            return Fail(outcome->unproven > 0
                            ? "the file is not the whole sealed content, and the hashes that would prove its parts are "
                              "not here: fetch a part of it first ('seed'), then import again"
                            : "no chunk in the file is the sealed content's");
        m_tasks.PostToNetwork([this, content, ask = info.record.seed_price_per_mib] {
            const Status served = m_swarm.Serve(content, ask);
            if (!served) LogWarning("content", "{}", served.error().message);
        });
        return Results{{"claim", info.id.Hex()},
                       {"added", std::to_string(outcome->added)},
                       {"already_here", std::to_string(outcome->already)},
                       {"refused", std::to_string(outcome->refused)},
                       {"unproven", std::to_string(outcome->unproven)},
                       {"have", std::to_string(have)},
                       {"chunks", std::to_string(ChunkCount(content.size_bytes))}};
    });
    return job;
}

// ---- the store

Result<ContentId> ContentJobs::Resolve(const std::string& text) const {
    std::vector<ContentId> found;
    if (text.size() >= kMinRootDigits) {
        for (const ContentId& content : m_chunks.List())
            if (content.root.Hex().starts_with(text)) found.push_back(content);
    }
    if (found.size() == 1) return found[0];
    if (found.size() > 1)
        return Fail(fmt::format("{} contents in the store begin with {}: give more digits", found.size(), text));
    const auto claim = m_claims.Resolve(text);
    if (!claim && claim.error().kind == ErrorKind::kNotFound)
        return Fail(ErrorKind::kNotFound, "neither a content in the store nor a claim begins with " + text +
                                              ": see 'content list' and 'feed'");
    if (!claim) return Fail(claim.error());
    ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(*claim));
    if (!m_chunks.Find(info.record.content))
        return Fail(ErrorKind::kNotFound,
                    "the sealed content of claim " + claim->Hex().substr(0, 12) + " is not in this node's store");
    return info.record.content;
}

void ContentJobs::Remove(const ContentId& content, std::function<void(Status)> done) {
    m_tasks.PostToNetwork([this, content, done = std::move(done)] {
        if (m_swarm.ProgressOf(content)) {
            return done(Fail(ErrorKind::kUnavailable,
                             "the content is being fetched: end that first with 'stopjob' (see 'listjobs')"));
        }
        const Status stopped = m_swarm.StopServing(content);
        if (!stopped) return done(stopped);
        m_tasks.PostLong([this, content, done] { done(m_chunks.Remove(content)); });
    });
}

}  // namespace sluice::node
