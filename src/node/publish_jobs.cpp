#include "node/publish_jobs.h"

#include <fmt/format.h>

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

}  // namespace

// Everything that a publishing carries from one executor to the next.
struct PublishJobs::PublishPlan {
    JobId job{0};
    PublishSource source;
    PublishOptions options;
    PublishRecord record;             // all but content and manifest_chunks
    std::optional<ContentKeys> keys;  // to seal with
};

Result<PublishSource> PublishJobs::Inspect(const std::string& path) const {
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
    if (source.folder) {
        ASSIGN_OR_RETURN(source.manifest,
                         ScanFolder(m_tasks.environment().files, path, m_tasks.environment().file_modes));
    } else {
        ASSIGN_OR_RETURN(const auto opened, OpenPlainFile(m_tasks.environment().files, path));
    }
    return source;
}

Result<JobId> PublishJobs::StartPublish(PublishSource source, PublishOptions options) {
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
    record.title_salt = Salt(m_tasks.environment().random.Array<32>());
    record.sealing_salt = Salt(m_tasks.environment().random.Array<32>());
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
    ASSIGN_OR_RETURN(plan->job, m_tasks.jobs().Start("publish", path));
    SealThenPublish(plan);
    return plan->job;
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
        const auto sealed = [&]() -> Result<Sealed> {
            SealJob job;
            std::unique_ptr<PlainSource> source;
            if (plan->source.folder) {
                ASSIGN_OR_RETURN(FolderSource folder, OpenPlainFolder(m_tasks.environment().files, plan->source.path,
                                                                      plan->source.manifest));
                source = std::move(folder.source);
                job.manifest_chunks = folder.manifest_chunks;
            } else {
                ASSIGN_OR_RETURN(source, OpenPlainFile(m_tasks.environment().files, plan->source.path));
            }
            job.source = source.get();
            ASSIGN_OR_RETURN(const auto staged, m_chunks.Stage());
            ASSIGN_OR_RETURN(const Sealed result,
                             Seal(job, *plan->keys, plan->record.sealing_salt, *staged,
                                  m_tasks.Tell(plan->job, JobTasks::Phase("sealing")), &m_tasks.environment().workers));
            ASSIGN_OR_RETURN(const auto stored, staged->Commit(result.content));
            return result;
        }();
        m_tasks.PostToChain([this, plan, sealed] {
            const Status published = sealed ? PublishSealed(plan, *sealed) : Status(Fail(sealed.error()));
            if (published) return;
            if (sealed) {
                const Status removed = m_chunks.Remove(sealed->content);
                if (!removed) LogWarning("content", "{}", removed.error().message);
            }
            m_tasks.jobs().Fail(plan->job, published.error());
        });
    });
}

Status PublishJobs::PublishSealed(const std::shared_ptr<PublishPlan>& plan, const Sealed& sealed) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    plan->record.content = sealed.content;
    plan->record.manifest_chunks = sealed.layout.manifest_chunks;
    wallet::PublishRequest request;
    request.record = plan->record;
    ASSIGN_OR_RETURN(const wallet::BuiltPublish built, wallet->BuildPublish(request));
    ASSIGN_OR_RETURN(const Txid txid, m_wallet.Broadcast(built.built));
    JobProgress progress = JobTasks::Phase("confirming");
    progress.done_bytes = progress.total_bytes = sealed.content.size_bytes;
    progress.waiting_for = "the record to be in a block";
    m_tasks.jobs().SetProgress(plan->job, progress);
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
    m_tasks.PostToNetwork([this, content = sealed.content, ask = plan->options.ask_per_mib] {
        const Status served = m_swarm.Serve(content, ask);
        if (!served) LogError("content", "{}", served.error().message);
    });
    return {};
}

void PublishJobs::OnTipChanged(const chain::TipChange& change) {
    for (const chain::ConnectedBlock& block : change.connected) {
        for (const TransactionRef& tx : block.block->transactions) {
            const auto found = m_confirming.find(tx->txid());
            if (found == m_confirming.end()) continue;
            found->second.result["height"] = std::to_string(block.state.height.value);
            m_events.Publish("claim", found->second.result["claim"], "published");
            m_tasks.jobs().Finish(found->second.job, std::move(found->second.result));
            m_confirming.erase(found);
        }
    }
}

void PublishJobs::OnTransactionRemoved(const chain::RemovedTransaction& removed) {
    if (removed.why == chain::RemovedTransaction::Why::kMined) return;
    const auto found = m_confirming.find(removed.tx->txid());
    if (found == m_confirming.end()) return;
    m_tasks.jobs().Fail(found->second.job,
                        {ErrorKind::kUnavailable, "the record's transaction left the mempool: publish again"});
    m_confirming.erase(found);
}

}  // namespace sluice::node
