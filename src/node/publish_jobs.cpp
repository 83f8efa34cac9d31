#include "node/publish_jobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "consensus/record_rules.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

std::string BaseName(const std::string& path) {
    const size_t end = path.find_last_not_of('/');
    if (end == std::string::npos) return {};
    const size_t slash = path.find_last_of('/', end);
    return path.substr(slash == std::string::npos ? 0 : slash + 1,
                       end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

// The file of a folder that shows best what it is: a cover, else the first picture or film.
std::string ChooseMedia(const Manifest& manifest) {
    const ManifestEntry* best = nullptr;
    int best_rank = 0;
    for (const ManifestEntry& entry : manifest.entries) {
        const MediaKind kind = entry.size_bytes > 0 ? MediaKindOf(entry.path) : MediaKind::kOther;
        const std::string name = BaseName(entry.path);
        const bool cover = name.starts_with("cover.") || name.starts_with("folder.") || name.starts_with("front.");
        const int rank = kind == MediaKind::kImage   ? (cover ? 4 : 3)
                         : kind == MediaKind::kVideo ? 2
                         : kind == MediaKind::kAudio ? 1
                                                     : 0;
        if (rank > best_rank) {
            best = &entry;
            best_rank = rank;
        }
    }
    return best == nullptr ? std::string() : best->path;
}

Result<DividedFolder> Divide(const Manifest& manifest, const SegmentWish& wish) {
    if (wish.per_file && !wish.rules.empty()) return Fail("give segments by their paths or per file, not both");
    return wish.per_file ? DividePerFile(manifest, *wish.per_file) : DivideFolder(manifest, wish.rules);
}

// Bytes in memory as something to be stored.
class BytesSource final : public PlainSource {
  public:
    explicit BytesSource(Bytes bytes) : m_bytes(std::move(bytes)) {}
    uint64_t size_bytes() const override { return m_bytes.size(); }
    Status Read(MutableByteSpan into) override {
        std::copy_n(m_bytes.begin() + static_cast<ptrdiff_t>(m_done), into.size(), into.begin());
        m_done += into.size();
        return {};
    }
    Status CheckEnd() override { return {}; }

  private:
    Bytes m_bytes;
    size_t m_done{0};
};

Status CheckClearFile(storage::FileSystem& files, const std::string& path, std::string_view what, uint64_t most_bytes) {
    if (path.empty()) return {};
    if (path[0] != '/') return Fail(fmt::format("the path of the {} must be absolute", what));
    ASSIGN_OR_RETURN(const storage::DirectoryEntry entry, files.Stat(path));
    if (entry.kind != storage::DirectoryEntry::Kind::kFile || entry.size_bytes == 0)
        return Fail(fmt::format("{} is not a file with a byte in it", path));
    if (entry.size_bytes > most_bytes)
        return Fail(fmt::format("{} has {} bytes: a {} has at most {}", path, entry.size_bytes, what, most_bytes));
    return {};
}

}  // namespace

// Everything that a publishing carries from one executor to the next.
struct PublishJobs::PublishPlan {
    JobId job{0};
    std::optional<PublishSource> source;  // none: other terms alone
    PublishOptions options;
    PublishRecord record;             // all but what sealing gives
    std::optional<ContentKeys> keys;  // to seal with
    std::optional<ContentId> replaces;
    std::vector<ContentId> stored;  // by this plan, none of which was there before
    std::string notes;              // what was left out, for people
};

Result<PublishSource> PublishJobs::Inspect(const std::string& path, const SegmentWish& segments) const {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    const auto entry = m_tasks.environment().files.Stat(path);
    if (!entry) {
        if (entry.error().kind == ErrorKind::kNotFound)
            return Fail(ErrorKind::kNotFound, path + " does not exist: check the path");
        return Fail(entry.error());
    }
    PublishSource source;
    source.path = path;
    source.folder = entry->kind == storage::DirectoryEntry::Kind::kDirectory;
    if (!source.folder) {
        if (!segments.IsEmpty()) return Fail("segments divide a folder by its files: " + path + " is one file");
        ASSIGN_OR_RETURN(const auto opened, OpenPlainFile(m_tasks.environment().files, path));
        source.media_path = path;
        return source;
    }
    ASSIGN_OR_RETURN(source.manifest, ScanFolder(m_tasks.environment().files, path, m_tasks.environment().file_modes));
    if (!segments.IsEmpty()) {
        ASSIGN_OR_RETURN(DividedFolder divided, Divide(source.manifest, segments));
        source.manifest = std::move(divided.manifest);
        source.segment_prices = std::move(divided.prices);
        source.first_slices = std::move(divided.first_slices);
    }
    const std::string media = ChooseMedia(source.manifest);
    if (!media.empty()) source.media_path = path + "/" + media;
    return source;
}

Result<JobId> PublishJobs::StartPublish(PublishSource source, PublishOptions options) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    auto plan = std::make_shared<PublishPlan>();
    RecordMaker maker(*wallet, m_chain.chain().genesis_hash(), m_tasks.environment().random);
    ASSIGN_OR_RETURN(plan->record, maker.New(options, BaseName(source.path)));
    const Amount least = consensus::MinAnchor(m_chain.params(), EncodeRecord(plan->record).size() + 64);
    const wallet::Balances balances = wallet->GetBalances();
    if (balances.spendable.drops + balances.pending_trusted.drops < least.drops)
        return Fail(ErrorKind::kFunds,
                    fmt::format("publishing locks a deposit of at least {} SLU (it comes back when the claim ends), "
                                "and {} SLU are spendable: receive some first with 'getnewaddress'",
                                FormatSlu(least), FormatSlu(balances.spendable)));
    ASSIGN_OR_RETURN(plan->record.payout_script, PayoutScript(*wallet, plan->record.title));
    plan->source = std::move(source);
    plan->options = std::move(options);
    return Start(std::move(plan), "publish");
}

Result<ClaimInfo> PublishJobs::FindOwn(const ClaimId& claim) const {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    ASSIGN_OR_RETURN(ClaimInfo info, m_claims.Find(claim));
    const std::string name = "the claim " + claim.Hex().substr(0, 12);
    if (!info.live) return Fail(name + " was retired");
    const auto own = wallet->OwnClaims();
    const bool ours = std::any_of(own.begin(), own.end(), [&](const auto& view) { return view.anchor == info.anchor; });
    if (!ours) return Fail(ErrorKind::kNotFound, name + " is not this wallet's: see 'listclaims' with own");
    for (const auto& [txid, confirming] : m_confirming) {
        const auto found = confirming.result.find("claim");
        if (found != confirming.result.end() && found->second == claim.Hex())
            return Fail(ErrorKind::kUnavailable, name + " is being changed by job " + std::to_string(confirming.job));
    }
    return info;
}

Result<JobId> PublishJobs::StartUpdate(const ClaimId& claim, std::optional<PublishSource> source,
                                       PublishOptions options) {
    ASSIGN_OR_RETURN(const ClaimInfo info, FindOwn(claim));
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    auto plan = std::make_shared<PublishPlan>();
    RecordMaker maker(*wallet, m_chain.chain().genesis_hash(), m_tasks.environment().random);
    ASSIGN_OR_RETURN(plan->record,
                     maker.Update(info, options, source ? std::optional(BaseName(source->path)) : std::nullopt));
    if (options.new_edition) {
        ASSIGN_OR_RETURN(plan->record.payout_script, PayoutScript(*wallet, plan->record.title));
    }
    if (source) plan->replaces = info.record.content;
    plan->source = std::move(source);
    plan->options = std::move(options);
    return Start(std::move(plan), "update");
}

Result<JobId> PublishJobs::Start(std::shared_ptr<PublishPlan> plan, const char* kind) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    const PublishOptions& options = plan->options;
    PublishRecord& record = plan->record;
    if (options.preview_seconds == 0 || options.preview_seconds > kMaxPreviewSeconds)
        return Fail(
            fmt::format("preview_seconds is {}: 1 to {} are possible", options.preview_seconds, kMaxPreviewSeconds));
    RETURN_IF_ERROR(CheckClearFile(m_tasks.environment().files, options.preview_path, "preview", kMaxPreviewBytes));
    RETURN_IF_ERROR(CheckClearFile(m_tasks.environment().files, options.thumbnail_path, "thumbnail",
                                   m_tasks.environment().run_program ? uint64_t{1} << 30 : kMaxThumbnailBytes));
    RecordMaker maker(*wallet, m_chain.chain().genesis_hash(), m_tasks.environment().random);
    ASSIGN_OR_RETURN(crypto::SecretKey title_key, maker.TitleKeyOf(record));
    if (plan->source) {
        for (uint32_t i = 0; i < plan->source->segment_prices.size(); ++i) {
            const Amount price = record.free_key ? Amount(0) : plan->source->segment_prices[i];
            record.segments.push_back({0, DeriveSegmentKey(title_key, i).Public(), price});
        }
    }
    if (options.seal_key) {
        auto key = crypto::SecretKey::FromBytes(options.seal_key->bytes);
        if (!key) return Fail("seal_key is not a valid key");
        plan->keys = ContentKeys::FromTitleKey(std::move(*key));
    } else {
        plan->keys = ContentKeys::FromTitleKey(std::move(title_key));
    }
    // With the previews that may come. What is too long shows now, not once everything is sealed.
    PublishRecord fullest = record;
    fullest.preview = fullest.thumbnail = record.content;
    if (const size_t bytes = EncodeRecord(fullest).size(); bytes > kMaxRecordBytes)
        return Fail(
            fmt::format("the publish record has {} bytes, the limit is {}: shorten the description, or sell in "
                        "fewer segments",
                        bytes, kMaxRecordBytes));
    ASSIGN_OR_RETURN(plan->job, m_tasks.jobs().Start(kind, plan->source ? plan->source->path : record.title));
    SealThenPublish(plan);
    return plan->job;
}

Result<JobId> PublishJobs::StartRetire(const ClaimId& claim) {
    ASSIGN_OR_RETURN(const ClaimInfo info, FindOwn(claim));
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    ASSIGN_OR_RETURN(const wallet::BuiltTransaction built, wallet->BuildRetire(claim));
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("retire", info.record.title));
    const auto txid = m_wallet.Broadcast(built);
    if (!txid) {
        m_tasks.jobs().Fail(job, txid.error());
        return Fail(txid.error());
    }
    Amount deposit;
    for (const TxOutput& output : built.tx->outputs()) deposit.drops += output.value.drops;
    Confirm(*txid, job,
            {{"claim", claim.Hex()},
             {"txid", txid->Hex()},
             {"title", info.record.title},
             {"returned", FormatSlu(deposit)},
             {"fee", FormatSlu(built.fee)}},
            info.record.content);
    return job;
}

Result<JobId> PublishJobs::StartTransfer(const ClaimId& claim, const Script& to) {
    ASSIGN_OR_RETURN(const ClaimInfo info, FindOwn(claim));
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    wallet::PublishRequest request;
    request.record = info.record;
    request.record.updates = claim;
    request.record.previous = info.anchor;
    request.record.payout_script = to;
    request.anchor_to = to;
    ASSIGN_OR_RETURN(const wallet::BuiltPublish built, wallet->BuildPublish(request));
    ASSIGN_OR_RETURN(const JobId job, m_tasks.jobs().Start("transfer", info.record.title));
    const auto txid = m_wallet.Broadcast(built.built);
    if (!txid) {
        m_tasks.jobs().Fail(job, txid.error());
        return Fail(txid.error());
    }
    Confirm(*txid, job,
            {{"claim", claim.Hex()},
             {"txid", txid->Hex()},
             {"anchor", built.anchor.ToString()},
             {"title", info.record.title},
             {"fee", FormatSlu(built.built.fee)},
             {"burned", FormatSlu(built.built.burned)}},
            std::nullopt);
    return job;
}

// A new address for the sales of a title; that of another title if too many addresses wait for their first payment.
Result<Script> PublishJobs::PayoutScript(wallet::Wallet& wallet, const std::string& title) const {
    auto script = wallet.NewReceiveScript("sales: " + title);
    if (script || script.error().kind != ErrorKind::kUnavailable) return script;
    for (const wallet::ClaimView& claim : wallet.OwnClaims())
        if (const auto publish = m_wallet.FindPublish(claim.anchor)) return publish->record.payout_script;
    return script;
}

void PublishJobs::SealThenPublish(std::shared_ptr<PublishPlan> plan) {
    m_tasks.PostLong([this, plan] {
        const Status sealed = SealAll(*plan);
        m_tasks.PostToChain([this, plan, sealed] {
            const Status published = sealed ? PublishSealed(plan) : sealed;
            if (published) return;
            DropSealed(*plan);
            m_tasks.jobs().Fail(plan->job, published.error());
        });
    });
}

void PublishJobs::DropSealed(const PublishPlan& plan) const {
    for (const ContentId& content : plan.stored) {
        const Status removed = m_chunks.Remove(content);
        if (!removed) LogWarning("content", "{}", removed.error().message);
    }
}

Status PublishJobs::SealAll(PublishPlan& plan) const {
    RETURN_IF_ERROR(MakeClearParts(plan));
    if (plan.source) RETURN_IF_ERROR(SealContent(plan));
    return {};
}

Status PublishJobs::SealContent(PublishPlan& plan) const {
    const PublishSource& from = *plan.source;
    SealJob job;
    std::unique_ptr<PlainSource> source;
    if (from.folder) {
        ASSIGN_OR_RETURN(FolderSource folder, OpenPlainFolder(m_tasks.environment().files, from.path, from.manifest,
                                                              from.first_slices.size()));
        source = std::move(folder.source);
        job.manifest_chunks = folder.manifest_chunks;
        for (const uint64_t slice : from.first_slices)
            job.segment_starts.emplace_back(static_cast<uint32_t>(job.manifest_chunks + slice));
    } else {
        ASSIGN_OR_RETURN(source, OpenPlainFile(m_tasks.environment().files, from.path));
    }
    job.source = source.get();
    ASSIGN_OR_RETURN(const auto staged, m_chunks.Stage());
    staged->PinAtCommit();
    ASSIGN_OR_RETURN(const Sealed sealed,
                     Seal(job, *plan.keys, plan.record.sealing_salt, *staged,
                          m_tasks.Tell(plan.job, JobTasks::Phase("sealing")), &m_tasks.environment().workers));
    ASSIGN_OR_RETURN(const auto stored, staged->Commit(sealed.content));
    plan.stored.push_back(sealed.content);
    plan.record.content = sealed.content;
    plan.record.manifest_chunks = sealed.layout.manifest_chunks;
    for (size_t i = 0; i < plan.record.segments.size(); ++i)
        plan.record.segments[i].first_chunk = sealed.layout.segment_starts[i].value;
    return {};
}

Result<ContentId> PublishJobs::StoreClear(PublishPlan& plan, PlainSource& source) const {
    ASSIGN_OR_RETURN(const auto staged, m_chunks.Stage());
    staged->PinAtCommit();
    Bytes chunk(kChunkBytes);
    for (uint64_t done = 0; done < source.size_bytes();) {
        const auto piece = MutableByteSpan(chunk).first(std::min<uint64_t>(chunk.size(), source.size_bytes() - done));
        RETURN_IF_ERROR(source.Read(piece));
        RETURN_IF_ERROR(staged->Put(ChunkIndex(static_cast<uint32_t>(done / kChunkBytes)), piece, LeafHashes(piece)));
        done += piece.size();
    }
    RETURN_IF_ERROR(source.CheckEnd());
    ASSIGN_OR_RETURN(const ContentId content, staged->Id());
    const bool known = m_chunks.Find(content) != nullptr;
    ASSIGN_OR_RETURN(const auto stored, staged->Commit(content));
    if (!known) plan.stored.push_back(content);
    return content;
}

// What was asked for has to be made; what is made unasked is left out where it cannot be.
Status PublishJobs::MakeClearParts(PublishPlan& plan) const {
    const PublishOptions& options = plan.options;
    const MediaMaker maker(m_tasks.environment().run_program, [alive = m_tasks.alive()] { return alive->load(); });
    m_tasks.jobs().SetProgress(plan.job, JobTasks::Phase("previews"));
    const auto note = [&](const Error& error) {
        LogInfo("content", "nothing to show is made of {}: {}", plan.record.title, error.message);
        plan.notes = error.message;
    };
    if (!options.thumbnail_path.empty()) {
        ASSIGN_OR_RETURN(const Bytes given,
                         storage::ReadWholeFile(m_tasks.environment().files, options.thumbnail_path, size_t{1} << 30));
        Bytes picture = given;
        if (given.size() > kMaxThumbnailBytes || !IsPicture(given)) {
            ASSIGN_OR_RETURN(picture, maker.Thumbnail(options.thumbnail_path, MediaKind::kImage));
        }
        BytesSource source(std::move(picture));
        ASSIGN_OR_RETURN(plan.record.thumbnail, StoreClear(plan, source));
    }
    if (!options.preview_path.empty()) {
        ASSIGN_OR_RETURN(const auto source, OpenPlainFile(m_tasks.environment().files, options.preview_path));
        ASSIGN_OR_RETURN(plan.record.preview, StoreClear(plan, *source));
    }
    if (!plan.source || !options.make_previews) return {};
    const std::string& media = plan.source->media_path;
    const MediaKind kind = MediaKindOf(media);
    if (options.thumbnail_path.empty() && (kind == MediaKind::kImage || kind == MediaKind::kVideo)) {
        auto picture = maker.Thumbnail(media, kind);
        if (picture) {
            BytesSource source(std::move(*picture));
            ASSIGN_OR_RETURN(plan.record.thumbnail, StoreClear(plan, source));
        } else {
            note(picture.error());
        }
    }
    if (options.preview_path.empty() && (kind == MediaKind::kVideo || kind == MediaKind::kAudio)) {
        auto clip = maker.Preview(media, kind, options.preview_seconds);
        if (clip) {
            BytesSource source(std::move(*clip));
            ASSIGN_OR_RETURN(plan.record.preview, StoreClear(plan, source));
        } else {
            note(clip.error());
        }
    }
    return {};
}

Status PublishJobs::PublishSealed(const std::shared_ptr<PublishPlan>& plan) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    const PublishRecord& record = plan->record;
    wallet::PublishRequest request;
    request.record = record;
    ASSIGN_OR_RETURN(const wallet::BuiltPublish built, wallet->BuildPublish(request));
    ASSIGN_OR_RETURN(const Txid txid, m_wallet.Broadcast(built.built));
    std::map<std::string, std::string> result{{"claim", built.claim.Hex()},
                                              {"txid", txid.Hex()},
                                              {"anchor", built.anchor.ToString()},
                                              {"root", record.content.root.Hex()},
                                              {"size", std::to_string(record.content.size_bytes)},
                                              {"price", FormatSlu(record.price)},
                                              {"title", record.title},
                                              {"segments", std::to_string(record.segments.size())},
                                              {"fee", FormatSlu(built.built.fee)},
                                              {"burned", FormatSlu(built.built.burned)}};
    if (record.preview) result["preview"] = std::to_string(record.preview->size_bytes);
    if (record.thumbnail) result["thumbnail"] = std::to_string(record.thumbnail->size_bytes);
    if (!plan->notes.empty()) result["notes"] = plan->notes;
    Confirm(txid, plan->job, std::move(result), plan->replaces);
    m_tasks.PostToNetwork([this, plan] {
        const PublishRecord& published = plan->record;
        const auto serve = [this](const ContentId& content, Amount ask) {
            const Status served = m_swarm.Serve(content, ask);
            if (!served) LogError("content", "{}", served.error().message);
        };
        if (plan->source) serve(published.content, plan->options.ask_per_mib);
        for (const auto& clear : {published.preview, published.thumbnail})
            if (clear && m_chunks.Find(*clear)) serve(*clear, Amount(0));
    });
    return {};
}

void PublishJobs::Confirm(const Txid& txid, JobId job, std::map<std::string, std::string> result,
                          std::optional<ContentId> unpins) {
    JobProgress progress = JobTasks::Phase("confirming");
    progress.waiting_for = "the record to be in a block";
    m_tasks.jobs().SetProgress(job, progress);
    m_confirming[txid] = {job, std::move(result), unpins};
}

void PublishJobs::OnTipChanged(const chain::TipChange& change) {
    for (const chain::ConnectedBlock& block : change.connected) {
        for (const TransactionRef& tx : block.block->transactions) {
            const auto found = m_confirming.find(tx->txid());
            if (found == m_confirming.end()) continue;
            Confirming& done = found->second;
            done.result["height"] = std::to_string(block.state.height.value);
            if (done.unpins) {
                m_tasks.PostLong([this, content = *done.unpins] {
                    (void)m_chunks.Pin(content, false);  // not here any more: nothing to let go
                });
            }
            m_events.Publish("claim", done.result["claim"], "published");
            m_tasks.jobs().Finish(done.job, std::move(done.result));
            m_confirming.erase(found);
        }
    }
}

void PublishJobs::OnTransactionRemoved(const chain::RemovedTransaction& removed) {
    if (removed.why == chain::RemovedTransaction::Why::kMined) return;
    const auto found = m_confirming.find(removed.tx->txid());
    if (found == m_confirming.end()) return;
    m_tasks.jobs().Fail(found->second.job,
                        {ErrorKind::kUnavailable, "the record's transaction left the mempool: try again"});
    m_confirming.erase(found);
}

}  // namespace sluice::node
