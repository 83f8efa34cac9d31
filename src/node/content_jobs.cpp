#include "node/content_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "consensus/record_rules.h"
#include "content/manifest.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

constexpr size_t kMinClaimPrefix = 6;
constexpr size_t kFeedPage = 200;
// Channels lock more than is paid in the end: what is left over comes back when they are settled.
constexpr uint64_t kBudgetFactor = 4;
constexpr Amount kBudgetFloor{kDropsPerSlu / 100};

std::string BaseName(const std::string& path) {
    const size_t end = path.find_last_not_of('/');
    if (end == std::string::npos) return {};
    const size_t slash = path.find_last_of('/', end);
    return path.substr(slash == std::string::npos ? 0 : slash + 1,
                       end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

// What consensus would refuse once everything is sealed.
Status CheckTexts(const PublishRecord& record) {
    const auto check = [](const std::string& text, std::string_view field, bool lines = false) -> Status {
        if (consensus::IsCleanText(text, lines)) return {};
        return Fail(fmt::format("{} has control characters or is not UTF-8: {} it", field,
                                field == "the file name" ? "rename" : "change"));
    };
    RETURN_IF_ERROR(check(record.title, "title"));
    RETURN_IF_ERROR(check(record.description, "description", true));
    RETURN_IF_ERROR(check(record.mime, "mime"));
    RETURN_IF_ERROR(check(record.file_name, "the file name"));
    RETURN_IF_ERROR(check(record.language, "language"));
    for (const std::string& tag : record.tags) RETURN_IF_ERROR(check(tag, "a tag"));
    for (const std::string& endpoint : record.endpoints) RETURN_IF_ERROR(check(endpoint, "an endpoint"));
    return {};
}

JobProgress Phase(std::string phase) {
    JobProgress progress;
    progress.phase = std::move(phase);
    return progress;
}

}  // namespace

// Everything that a publishing carries from one executor to the next.
struct ContentJobs::PublishPlan {
    JobId job{0};
    PublishSource source;
    PublishOptions options;
    PublishRecord record;             // all but content and manifest_chunks
    std::optional<ContentKeys> keys;  // to seal with
};

ContentJobs::ContentJobs(const Environment& environment, ChainService& chain, WalletService& wallet,
                         SwarmService& swarm, ChunkStore& chunks, JobTable& jobs, EventHub& events,
                         DefaultPrices prices, Alive alive)
    : m_environment(environment),
      m_chain(chain),
      m_wallet(wallet),
      m_swarm(swarm),
      m_chunks(chunks),
      m_jobs(jobs),
      m_events(events),
      m_prices(prices),
      m_alive(std::move(alive)) {}

void ContentJobs::PostToChain(std::function<void()> task) const {
    m_environment.chain_strand.Post([alive = m_alive, task = std::move(task)] {
        if (*alive) task();
    });
}
void ContentJobs::PostToNetwork(std::function<void()> task) const {
    m_environment.network_strand.Post([alive = m_alive, task = std::move(task)] {
        if (*alive) task();
    });
}

// Tells the job every percent; stops the work when the node ends.
content::Progress ContentJobs::TellProgress(JobId job, JobProgress progress) const {
    return [this, job, progress = std::move(progress), last_percent = -1](uint64_t done, uint64_t total) mutable {
        const int percent = static_cast<int>(done * 100 / std::max<uint64_t>(total, 1));
        if (percent != std::exchange(last_percent, percent)) {
            progress.done_bytes = done;
            progress.total_bytes = total;
            m_jobs.SetProgress(job, progress);
        }
        return m_alive->load();
    };
}

// ---- claims

std::optional<ClaimInfo> ContentJobs::InfoOf(const OutPoint& anchor) const {
    const auto publish = m_wallet.FindPublish(anchor);
    const auto entry = m_chain.chain().indexes().FindPublish(anchor);
    if (!publish || !entry || !*entry) return std::nullopt;
    const bool live = m_chain.chain().state().Get<consensus::ClaimState>(publish->claim).has_value();
    return ClaimInfo{publish->claim, anchor, (*entry)->place.height, live, publish->record};
}

Result<ClaimId> ContentJobs::ResolveClaim(const std::string& text) const {
    if (const auto id = ClaimId::FromHex(text)) {
        ASSIGN_OR_RETURN(const auto publishes, m_chain.chain().indexes().PublishesOf(*id, 1));
        if (publishes.empty())
            return Fail(ErrorKind::kNotFound, "the claim " + text + " is not known: see 'feed' for claims that are");
        return *id;
    }
    const bool digits = text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!digits || text.size() < kMinClaimPrefix || text.size() > 64)
        return Fail(fmt::format("'{}' is not a claim: give its id, or at least its first {} hexadecimal digits",
                                text.substr(0, 80), kMinClaimPrefix));
    std::string lower = text;
    for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    std::set<ClaimId> found;
    std::optional<chain::ChainPlace> before;
    for (;;) {
        ASSIGN_OR_RETURN(const auto page, m_chain.chain().indexes().Feed(before, kFeedPage));
        if (page.empty()) break;
        for (const chain::PublishEntry& entry : page)
            if (entry.claim.Hex().starts_with(lower)) found.insert(entry.claim);
        before = page.back().place;
    }
    if (found.empty())
        return Fail(ErrorKind::kNotFound, "no claim begins with " + text + ": see 'feed' for claims that are known");
    if (found.size() > 1) return Fail(fmt::format("{} claims begin with {}: give more digits", found.size(), text));
    return *found.begin();
}

Result<ClaimInfo> ContentJobs::FindClaim(const ClaimId& claim) const {
    ASSIGN_OR_RETURN(const auto publishes, m_chain.chain().indexes().PublishesOf(claim));
    if (publishes.empty()) return Fail(ErrorKind::kNotFound, "the claim " + claim.Hex() + " is not known");
    auto info = InfoOf(publishes.back().anchor);
    if (!info) return Fail(ErrorKind::kEnvironment, "the record of claim " + claim.Hex() + " cannot be read");
    return std::move(*info);
}

Result<std::vector<ClaimInfo>> ContentJobs::ListClaims(size_t count, size_t skip) const {
    std::vector<ClaimInfo> result;
    std::set<ClaimId> seen;
    std::optional<chain::ChainPlace> before;
    while (result.size() < count) {
        ASSIGN_OR_RETURN(const auto page, m_chain.chain().indexes().Feed(before, kFeedPage));
        if (page.empty()) break;
        for (const chain::PublishEntry& entry : page) {
            if (result.size() == count) break;
            if (!seen.insert(entry.claim).second) continue;
            auto info = InfoOf(entry.anchor);
            if (!info || !info->live) continue;
            if (skip > 0)
                --skip;
            else
                result.push_back(std::move(*info));
        }
        before = page.back().place;
    }
    return result;
}

Result<ContentJobs::Openable> ContentJobs::FindOpenable(const ClaimId& claim) const {
    ASSIGN_OR_RETURN(auto publishes, m_chain.chain().indexes().PublishesOf(claim));
    if (publishes.empty())
        return Fail(ErrorKind::kNotFound, "the claim " + claim.Hex() + " is not known: see 'feed' for claims that are");
    const auto wallet = m_wallet.Get();
    std::string waiting;
    std::vector<crypto::SecretKey> bought;
    if (wallet) {
        for (const auto& [lock, purchase] : (*wallet)->Purchases()) {
            if (!purchase.terms || purchase.terms->claim != claim || purchase.tier != 0) continue;
            auto key = (*wallet)->BoughtKey(lock);
            if (key)
                bought.push_back(std::move(*key));
            else
                waiting = std::string(PurchaseStatusName(purchase.status));
        }
    }
    for (auto entry = publishes.rbegin(); entry != publishes.rend(); ++entry) {
        auto info = InfoOf(entry->anchor);
        if (!info) continue;
        const PublishRecord& record = info->record;
        if (record.free_key) {
            auto key = crypto::SecretKey::FromBytes(record.free_key->bytes);
            if (key) return Openable{std::move(*info), ContentKeys::FromTitleKey(std::move(*key))};
        }
        for (const crypto::SecretKey& key : bought)
            if (key.Public() == record.title_key)
                return Openable{std::move(*info), ContentKeys::FromTitleKey(key.Clone())};
        if (wallet) {
            crypto::SecretKey own =
                DeriveTitleKey((*wallet)->ContentMasterKey(), m_chain.chain().genesis_hash(), record.title_salt);
            if (own.Public() == record.title_key)
                return Openable{std::move(*info), ContentKeys::FromTitleKey(std::move(own))};
        }
    }
    if (!waiting.empty())
        return Fail(ErrorKind::kUnavailable,
                    "the purchase of this key is " + waiting + ": " +
                        (waiting == "failed" ? "the seller's key is not what the record promised"
                         : waiting == "refunded"
                             ? "the money came back; buy it again to try again"
                             : "wait for the seller's grant ('buy " + claim.Hex().substr(0, 12) + " --wait')"));
    return Fail(ErrorKind::kUnavailable, "this wallet does not have the key of claim " + claim.Hex().substr(0, 12) +
                                             ": buy it first with 'buy " + claim.Hex().substr(0, 12) + "'");
}

// ---- publishing

Result<PublishSource> ContentJobs::Inspect(const std::string& path) const {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    const auto entry = m_environment.files.Stat(path);
    if (!entry) {
        if (entry.error().kind == ErrorKind::kNotFound)
            return Fail(ErrorKind::kNotFound, path + " does not exist: check the path");
        return Fail(entry.error());
    }
    PublishSource source;
    source.path = path;
    source.folder = entry->kind == storage::DirectoryEntry::Kind::kDirectory;
    if (source.folder) {
        ASSIGN_OR_RETURN(source.manifest, ScanFolder(m_environment.files, path, false, m_environment.file_modes));
    } else {
        ASSIGN_OR_RETURN(const auto opened, OpenPlainFile(m_environment.files, path));
    }
    return source;
}

Result<JobId> ContentJobs::StartPublish(PublishSource source, PublishOptions options) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    if (options.price == Amount(0) && !options.free)
        return Fail("price is 0: give a price above 0, or publish it as free");
    if (options.price != Amount(0) && options.free) return Fail("free content has no price: leave the price out");
    auto plan = std::make_shared<PublishPlan>();
    plan->source = std::move(source);
    const std::string& path = plan->source.path;
    if (options.title.empty()) options.title = BaseName(path);
    const BlockHash& genesis = m_chain.chain().genesis_hash();
    const MasterKey master = wallet->ContentMasterKey();
    PublishRecord& record = plan->record;
    record.title_salt = Salt(m_environment.random.Array<32>());
    record.sealing_salt = Salt(m_environment.random.Array<32>());
    crypto::SecretKey title_key = DeriveTitleKey(master, genesis, record.title_salt);
    record.title_key = title_key.Public();
    if (options.free) record.free_key = Hash256::FromBytes(title_key.bytes());
    record.price = options.price;
    record.seller_key = DeriveSellerKey(master, genesis, record.title_salt).XOnly();
    record.unseal_key = crypto::X25519Public(DeriveUnsealKey(master, genesis, record.title_salt));
    record.seed_price_per_mib = options.seed_price_per_mib;
    record.title = options.title;
    record.description = options.description;
    record.mime = options.mime;
    record.file_name = BaseName(path);
    record.tags = options.tags;
    record.language = options.language;
    record.endpoints = options.endpoints;
    if (record.title.size() > kMaxTitleBytes)
        return Fail(fmt::format("title has {} bytes, the limit is {}", record.title.size(), kMaxTitleBytes));
    if (record.description.size() > kMaxDescriptionBytes)
        return Fail(
            fmt::format("description has {} bytes, the limit is {}", record.description.size(), kMaxDescriptionBytes));
    if (record.mime.size() > kMaxShortTextBytes)
        return Fail(fmt::format("mime has {} bytes, the limit is {}", record.mime.size(), kMaxShortTextBytes));
    if (record.file_name.size() > kMaxShortTextBytes)
        return Fail(fmt::format("the file name has more than {} bytes: rename it", kMaxShortTextBytes));
    if (record.language.size() > kMaxTagBytes)
        return Fail(fmt::format("language has more than {} bytes", kMaxTagBytes));
    if (record.tags.size() > kMaxTags)
        return Fail(fmt::format("there are {} tags, the limit is {}", record.tags.size(), kMaxTags));
    for (const std::string& tag : record.tags)
        if (tag.empty() || tag.size() > kMaxTagBytes)
            return Fail(fmt::format("a tag has {} bytes: 1 to {} are possible", tag.size(), kMaxTagBytes));
    if (record.endpoints.size() > kMaxEndpoints)
        return Fail(fmt::format("there are {} endpoints, the limit is {}", record.endpoints.size(), kMaxEndpoints));
    for (const std::string& endpoint : record.endpoints)
        if (endpoint.empty() || endpoint.size() > kMaxEndpointBytes)
            return Fail(
                fmt::format("an endpoint has {} bytes: 1 to {} are possible", endpoint.size(), kMaxEndpointBytes));
    RETURN_IF_ERROR(CheckTexts(record));
    const Amount least = consensus::MinAnchor(m_chain.params(), EncodeRecord(record).size() + 64);
    const wallet::Balances balances = wallet->GetBalances();
    if (balances.spendable.drops + balances.pending_trusted.drops < least.drops)
        return Fail(ErrorKind::kFunds,
                    fmt::format("publishing locks a deposit of at least {} SLU (it comes back when the claim ends), "
                                "and {} SLU are spendable: receive some first with 'getnewaddress'",
                                FormatSlu(least), FormatSlu(balances.spendable)));
    if (options.seal_key) {
        auto key = crypto::SecretKey::FromBytes(options.seal_key->bytes);
        if (!key) return Fail("seal_key is not a valid key");
        plan->keys = ContentKeys::FromTitleKey(std::move(*key));
    } else {
        plan->keys = ContentKeys::FromTitleKey(std::move(title_key));
    }
    ASSIGN_OR_RETURN(record.payout_script, PayoutScript(*wallet, record.title));
    plan->options = std::move(options);
    ASSIGN_OR_RETURN(plan->job, m_jobs.Start("publish", path));
    SealThenPublish(plan);
    return plan->job;
}

// A new address for the sales of a title; that of another title if too many addresses wait for their first payment.
Result<Script> ContentJobs::PayoutScript(wallet::Wallet& wallet, const std::string& title) const {
    auto script = wallet.NewReceiveScript("sales: " + title);
    if (script || script.error().kind != ErrorKind::kUnavailable) return script;
    for (const wallet::ClaimView& claim : wallet.OwnClaims())
        if (const auto publish = m_wallet.FindPublish(claim.anchor)) return publish->record.payout_script;
    return script;
}

void ContentJobs::SealThenPublish(std::shared_ptr<PublishPlan> plan) {
    m_environment.long_tasks.Post([this, plan] {
        if (!*m_alive) return;
        const auto sealed = [&]() -> Result<Sealed> {
            SealJob job;
            std::unique_ptr<PlainSource> source;
            if (plan->source.folder) {
                ASSIGN_OR_RETURN(FolderSource folder,
                                 OpenPlainFolder(m_environment.files, plan->source.path, plan->source.manifest));
                source = std::move(folder.source);
                job.manifest_chunks = folder.manifest_chunks;
            } else {
                ASSIGN_OR_RETURN(source, OpenPlainFile(m_environment.files, plan->source.path));
            }
            job.source = source.get();
            ASSIGN_OR_RETURN(const auto staged, m_chunks.Stage());
            ASSIGN_OR_RETURN(const Sealed result,
                             Seal(job, *plan->keys, plan->record.sealing_salt, *staged,
                                  TellProgress(plan->job, Phase("sealing")), &m_environment.workers));
            ASSIGN_OR_RETURN(const auto stored, staged->Commit(result.content));
            return result;
        }();
        PostToChain([this, plan, sealed] {
            const Status published = sealed ? PublishSealed(plan, *sealed) : Status(Fail(sealed.error()));
            if (published) return;
            if (sealed) {
                const Status removed = m_chunks.Remove(sealed->content);
                if (!removed) LogWarning("content", "{}", removed.error().message);
            }
            m_jobs.Fail(plan->job, published.error());
        });
    });
}

Status ContentJobs::PublishSealed(const std::shared_ptr<PublishPlan>& plan, const Sealed& sealed) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    plan->record.content = sealed.content;
    plan->record.manifest_chunks = sealed.layout.manifest_chunks;
    wallet::PublishRequest request;
    request.record = plan->record;
    ASSIGN_OR_RETURN(const wallet::BuiltPublish built, wallet->BuildPublish(request));
    ASSIGN_OR_RETURN(const Txid txid, m_wallet.Broadcast(built.built));
    JobProgress progress = Phase("confirming");
    progress.done_bytes = progress.total_bytes = sealed.content.size_bytes;
    progress.waiting_for = "the record to be in a block";
    m_jobs.SetProgress(plan->job, progress);
    m_confirming[txid] = {plan->job,
                          {{"claim", built.claim.Hex()},
                           {"txid", txid.Hex()},
                           {"anchor", built.anchor.ToString()},
                           {"root", sealed.content.root.Hex()},
                           {"size", std::to_string(sealed.content.size_bytes)},
                           {"price", FormatSlu(plan->record.price)},
                           {"title", plan->record.title},
                           {"fee", FormatSlu(built.built.fee)},
                           {"burned", FormatSlu(built.built.burned)}}};
    PostToNetwork([this, content = sealed.content, ask = plan->options.ask_per_mib] {
        const Status served = m_swarm.Serve(content, ask);
        if (!served) LogError("content", "{}", served.error().message);
    });
    return {};
}

void ContentJobs::OnTipChanged(const chain::TipChange& change) {
    for (const chain::ConnectedBlock& block : change.connected) {
        for (const TransactionRef& tx : block.block->transactions) {
            const auto found = m_confirming.find(tx->txid());
            if (found == m_confirming.end()) continue;
            found->second.result["height"] = std::to_string(block.state.height.value);
            m_events.Publish("claim", found->second.result["claim"], "published");
            m_jobs.Finish(found->second.job, std::move(found->second.result));
            m_confirming.erase(found);
        }
    }
}

void ContentJobs::OnTransactionRemoved(const chain::RemovedTransaction& removed) {
    if (removed.why == chain::RemovedTransaction::Why::kMined) return;
    const auto found = m_confirming.find(removed.tx->txid());
    if (found == m_confirming.end()) return;
    m_jobs.Fail(found->second.job,
                {ErrorKind::kUnavailable, "the record's transaction left the mempool: publish again"});
    m_confirming.erase(found);
}

// ---- fetching

DownloadLimits ContentJobs::LimitsFor(const ContentId& content, const FetchLimits& limits) const {
    DownloadLimits result;
    result.max_price_per_mib = limits.max_price_per_mib.value_or(m_prices.max_per_mib);
    Meter meter;
    meter.Add(content.size_bytes, result.max_price_per_mib);
    const uint64_t full = std::min(meter.Owed().drops, kMaxSupply.drops / kBudgetFactor);
    result.budget =
        limits.max_cost.value_or(Amount(std::min(full * kBudgetFactor + kBudgetFloor.drops, kMaxSupply.drops)));
    return result;
}

void ContentJobs::FetchThen(JobId job, const ContentId& content, const DownloadLimits& limits, Amount ask_per_mib,
                            WhenFetched then) {
    PostToNetwork([this, job, content, limits, ask_per_mib, then = std::move(then)] {
        const auto stored = m_chunks.Find(content);
        if (stored && stored->IsComplete()) return then(Amount(0));
        auto& fetches = m_fetches[content];
        fetches.push_back({job, then});
        m_jobs.SetProgress(job, Phase("downloading"));
        if (fetches.size() > 1) return;
        const Status started = m_swarm.StartDownload(content, limits, ask_per_mib);
        if (started) return;
        m_fetches.erase(content);
        then(Fail(started.error()));
    });
}

void ContentJobs::OnDownloadProgress(const DownloadProgress& progress) {
    const auto found = m_fetches.find(progress.content);
    if (found == m_fetches.end()) return;
    JobProgress shown;
    shown.phase = "downloading";
    shown.done_bytes = progress.stored_bytes;
    shown.total_bytes = progress.total_bytes;
    shown.bytes_per_s = progress.bytes_per_s;
    shown.peers = progress.peers;
    shown.paid = progress.paid;
    if (progress.stored_bytes < progress.total_bytes) shown.waiting_for = progress.waiting_for;
    for (const Fetch& fetch : found->second) m_jobs.SetProgress(fetch.job, shown);
}

void ContentJobs::OnDownloadFinished(const DownloadFinished& finished) {
    const auto found = m_fetches.extract(finished.content);
    m_events.Publish("download", finished.content.root.Hex(), "finished");
    if (found.empty()) return;
    for (const Fetch& fetch : found.mapped()) fetch.then(finished.paid);
}

void ContentJobs::OnDownloadFailed(const DownloadFailed& failed) {
    const auto found = m_fetches.extract(failed.content);
    m_events.Publish("download", failed.content.root.Hex(), "failed");
    if (found.empty()) return;
    for (const Fetch& fetch : found.mapped()) fetch.then(Fail(failed.error));
}

Status ContentJobs::StopJob(JobId id) {
    const auto job = m_jobs.Find(id);
    if (!job) return Fail(ErrorKind::kNotFound, fmt::format("there is no job {}: see 'listjobs'", id));
    if (job->state != JobState::kRunning) return Fail(fmt::format("job {} has ended already", id));
    if (job->kind == "publish")
        return Fail(fmt::format("job {} publishes, and cannot be stopped: it ends by itself", id));
    PostToNetwork([this, id] {
        for (auto& [content, fetches] : m_fetches) {
            const auto fetch =
                std::find_if(fetches.begin(), fetches.end(), [&](const Fetch& one) { return one.job == id; });
            if (fetch == fetches.end()) continue;
            const WhenFetched then = std::move(fetch->then);
            fetches.erase(fetch);
            if (fetches.empty()) {
                const ContentId unwanted = content;
                m_fetches.erase(unwanted);
                m_swarm.StopDownload(unwanted);
            }
            return then(Fail(ErrorKind::kUnavailable,
                             "stopped by 'stopjob': what was fetched stays, and the same command goes on with it"));
        }
    });
    return {};
}

Result<JobId> ContentJobs::StartGet(const ClaimId& claim, const std::string& path, const FetchLimits& limits) {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    if (m_environment.files.Exists(path)) return Fail(path + " exists already: choose another path, or move it away");
    const size_t slash = path.find_last_of('/');
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    const auto parent_entry = m_environment.files.Stat(parent);
    if (!parent_entry || parent_entry->kind != storage::DirectoryEntry::Kind::kDirectory)
        return Fail("the folder " + parent + " does not exist: make it first, or choose another path");
    std::erase_if(m_openings, [this](const auto& entry) {
        const auto job = m_jobs.Find(entry.second.job);
        return !job || job->state != JobState::kRunning;
    });
    if (const auto running = m_openings.find(path); running != m_openings.end()) {
        // Rationale: two that write to one path would give it its name before it is whole.
        if (running->second.claim == claim) return running->second.job;
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("job {} already writes to {}: choose another path", running->second.job, path));
    }
    ASSIGN_OR_RETURN(Openable found, FindOpenable(claim));
    auto openable = std::make_shared<Openable>(std::move(found));
    const ContentId content = openable->info.record.content;
    ASSIGN_OR_RETURN(const JobId job, m_jobs.Start("get", path));
    m_openings[path] = {claim, job};
    FetchThen(job, content, LimitsFor(content, limits), openable->info.record.seed_price_per_mib,
              [this, job, openable, path](Result<Amount> paid) {
                  if (!paid) return m_jobs.Fail(job, paid.error());
                  OpenThen(job, openable, path, *paid);
              });
    return job;
}

void ContentJobs::OpenThen(JobId job, std::shared_ptr<Openable> openable, const std::string& path, Amount paid) {
    m_environment.long_tasks.Post([this, job, openable, path, paid] {
        if (!*m_alive) return;
        const PublishRecord& record = openable->info.record;
        JobProgress progress = Phase("opening");
        progress.paid = paid;
        const auto tell = TellProgress(job, progress);
        const Status opened = [&]() -> Status {
            ASSIGN_OR_RETURN(const SealedLayout layout, SealedLayout::FromRecord(record));
            const auto stored = m_chunks.Find(record.content);
            if (!stored)
                return Fail(ErrorKind::kUnavailable, "the content was removed from the store meanwhile: get it again");
            ChunkCipher cipher(openable->keys.Clone(), record.sealing_salt, layout);
            if (record.manifest_chunks == 0)
                return OpenToFile(*stored, std::move(cipher), m_environment.files, path, tell);
            ASSIGN_OR_RETURN(const size_t files, OpenToFolder(*stored, std::move(cipher), m_environment.files, path,
                                                              m_environment.file_modes, tell));
            (void)files;
            return {};
        }();
        if (!opened) {
            Error error = opened.error();
            if (error.kind == ErrorKind::kInvalid)
                error.message = "the key that was bought matches the record, but does not open the content (" +
                                error.message +
                                "): the seller published something else under it. The sealed content is kept as proof";
            return m_jobs.Fail(job, std::move(error));
        }
        m_jobs.Finish(job, {{"path", path},
                            {"claim", openable->info.id.Hex()},
                            {"title", record.title},
                            {"size", std::to_string(record.content.size_bytes)},
                            {"paid", FormatSlu(paid)}});
    });
}

Result<JobId> ContentJobs::StartSeed(const ClaimId& claim, std::optional<Amount> price_per_mib,
                                     const FetchLimits& limits) {
    ASSIGN_OR_RETURN(const ClaimInfo info, FindClaim(claim));
    const ContentId content = info.record.content;
    const Amount hint = info.record.seed_price_per_mib;
    const Amount ask = price_per_mib.value_or(hint > Amount(0) ? hint : m_prices.seed_per_mib);
    ASSIGN_OR_RETURN(const JobId job, m_jobs.Start("seed", info.record.title));
    FetchThen(job, content, LimitsFor(content, limits), ask,
              [this, job, content, ask, claim, title = info.record.title](Result<Amount> paid) {
                  if (!paid) return m_jobs.Fail(job, paid.error());
                  const Status served = m_swarm.Serve(content, ask);
                  if (!served) return m_jobs.Fail(job, served.error());
                  m_jobs.Finish(job, {{"claim", claim.Hex()},
                                      {"title", title},
                                      {"size", std::to_string(content.size_bytes)},
                                      {"price_per_mib", FormatSlu(ask)},
                                      {"paid", FormatSlu(*paid)}});
              });
    return job;
}

}  // namespace sluice::node
